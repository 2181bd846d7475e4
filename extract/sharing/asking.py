"""Asking: in which ways the images of a run are asked about, and how commits name each.

A run asks in one way by itself: under the prompt that its activations are taken with, the classes
in that prompt's order, the sample's own image. What it is asked besides are sweeps.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from extract.models import (
    EVERY,
    GivenModel,
    ModelSource,
    Prompt,
    PromptEntry,
    Wording,
    find_prompts,
    read_prompts,
    rotations,
    shipped_prompts,
)
from extract.replies import ClassNames, lists_letters
from warehouse.catalogue import ClassRow, DatasetInfo
from warehouse.errors import UsageError
from warehouse.vocabulary import (
    DEFAULT_PROMPT,
    GENERATE,
    GIVEN,
    GIVEN_ONLY,
    LETTERED,
    NUMBERED,
    OWN_IMAGE,
    ROTATE,
    SAMPLED,
)

UNLABELLED = PromptEntry(DEFAULT_PROMPT, "What does this image show?", option_style="none")
"""What goes with images without labels: there are no classes to name."""


@dataclass(frozen=True)
class Way:
    """One way of asking: under which prompt, in which order, about which image."""

    prompt_id: str
    option_order: str = GIVEN
    image_control: str = OWN_IMAGE

    def __str__(self) -> str:
        return f"{self.prompt_id}/{self.option_order}/{self.image_control}"


@dataclass(frozen=True)
class Asked:
    """A way of asking about a dataset: its prompt, and what the model gets of it."""

    way: Way
    entry: PromptEntry
    question: str
    prompt: Prompt

    @property
    def wording(self) -> Wording:
        return self.entry.wording(self.question)


def _listed_names(
    entry: PromptEntry, classes: Sequence[ClassRow], shown: Sequence[int]
) -> list[ClassNames]:
    """How a reply may call the classes, in the order in which the prompt lists them.

    Of numbered options a number means the option alone.
    """
    found = []
    for place, row in enumerate((classes[index] for index in shown), start=1):
        also = [n for name in (row.label, row.phrase) for n in entry.synonyms.get(name, ())]
        label = row.label
        if entry.option_style == NUMBERED:
            label = row.phrase if row.label.strip().isdigit() else row.label
            also.append(str(place))
        found.append(ClassNames(label, row.phrase, tuple(also)))
    return found


@dataclass(frozen=True)
class Listing:
    """How a question lists a dataset's classes: `shown` has their indexes in its order, `names` how
    a reply may call each of these, and `letters` tells whether they stand under letters.
    """

    shown: Sequence[int]
    names: Sequence[ClassNames]
    letters: bool


def listing(
    entry: PromptEntry, classes: Sequence[ClassRow], option_order: str, question: str = ""
) -> Listing:
    """The listing of a prompt in an order; of a `question`, if one is given, in the prompt's place.

    A question may write letters itself, in whatever style its prompt lists the classes.
    """
    shown = entry.order(len(classes), option_order)
    phrases = [classes[index].phrase for index in shown]
    letters = entry.option_style == LETTERED or lists_letters(
        question or entry.question(phrases), phrases
    )
    return Listing(shown, _listed_names(entry, classes, shown), letters)


def asked_by(method: str, way: Way | None = None) -> str:
    """How a commit names what a method answers in a way, None for the run's own."""
    return method if way is None else f"{method}@{way}"


def method_of(asked: str) -> str:
    return asked.partition("@")[0]


def is_replied(asked: str) -> bool:
    """Whether it is answered in words, which a budget can cut."""
    return method_of(asked).startswith((GENERATE, SAMPLED))


def way_of(asked: str) -> Way | None:
    way = asked.partition("@")[2]
    return Way(*way.split("/")) if way else None


def shown_in(way: Way | None) -> str:
    """Which images go with the question of a way, None for the run's own."""
    return OWN_IMAGE if way is None else way.image_control


def by_way(answers: Iterable[str]) -> dict[Way | None, list[str]]:
    """What is asked, by the way of asking."""
    found: dict[Way | None, list[str]] = {}
    for asked in answers:
        found.setdefault(way_of(asked), []).append(asked)
    return found


@dataclass(frozen=True)
class Prompts:
    """What a request says of prompts: names or files, another system text, which orders, and which
    images besides the sample's own, with which controls are compared.
    """

    named: Sequence[str] = ()
    system: str | None = None
    orders: str = GIVEN_ONLY
    image_controls: Sequence[str] = ()

    def asked(
        self,
        source: ModelSource | GivenModel,
        info: DatasetInfo,
        stored: Mapping[str, PromptEntry],
        sweeps: Sequence[Mapping[str, Any]] | None = None,
    ) -> tuple[Asked, tuple[Asked, ...], list[str]]:
        """How a run asks by itself, how it asks besides, and notes on both.

        `sweeps` are the identities of earlier runs where nothing but sweeps is wanted.
        """
        swept: list[tuple[Way, PromptEntry]] = []
        notes: list[str] = []
        if sweeps is None:
            own = self.one(stored, info)
        else:
            own = own_prompt(sweeps, stored)
            swept, notes = self.swept(stored, info, own)
        phrases = [row.phrase for row in info.classes]
        first, *others = read_ways(source, [(Way(own.name), own), *swept], phrases)
        return first, tuple(others), notes

    def one(self, stored: Mapping[str, PromptEntry], info: DatasetInfo) -> PromptEntry:
        """The prompt of a run that takes activations. Raises UsageError for several."""
        if not info.classes:
            return UNLABELLED
        if EVERY in self.named or self.orders != GIVEN_ONLY:
            raise UsageError(
                "activations are those of one prompt and order; add --answers-only to sweep others"
            )
        found = find_prompts(self.named or [DEFAULT_PROMPT], stored, self.system)
        if len(found) > 1:
            raise UsageError(
                f"activations are those of one prompt, not of {', '.join(e.name for e in found)}; "
                "add --answers-only to sweep several"
            )
        _refuse_misfit(found[0], info)
        return found[0]

    def swept(
        self, stored: Mapping[str, PromptEntry], info: DatasetInfo, own: PromptEntry
    ) -> tuple[list[tuple[Way, PromptEntry]], list[str]]:
        """The ways of a sweep, and of prompts that do not fit the dataset why they are left out."""
        found = find_prompts(self.named or [own.name], {**stored, own.name: own}, self.system)
        notes, ways = [], []
        for entry in found:
            if EVERY in self.named and (misfit := _misfit(entry, info)):
                notes.append(f"the prompt {entry.name!r} is left out: it {misfit}")
                continue
            _refuse_misfit(entry, info)
            orders = rotations(len(info.classes)) if self.orders == ROTATE else [GIVEN]
            orders = orders if entry.option_style != "none" else [GIVEN]
            images = (OWN_IMAGE, *self.image_controls)
            ways += [(Way(entry.name, order, i), entry) for order in orders for i in images]
        return ways, notes


def own_prompt(
    identities: Sequence[Mapping[str, Any]], stored: Mapping[str, PromptEntry]
) -> PromptEntry:
    """The prompt that earlier runs took their activations with, by their identities."""
    names = [identity["prompt_id"] for identity in identities if "prompt_id" in identity]
    return {**shipped_prompts(), **stored}[names[0] if names else DEFAULT_PROMPT]


def read_ways(
    source: ModelSource | GivenModel,
    ways: Sequence[tuple[Way, PromptEntry]],
    phrases: Sequence[str],
) -> list[Asked]:
    """What the model gets of each way; its processor is read once."""
    wordings = []
    for way, entry in ways:
        shown = [phrases[i] for i in entry.order(len(phrases), way.option_order)]
        wordings.append(entry.wording(entry.question(shown)))
    return [
        Asked(way, entry, wording.question, prompt)
        for (way, entry), wording, prompt in zip(
            ways, wordings, read_prompts(source, wordings), strict=True
        )
    ]


def _misfit(entry: PromptEntry, info: DatasetInfo) -> str | None:
    return entry.misfit([c.label for c in info.classes], [c.phrase for c in info.classes])


def _refuse_misfit(entry: PromptEntry, info: DatasetInfo) -> None:
    if misfit := _misfit(entry, info):
        raise UsageError(f"{info.dataset_id} cannot be asked about so: {entry.name} {misfit}")
