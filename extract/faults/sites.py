"""Sites: the loci that faults strike, and whether nothing of the image goes around them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from PIL import Image, ImageOps
from torch import Tensor

from extract.anatomy import Locus
from extract.faults.edit_hooks import capture, editing
from extract.faults.effects import SiteFault
from extract.faults.fault import Fault
from extract.models import Session
from warehouse.errors import LayerhouseError, UsageError
from warehouse.vocabulary import CONNECTOR, LLM, VISION


def site_of(session: Session, fault: Fault) -> Locus:
    """The locus a fault strikes: the layer it names, or where its stage ends.

    The vision tower ends where nothing but this locus carries the image on (`complete_exits`), the
    llm with its last block; kinds that strike `from_start` do so from the llm's first block on.
    """
    loci = _struck(session, fault.stage)
    if fault.layer is None:
        at_start = fault.kind.from_start and fault.stage != VISION
        return loci[0] if at_start else end_of(session, fault.stage)
    return named_locus(fault, loci)


def named_locus(fault: Fault, loci: Sequence[Locus]) -> Locus:
    """The one of a stage's loci whose layer the fault names, counted from the end if negative.

    Raises UsageError where none has it.
    """
    assert fault.layer is not None
    known = {locus.layer: locus for locus in loci}
    layer = fault.layer if fault.layer >= 0 else max(known) + 1 + fault.layer
    if layer not in known:
        raise UsageError(
            f"{fault}: {fault.stage} has layers {min(known)} to {max(known)} on the path to the "
            f"answer, not {fault.layer}"
        )
    return known[layer]


def end_of(session: Session, stage: str) -> Locus:
    """Where a stage ends, as `complete_exits` found it."""
    if stage == VISION and session.vision_exit is not None:
        return session.vision_exit
    return _struck(session, stage)[-1]


def _struck(session: Session, stage: str) -> list[Locus]:
    """The loci of a stage on the path to the answer, of the llm its blocks."""
    return [
        locus
        for locus in session.anatomy.of(stage)
        if locus.on_path and (stage != LLM or locus.is_block)
    ]


def stages_to_end(faults: Sequence[Fault]) -> list[str]:
    """The stages at whose end a fault strikes, which must let nothing of the image past it."""
    return [
        fault.stage
        for fault in faults
        if isinstance(fault.kind, SiteFault) and fault.layer is None and not fault.kind.from_start
    ]


def complete_exits(session: Session, image: Image.Image, stages: Sequence[str]) -> Session:
    """Find where stages end for a fault that must leave nothing of the image behind.

    A site is complete if giving it all of another image's activations gives that image's logits.
    For most towers that is their last locus on the path; where features leave the tower earlier
    too, it is the first of those places. Raises LayerhouseError if no site is.
    """
    pair = [session.encode([picture]) for picture in (image, ImageOps.invert(image))]
    wanted = session.last_logits(session.forward(session.on_device(pair[1])))
    if VISION in stages:
        loci = [locus for locus in session.anatomy.of(VISION) if locus.on_path]
        exits = (site for site in reversed(loci) if _carries_all(session, site, pair, wanted))
        found = next(exits, None)
        if found is None:
            raise _leaking(session, VISION)
        session = replace(session, vision_exit=found)
    for stage in (CONNECTOR, LLM):
        site = session.anatomy.of(stage)[-1]
        if stage in stages and not _carries_all(session, site, pair, wanted):
            raise _leaking(session, stage)
    return session


def _carries_all(session: Session, site: Locus, pair: list[Any], wanted: Tensor) -> bool:
    facts = session.facts(pair[0])
    taken = capture(session, site, pair[1])

    def put(_: Tensor, index: int, part: int) -> Tensor:
        return taken[part][index]

    with editing(session, site, lambda: facts, put, every=True):
        given = session.last_logits(session.forward(session.on_device(pair[0])))
    own = float((given - wanted).norm())
    return own <= 1e-3 * float(wanted.norm())


def _leaking(session: Session, stage: str) -> LayerhouseError:
    return LayerhouseError(
        f"no fault can be put at the end of {session.anatomy.model_type}'s {stage} stage: the "
        "image reaches the answer around every place that can be edited"
    )
