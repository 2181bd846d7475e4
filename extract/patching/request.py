"""What is asked of patching: whose states are put where, into whom."""

from collections.abc import Sequence
from dataclasses import dataclass

from extract.anatomy import Locus
from extract.faults import end_of
from extract.models import Session
from extract.patching.intervention import Wanted, done_as, refuse_unmeant_by_any
from extract.reading import select
from extract.sharing import ExtractRequest
from warehouse.errors import UsageError
from warehouse.vocabulary import (
    ELSEWHERE_PATCH,
    IMAGE_PATCH,
    LAST_PATCH,
    LLM,
    MODULES,
    NO_PATCH_CONTROL,
    PATCH_CONTROLS,
    PATCHED_TOKENS,
)

USUAL_LIMIT = 256
"""Samples that patches between images take unless told otherwise: every place is a pass of its own
over all of them."""
NO_IMAGE_TOKENS = (
    "of {name}'s decoder only the last token is {done}: it looks at the image by cross-attention, "
    "so its prompt holds no image tokens"
)


@dataclass(frozen=True)
class PatchRequest:
    """What to patch: `receiver` answers, by likelihood; without a `donor` it gets the states of
    other images of its own, with one those of the same images.

    Modules and layers of the receiver's request choose loci, by default all that lie on the path to
    the answer; with a donor the ends of the three stages. `tokens` are whose states are put there,
    `controls` tells whether controls are run too, `limit` takes the first of the samples that are
    scored.
    """

    receiver: ExtractRequest
    donor: ExtractRequest | None = None
    tokens: Sequence[str] = ()
    controls: bool = True
    limit: int | None = None

    def refuse_unmeant(self) -> None:
        """Raise UsageError for what cannot be meant, whatever the models and the dataset."""
        refuse_unmeant_by_any(self.receiver, self.tokens, self.limit)

    @property
    def most_samples(self) -> int | None:
        if self.limit is not None or self.donor is not None:
            return self.limit
        return USUAL_LIMIT


def loci_of(request: PatchRequest, session: Session) -> list[Locus]:
    """The loci to patch, in pipeline order. Raises UsageError where none is left."""
    asked = request.receiver
    if request.donor is not None and not asked.modules and not asked.layers:
        return [end_of(session, stage) for stage in MODULES]
    return chosen_loci(asked, session)


def chosen_loci(asked: ExtractRequest, session: Session) -> list[Locus]:
    """The loci that a request chooses, of those on the answer's path; UsageError where none is."""
    chosen = select(session.anatomy, session.readouts, modules=asked.modules, layers=asked.layers)
    found = [locus for locus, _ in chosen if locus.on_path]
    if not found:
        raise UsageError("the answer depends on none of the chosen layers; name others")
    return found


def wanted_of(
    request: PatchRequest, session: Session, loci: Sequence[Locus], has_partner: Sequence[str]
) -> tuple[Wanted, tuple[str, ...]]:
    """What is put at each of the loci, and notes on what is left out; `has_partner` are those, by
    name, that another one can stand in for.

    Raises UsageError where nothing is left of what was asked.
    """
    controls = [NO_PATCH_CONTROL]
    if request.donor is None and request.controls:
        controls += PATCH_CONTROLS
    wanted, notes = [], []
    for locus in loci:
        tokens = tokens_at(session, locus)
        chosen = [name for name in tokens if not request.tokens or name in request.tokens]
        put = [
            done_as(name, control)
            for name in chosen
            for control in controls
            if control != ELSEWHERE_PATCH or locus.name in has_partner
        ]
        if put:
            wanted.append((locus, tuple(put)))
    crosses = session.anatomy.crosses and any(locus.module == LLM for locus in loci)
    if crosses:
        notes.append(NO_IMAGE_TOKENS.format(name=session.loaded.source.name, done="patched"))
    if not wanted:
        asked = ", ".join(request.tokens)
        why = f"; {notes[0]}" if notes else ", only its decoder has a last token"
        raise UsageError(f"none of the chosen loci has the tokens {asked}{why}")
    return wanted, tuple(notes)


def tokens_at(session: Session, locus: Locus) -> tuple[str, ...]:
    """Which tokens of a locus can be changed."""
    if locus.module != LLM:
        return (IMAGE_PATCH,)
    return (LAST_PATCH,) if session.anatomy.crosses else PATCHED_TOKENS
