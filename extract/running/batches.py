"""The runner: one batch through the model, with faults, readouts and answers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from extract.answering import (
    AskedBatch,
    Prompted,
    Question,
    ReplyPlace,
    cache_of,
    hold,
    method_named,
    prior_of,
    run_order,
)
from extract.faults import Injector, StruckBatch
from extract.models import Session
from extract.reading import Arrays, Offload, Reader, Wanted, beside, of_prompts, of_replies
from extract.running.clock import Stopwatch
from extract.running.following import Taken, Watch, follow
from extract.running.preparing import Prepared
from extract.running.results import Answer, BatchResult, LateReply, MissingReply
from extract.running.seeing import SeenOnce
from extract.running.together import Together, Waiting
from extract.sharing import Way, by_way, method_of, shown_in, way_of
from warehouse.vocabulary import GENERATE, LIKELIHOOD

NO_PRIOR = "no prior-corrected likelihoods: the model takes no prompt without an image"


class Runner:
    """Runs batches of one model; a context manager that keeps its hooks registered.

    `notes` are worth showing.
    """

    def __init__(
        self,
        session: Session,
        injector: Injector | None,
        questions: Mapping[Way | None, Question],
        stopwatch: Stopwatch,
        sees_once: Sequence[str] = (),
    ) -> None:
        self.session = session
        self.injector = injector
        self.questions = questions
        self.sees_once = sees_once
        self.stopwatch = stopwatch
        self.notes: list[str] = []
        self._priors: set[Way | None] = set()
        self._hooks = ExitStack()
        self._prompts, self._replies = Watch(session), Watch(session)
        self._answers_arrive: Offload[str] = Offload(session.loaded.device)
        self._together = Together(session, stopwatch)

    def __enter__(self) -> "Runner":
        if self.injector is not None:
            self._hooks.enter_context(self.injector.attached())
        return self

    def __exit__(self, *error: Any) -> None:
        self._prompts.close()
        self._replies.close()
        self._hooks.close()

    def run(
        self, prepared: Prepared, wanted: Wanted, answers: Sequence[str], hurried: bool = False
    ) -> Callable[[], BatchResult]:
        """Begin a batch; the call that is returned waits for it. One that is `hurried` may leave
        long replies unfinished, and let others come later, with `replies`.

        On a GPU work goes on after this returns, so beginning the next batch before waiting keeps
        the device busy; on the CPU everything but the checks is done by then.
        """
        reader = self._prompts.reader(of_prompts(wanted))
        seen = self._seen(prepared)
        said: dict[str, Tensor] = {}
        waiting: list[Waiting] = []
        clocks: list[Callable[[], float]] = []
        names, keep = prepared.sample_ids, bool(answers) and self.session.continues
        taken: Taken | None = None
        followed: _Followed | None = None
        asked = by_way(answers)
        self._learn_priors(prepared, asked)
        for way in dict.fromkeys((prepared.way, *prepared.others)):
            inputs, donors = prepared.of(way)
            facts = self.session.facts(inputs)
            with self.stopwatch.timing("copy"):
                inputs = self.session.on_device(inputs)
            with self._striking(StruckBatch(facts, names, donors)):
                # Layers are read in the first way; of one way there is nothing to be told later.
                told = seen[shown_in(way)].passing() if prepared.others else nullcontext()
                reads = nullcontext() if taken else reader.recording(facts, self._device)
                with told, reads:
                    output, clock = self._forward(reader, inputs, keep)
                clocks.append(clock)
                cache = cache_of(output) if keep else None
                prompted = Prompted(inputs, self.session.last_logits(output), cache, facts)
                del output, cache
                if taken is None:
                    with self.stopwatch.timing("copy"):
                        taken = self._prompts.taken()
                question = replace(self.questions[way], hurried=hurried)
                found, later = self._answered(prompted, question, names, asked.get(way, ()))
                said |= found
                waiting += later
                if way is None and (behind := of_replies(wanted)):
                    followed = self._followed(names, behind, prompted, said[GENERATE])
        assert taken is not None  # there is a way
        with self.stopwatch.timing("copy"):
            fetch = self._answers_arrive.begin(said)
        begun = _BegunBatch(names, taken, fetch, clocks, waiting, followed)
        return partial(self._arrived, begun)

    def _learn_priors(self, prepared: Prepared, asked: Mapping[Way | None, Sequence[str]]) -> None:
        """How likely phrases are without an image, of every question once, between batches."""
        for way, each in asked.items():
            question = self.questions[way]
            scores = LIKELIHOOD in map(method_of, each) and question.end is not None
            if scores and way not in self._priors:
                inputs = prepared.of(way)[0]
                prior = prior_of(self.session, question.unseeing, inputs, question.scored)
                self._priors.add(way)
                self.questions = {**self.questions, way: replace(question, prior=prior)}
                if prior is None and NO_PRIOR not in self.notes:
                    self.notes.append(NO_PRIOR)

    def _seen(self, prepared: Prepared) -> dict[str, SeenOnce]:
        """What the model made of a batch's images, by which images go with the question."""
        shown = dict.fromkeys(map(shown_in, (prepared.way, *prepared.others)))
        return {images: SeenOnce(self.session.model, self.sees_once) for images in shown}

    @property
    def _device(self) -> torch.device:
        return self.session.loaded.device

    def _answered(
        self, prompted: Prompted, question: Question, names: Sequence[str], asked: Sequence[str]
    ) -> tuple[dict[str, Tensor], list[Waiting]]:
        """What the model says of these samples to each of what is asked in one way, and what of
        that it is to say later.
        """
        by_method = {method_of(each): each for each in asked}
        may_wait = question.hurried and self.injector is None and self._together.is_open
        said: dict[str, Tensor] = {}
        for name in run_order(by_method):
            each, method = by_method[name], method_named(name)
            if name == GENERATE and may_wait and (held := hold(self.session, prompted)):
                return said, [Waiting(each, question, names, held)]
            with self.stopwatch.timing(name):
                said[each] = method.run(AskedBatch(self.session, question, names), prompted)
        return said, []

    def replies(self, *, rest: bool = False) -> Iterator[LateReply]:
        """Replies that batches let wait, as far as it is time for them; with `rest`, all."""
        return self._together.replies(rest=rest)

    def give_up_replies(self) -> list[MissingReply]:
        """Free what replies that wait keep in memory, and let none wait from here on; gives those
        that are missing now.
        """
        return self._together.give_up()

    def _followed(
        self, names: Sequence[str], wanted: Wanted, prompted: Prompted, said: Tensor
    ) -> "_Followed":
        """What is read behind the replies of a batch of these samples."""
        with self.stopwatch.timing("reply"):
            reader = self._replies.reader(wanted)
            places = follow(self.session, reader, prompted, self.questions[None], said)
            return _Followed(self._replies.taken(), dict(zip(names, places, strict=True)))

    def _arrived(self, begun: "_BegunBatch") -> BatchResult:
        names = begun.sample_ids
        with self.stopwatch.timing("wait"):
            vectors, said = begun.taken.vectors(), begun.said()
            if begun.followed is not None:
                vectors = beside(vectors, begun.followed.taken.vectors())
        self.stopwatch.add("forward", sum(clock() for clock in begun.clocks))
        with self.stopwatch.timing("copy"):
            vectors.refuse_not_finite(names, self.session.loaded.remedy)
        answers: list[Answer] = []
        unfinished: list[MissingReply] = []
        for asked, values in said.items():
            method, way = method_of(asked), way_of(asked)
            batch = AskedBatch(self.session, self.questions[way], names)
            read = method_named(method).read(batch, values)
            for name, given in zip(names, read, strict=True):
                if given is None:
                    unfinished.append(MissingReply(asked, name))
                else:
                    answers.append(Answer(name, method, **given, way=way))
        awaited: list[MissingReply] = []
        for one in begun.waiting:
            (awaited if self._together.add(one) else unfinished).extend(one.missing)
        places = {} if begun.followed is None else begun.followed.places
        return BatchResult(names, vectors, answers, unfinished, awaited, places)

    def _striking(self, batch: StruckBatch) -> Any:
        return nullcontext() if self.injector is None else self.injector.striking(batch)

    def _forward(
        self, reader: Reader, inputs: Mapping[str, Any], keep: bool
    ) -> tuple[Any, Callable[[], float]]:
        """The model's output, and what tells later how many seconds the pass took.

        Of the seconds on a GPU those of the readouts are a part; elsewhere they count apart.
        """
        before, started = reader.seconds, perf_counter()
        events = self._events()
        output = self.session.forward(inputs, keep_cache=keep)
        reading = reader.seconds - before
        self.stopwatch.add("readout", reading)
        if events is None:
            took = perf_counter() - started - reading
            return output, lambda: took
        begun, ended = events
        ended.record()
        return output, lambda: begun.elapsed_time(ended) / 1000

    def _events(self) -> tuple[Any, Any] | None:
        """Marks around a forward pass on a GPU, the first already set."""
        if self.session.loaded.device.type != "cuda":
            return None
        begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begun.record()
        return begun, ended


@dataclass(frozen=True)
class _Followed:
    """What was read behind a batch's replies, and where in each, by sample."""

    taken: Taken
    places: Mapping[str, ReplyPlace]


@dataclass(frozen=True)
class _BegunBatch:
    """A batch on its way to the host: its vectors, and what was said, by what was asked; `waiting`
    is what is still to be said.
    """

    sample_ids: Sequence[str]
    taken: Taken
    said: Callable[[], Arrays[str]]
    clocks: Sequence[Callable[[], float]]
    waiting: Sequence[Waiting] = ()
    followed: _Followed | None = None
