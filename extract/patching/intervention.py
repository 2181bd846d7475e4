"""An intervention: a job whose model answers the same samples with some of its states changed."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

from extract.anatomy import Locus
from extract.models import EVERY
from extract.sharing import ExtractRequest, Job, Range, plan, rejected_in
from warehouse.errors import UsageError, nearest
from warehouse.lake import Commit, Lake, RunSpec, list_commits
from warehouse.vocabulary import PATCHED_TOKENS

Wanted = Sequence[tuple[Locus, tuple[str, ...]]]
"""Loci in pipeline order, each with what is done there, as `tokens/how`."""

SampleRow = tuple[str, int, str]
"""(sample_id, class_index, group_id)"""


def done_as(tokens: str, how: str) -> str:
    """How commits name what is done at a locus to these tokens."""
    return f"{tokens}/{how}"


def how_done(name: str) -> tuple[str, str]:
    """To which tokens something is done, and how, by what commits name it."""
    tokens, _, how = name.partition("/")
    return tokens, how


@dataclass(frozen=True)
class Intervention(ABC):
    """Which samples `receiver` answers, and what of that the lake has: `table` takes the rows."""

    lake: Lake
    receiver: Job

    command: ClassVar[str]
    table: ClassVar[str]

    @property
    @abstractmethod
    def mark(self) -> Mapping[str, str]:
        """What commits of the same kind into the same model cover besides samples and places."""

    @property
    @abstractmethod
    def spec(self) -> RunSpec: ...

    @property
    @abstractmethod
    def most_samples(self) -> int | None:
        """How many samples are taken; None: all that are scored."""

    @property
    def dataset_id(self) -> str:
        return self.receiver.dataset_id

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth showing of the models that were looked up."""
        return tuple(self.receiver.notes)

    @property
    def seen(self) -> frozenset[str]:
        """The samples that are left out because a model was trained on them."""
        return self.receiver.seen.sample_ids

    @cached_property
    def rows(self) -> list[SampleRow]:
        """The samples that are scored, by the dataset's mixed order, without those seen."""
        samples = self.receiver.info.samples
        scored = samples.filter(samples["split"] == "test").select(
            "sample_id", "class_index", "group_id"
        )
        known = {row[0]: row for row in scored.iter_rows() if row[0] not in self.seen}
        return [known[name] for name in self.receiver.order if name in known]

    @cached_property
    def sample_ids(self) -> list[str]:
        """The samples that are taken."""
        return [row[0] for row in self.rows[: self.most_samples]]

    @cached_property
    def classes(self) -> dict[str, int]:
        return {name: class_index for name, class_index, _ in self.rows}

    @cached_property
    def places(self) -> list[int]:
        """Where in the order there is a sample, up to the last one that is taken."""
        last = self.receiver.order.index(self.sample_ids[-1])
        return [place for place in self.receiver.places if place <= last]

    def names(self, one: Range) -> list[str]:
        """The samples of a range that are taken."""
        wanted = set(self.sample_ids)
        return [name for name in self.receiver.order[one.start : one.stop] if name in wanted]

    def commits(self) -> list[Commit]:
        """Every commit of the same kind, of any selection."""
        mine = self.receiver.model_id, self.dataset_id
        found = list_commits(self.lake, command=self.command, model_id=mine[0], dataset_id=mine[1])
        return [commit for commit in found if self.is_mine(commit)]

    def is_mine(self, commit: Commit) -> bool:
        return all(commit.covers.get(key) == value for key, value in self.mark.items())

    def lacking(self, wanted: Wanted, start: int = 0, stop: int | None = None) -> list[Range]:
        """What no commit covers of samples start … stop-1 of the order; by default of all."""
        last = self.places[-1] + 1 if stop is None else stop
        places = [place for place in self.places if start <= place < last]
        found = plan(self.commits(), places, wanted, (), run_id=self.spec.run_id)
        return [one for one in found if self.names(one)]

    def described(self, wanted: Wanted) -> dict[str, Any]:
        """What the first commit of a run covers."""
        return {**self.mark, "due": [[asdict(locus), list(put)] for locus, put in wanted]}

    def known_wanted(self) -> Wanted | None:
        """What an earlier run of the same request found to be wanted, if there was one."""
        for commit in self.commits():
            if commit.run_id == self.spec.run_id and "due" in commit.covers:
                return [(Locus(**locus), tuple(put)) for locus, put in commit.covers["due"]]
        return None

    def rejected(self) -> dict[str, str]:
        """The samples that this run could not use, and why."""
        found = rejected_in(self.commits(), self.spec.run_id, self.receiver.order)
        return {name: reason for name, reason in found if name in self.classes}


def refuse_unmeant_by_any(asked: ExtractRequest, tokens: Sequence[str], limit: int | None) -> None:
    """Raise UsageError for what no intervention can mean, whatever the models and the dataset."""
    if len(set(asked.prompts)) > 1 or EVERY in asked.prompts:
        raise UsageError(
            f"states are those of one prompt, not of {', '.join(asked.prompts)}; name one, and "
            "take another lake for each further one"
        )
    for name in tokens:
        if name not in PATCHED_TOKENS:
            raise UsageError(f"unknown tokens {name!r}{nearest(name, PATCHED_TOKENS)}")
    if limit is not None and limit < 1:
        raise UsageError("the limit must be at least 1 sample")


def selection_of(asked: ExtractRequest, most_samples: int | None) -> dict[str, Any]:
    """How a run's configuration says which loci and samples of a model were asked for."""
    return {**asked.loci, "limit": most_samples, "prompts": list(asked.prompts)}
