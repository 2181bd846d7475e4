"""What is asked of steering: along which directions, where, and how far."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from extract.anatomy import Locus
from extract.models import Session
from extract.patching import (
    NO_IMAGE_TOKENS,
    Wanted,
    chosen_loci,
    done_as,
    refuse_unmeant_by_any,
    tokens_at,
)
from extract.sharing import ExtractRequest
from extract.steering.naming import refuse_unknown_direction
from warehouse.errors import UsageError, number_in_name
from warehouse.vocabulary import (
    BLOCK,
    BOTH_PATCH,
    CLASS_MEANS,
    IMAGE_PATCH,
    LAST_PATCH,
    LLM,
    STEER_DIRECTIONS,
)

USUAL_LIMIT = 64
"""Samples that are steered unless told otherwise: every class and every control is a pass of its
own over all of them."""

USUAL_STRENGTHS = (0.5, 1.0)

MOST_STRENGTH = 10.0
"""Of a state moved so far across, blocks that normalise what they are given see a tenth: answers
follow the direction alone, and a longer way changes nothing."""


@dataclass(frozen=True)
class SteerRequest:
    """What to steer: `receiver` answers, by likelihood, with its states moved along directions.

    `direction` says whose: the differences of class `means`, the weights of the stored linear
    `probe`, or a file; `label` names the class of a file's only vector. Modules and layers of the
    receiver's request choose loci, by default three blocks of the decoder, a third of it apart.
    `tokens` are whose states are moved, by default of the image tokens and of the last one,
    `strengths` how far, in norms of each state; `limit` takes the first of the samples that are
    scored.
    """

    receiver: ExtractRequest
    direction: str = CLASS_MEANS
    label: str | None = None
    strengths: Sequence[float] = USUAL_STRENGTHS
    tokens: Sequence[str] = ()
    limit: int | None = USUAL_LIMIT

    def refuse_unmeant(self) -> None:
        """Raise UsageError for what cannot be meant, whatever the model and the dataset."""
        refuse_unmeant_by_any(self.receiver, self.tokens, self.limit)
        if not self.strengths:
            raise UsageError("there must be a strength; 1 adds as much as the states' own norm")
        for strength in self.strengths:
            if not (math.isfinite(strength) and strength > 0):
                raise UsageError(
                    f"a strength must be finite and above 0, not {strength:g}; 1 adds as much as "
                    "the states' own norm"
                )
            if strength > MOST_STRENGTH:
                raise UsageError(
                    f"the strength {strength:g} leaves less than a tenth of a state as the blocks "
                    "behind it see it, so that the model answers the direction and not the image; "
                    f"give {MOST_STRENGTH:g} or less"
                )
            number_in_name(f"the strength {float(strength)}", strength)
        if not self.is_file:
            if self.label is not None:
                raise UsageError(
                    f"every class has a direction of its own by {self.direction}; a class is named "
                    "for a file that holds one vector"
                )
        else:
            refuse_unknown_direction(self.direction)

    @property
    def steps(self) -> list[str]:
        """The strengths as commits name them, each once, from small to large."""
        named = (number_in_name(f"the strength {float(s)}", s) for s in sorted(self.strengths))
        return list(dict.fromkeys(named))

    @property
    def is_file(self) -> bool:
        return self.direction not in STEER_DIRECTIONS


@dataclass(frozen=True)
class SteerPlaces:
    """The loci to steer at, in pipeline order, with what is done there; `were_named` tells whether
    a person chose them. `notes` are on what is left out."""

    wanted: Wanted
    were_named: bool
    notes: tuple[str, ...] = ()


def places_of(request: SteerRequest, session: Session) -> SteerPlaces:
    """Raises UsageError where nothing is left of what was asked."""
    asked = request.receiver
    were_named = bool(asked.modules) or asked.layers != ()
    loci = chosen_loci(asked, session) if were_named else _usual(session)
    wanted = []
    for locus in loci:
        there = tokens_at(session, locus)
        names = [name for name in request.tokens or (there[-1],) if name in there]
        if names:
            how = [done_as(name, step) for name in dict.fromkeys(names) for step in request.steps]
            wanted.append((locus, tuple(how)))
    notes: tuple[str, ...] = ()
    if session.anatomy.crosses and any(locus.module == LLM for locus in loci):
        notes = (NO_IMAGE_TOKENS.format(name=session.loaded.source.name, done="steered"),)
    if not wanted:
        why = notes[0] if notes else "only the decoder has a last token"
        raise UsageError(
            f"none of the chosen loci has the tokens {', '.join(request.tokens)}; {why}"
        )
    return SteerPlaces(wanted, were_named, notes)


def _usual(session: Session) -> list[Locus]:
    """Three blocks of the decoder: a third of it behind its beginning, two thirds, the last one."""
    blocks = [one for one in session.anatomy.of(LLM) if one.on_path and one.kind == BLOCK]
    n = len(blocks)
    return [blocks[at] for at in sorted({math.ceil(n * part / 3) - 1 for part in (1, 2, 3)})]


READOUT_OF = {IMAGE_PATCH: "mean", LAST_PATCH: "last"}
"""Of which readout's states the directions of these tokens are learned."""


def parts_of(tokens: str) -> tuple[str, ...]:
    """The tokens that have a direction each, of those that are moved together."""
    return (IMAGE_PATCH, LAST_PATCH) if tokens == BOTH_PATCH else (tokens,)
