"""What three kinds of evidence bear, in words: where losses are, what patching and repairs say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

from analysis.diagnosis.marks import Mark, Marks
from analysis.diagnosis.numbers import percent, points, within
from analysis.diagnosis.repairs import Recovery
from analysis.metrics import exceeds
from warehouse.vocabulary import (
    ANSWER,
    CAUSED,
    CAUSED_AND_MENDED,
    CONNECTOR,
    LLM,
    MENDED,
    NO_LONGER_READABLE,
    NOT_SAID,
    UNDONE,
    VISION,
)

PLACES = {
    VISION: "the vision tower",
    CONNECTOR: "the connector",
    LLM: "the language model",
    ANSWER: "the output head",
}
UNREAD = {
    VISION: f"are {NO_LONGER_READABLE} when the image leaves the vision tower",
    CONNECTOR: f"are {NO_LONGER_READABLE} behind the connector, between the vision tower and the "
    "language model",
    LLM: f"are {NO_LONGER_READABLE} at the language model's last token",
    ANSWER: f"are {NOT_SAID} at the last token",
}
"""What probes alone can say of a stage's loss."""


def claimed(stage: str, mark: Mark | None) -> str:
    """Where the points of a loss are, as far as the evidence bears: 'are caused in the connector
    and mended by connector/finetune'."""
    claim = None if mark is None else mark.claim
    if mark is None or claim not in (CAUSED, MENDED, CAUSED_AND_MENDED):
        return UNREAD[stage]
    caused = f"are {CAUSED} {PLACES[stage]}"
    if claim == CAUSED:
        return caused
    where = caused if claim == CAUSED_AND_MENDED else UNREAD[stage]
    return f"{where}{' and' if claim == CAUSED_AND_MENDED else ', and'} {MENDED} {mark.repair}"


JUDGED = {
    True: "confirms that it is",
    False: "does not confirm that it is",
    None: "leaves open whether it is",
}
"""What patching says of a stage that probes blame."""


def use_of(mark: Mark) -> str | None:
    """What patching says of a stage, one sentence; None where it was not measured. The answer's own
    part is what does not come back whatever states are put."""
    if mark.restored_share is None:
        return None
    judged = JUDGED[mark.is_caused] if mark.is_present else "points to"
    back = f"{percent(mark.restored_share)}{within(mark.restored_lower, mark.restored_upper)}"
    where = "comes back with its states at the end of that stage and not before"
    if mark.stage == ANSWER:
        where = "does not come back with any of its states"
    return (
        f"Patching {judged} {PLACES[mark.stage]}: of what {mark.donor_model_id} answers better, "
        f"{back} {where}."
    )


def cure_of(mark: Mark) -> str | None:
    """What mending says of a stage, one sentence; None where it was not measured."""
    if mark.repair is None or mark.repair_gain is None:
        if mark.tried is None:
            return None
        return f"No repair of {PLACES[mark.stage]} that was tried ({mark.tried}) helps on val."
    if mark.recovered_share is None:
        gain = points(mark.repair_gain)
        return (
            f"{mark.repair} gains {gain}{within(mark.repair_gain_lower, mark.repair_gain_upper)}."
        )
    back = f"{percent(mark.recovered_share)}{within(mark.recovered_lower, mark.recovered_upper)}"
    known = "; that is calibration" if mark.is_calibration else ""
    return f"{mark.repair} brings back {back} of the loss at {PLACES[mark.stage]}{known}."


class Kind(StrEnum):
    """The kinds of evidence that are measured beside probes."""

    USE = "Use (patching)"
    CURE = "Cure (mending)"

    def missing(self, mark: Mark) -> str | None:
        """What would measure it, None where it is measured."""
        return mark.use_missing if self is Kind.USE else mark.cure_missing

    def standing(self, mark: Mark) -> str:
        """How it stands where something is missing; patches between images count for none."""
        if self is Kind.USE:
            return "is not measured with the states of a better variant"
        return "is open" if mark.tried is not None else "is not measured"


def unmeasured(marks: Marks, kinds: Iterable[Kind] = Kind) -> Iterator[str]:
    """What is not measured of stages that probes or patching point to, each way out once: 'Cure
    (mending) of the connector is not measured: run …'; of what was tried in vain what was not."""
    suspects = [mark for mark in marks.modes if mark.is_present or mark.is_caused]
    for kind in kinds:
        found = [
            (f"{kind.standing(mark)}: {missing}", PLACES[mark.stage])
            for mark in suspects
            if (missing := kind.missing(mark)) is not None
        ]
        for said in dict.fromkeys(text for text, _ in found):
            of = " and ".join(place for text, place in found if text == said)
            yield f"{kind} of {of} {said}"


def advice(advised: Recovery) -> str:
    """The advised repair, what it costs and what it brings: 'connector/finetune (8,256 trained
    parameters, 12 s), the cheapest repair that suffices: it brings back 97% (95% interval 91 to
    104) of the loss'. It was chosen on val, and suffices only where it helps on test, too."""
    cost = f"{advised.n_parameters:,} trained parameters, {advised.seconds:,.0f} s"
    chosen = f"{advised.title} ({cost}), the cheapest"
    if not advised.is_proven:
        said = f"no repair helps for certain; {chosen} as good as the best on val, "
        said += f"{_gains(advised)} on test"
    elif advised.total_share is None or not exceeds(UNDONE, advised.total_share):
        said = f"{chosen} repair that suffices: it {_brings(advised)}"
    else:
        said = f"{chosen} as good as the best on val: it {_brings(advised)}"
    if advised.is_calibration:
        said += "; that is calibration, since samples are ranked hardly better"
    return said if advised.is_of_one_method else f"{said}; {of_two_methods(advised)}"


def _brings(repair: Recovery) -> str:
    if repair.total_share is None or repair.total_share < 0.005:
        return _gains(repair)
    bounds = within(repair.total_share_lower, repair.total_share_upper)
    return f"brings back {percent(repair.total_share)}{bounds} of the loss"


def _gains(repair: Recovery) -> str:
    return f"gains {points(repair.gain)}{within(repair.gain_lower, repair.gain_upper)}"


def of_two_methods(repair: Recovery) -> str:
    """Why a gain is not the repair's alone."""
    return (
        f"the answers without {repair.title} are by {repair.method_before} and those with it by "
        f"{repair.method_after}, so what it gains is not its own alone (`layerhouse diagnose "
        "--method` chooses)"
    )


def advised_in(marks: Marks) -> str | None:
    """The advice that repairs bear; None where none was trained."""
    if marks.advised is not None:
        return f"Advice: {advice(marks.advised)}."
    if not marks.tried_in_vain:
        return None
    tried = ", ".join(mark.tried for mark in marks.modes if mark.tried is not None)
    return f"No repair that was tried ({tried}) helps on val."
