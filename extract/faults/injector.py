"""Injection: puts faults into a running model, through the loci found from its structure."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from extract.anatomy.loci import Locus, hidden
from extract.anatomy.token_maps import BatchFacts
from extract.faults.edit_hooks import Edit, capture, editing, exchanging, full_mask
from extract.faults.edits import EDITS, Strike
from extract.faults.spec import Fault, exchanged_tokens
from extract.models.session import Inputs, Session
from warehouse.errors import LayerhouseError, UsageError


@dataclass(frozen=True)
class DonorBatch:
    """The images whose activations a swap gives to samples of a batch.

    `rows[i]` is the sample of the batch that gets the activations of the i-th donor; `inputs` are
    the donors' own inputs on the CPU, of the same sizes as those of the samples they stand in for.
    """

    rows: Sequence[int]
    inputs: Inputs


@dataclass(frozen=True)
class StruckBatch:
    """A batch under way: its layout, its samples, and for each swap its donors."""

    facts: BatchFacts
    sample_ids: Sequence[str]
    donors: Mapping[str, DonorBatch] = field(default_factory=dict)


class Injector:
    """Applies faults to every batch that is run inside `striking`.

    `phrases` are the class phrases' tokens; `bases` holds for each erasing fault what
    `extract.faults.erasure` fitted for it: one (means, basis) per part of its site.
    """

    def __init__(
        self,
        session: Session,
        faults: Sequence[Fault],
        phrases: Sequence[Sequence[int]],
        bases: Mapping[str, Sequence[tuple[Tensor, Tensor]]] | None = None,
    ) -> None:
        for fault in faults:
            if session.anatomy.crosses and fault.stage == "llm" and fault.kind in ("drop", "block"):
                raise UsageError(
                    f"{fault} needs image tokens in the prompt, and {session.anatomy.model_type} "
                    "looks at the image by cross-attention"
                )
        self.session = session
        self.bases = dict(bases or {})
        self.sites = {f: site_of(session, f) for f in faults if f.kind not in ("head", "lowres")}
        self.exchanges = [exchanged_tokens(f, phrases) for f in faults if f.kind == "head"]
        self.batch: StruckBatch | None = None
        self._captured: dict[str, list[list[Tensor]]] = {}

    @contextmanager
    def attached(self) -> Iterator["Injector"]:
        """Keep the editing hooks registered for the length of a `with` block."""
        with ExitStack() as hooks:
            # What is registered last runs first, so that faults strike in the order given.
            for fault, site in reversed(self.sites.items()):
                if fault.kind == "block":
                    hooks.enter_context(self._blocking(fault, site))
                else:
                    edit = self._swap(fault) if fault.kind == "swap" else self._edit(fault)
                    every = fault.whole_prompt
                    hooks.enter_context(editing(self.session, site, self._facts, edit, every))
            for exchange in self.exchanges:
                hooks.enter_context(exchanging(self.session, exchange))
            yield self

    @contextmanager
    def striking(self, batch: StruckBatch) -> Iterator[None]:
        """Strike whatever runs inside the block as this batch; its donors are run first, whole."""
        self._captured = {
            str(fault): capture(self.session, site, batch.donors[str(fault)].inputs)
            for fault, site in self.sites.items()
            if str(fault) in batch.donors
        }
        self.batch = batch
        try:
            yield
        finally:
            self.batch, self._captured = None, {}

    def _facts(self) -> BatchFacts | None:
        return None if self.batch is None else self.batch.facts

    def _edit(self, fault: Fault) -> Edit:
        apply = EDITS[fault.kind]
        base = self.bases.get(str(fault))

        def edit(rows: Tensor, index: int, part: int) -> Tensor:
            assert self.batch is not None
            sample_id = self.batch.sample_ids[index]
            if fault.kind == "erase" and not fault.strikes(sample_id):
                return rows
            strike = Strike(
                fault.severity,
                _seeded(fault, sample_id, part),
                _seeded(fault, "every sample", part),
                None if base is None else base[part],
            )
            return apply(rows.float(), strike).to(rows.dtype)

        return edit

    def _swap(self, fault: Fault) -> Edit:
        def edit(rows: Tensor, index: int, part: int) -> Tensor:
            assert self.batch is not None
            donors = self.batch.donors.get(str(fault))
            if donors is None or index not in donors.rows:
                return rows
            taken = self._captured[str(fault)][part][donors.rows.index(index)]
            if taken.shape != rows.shape:
                raise LayerhouseError(
                    f"{fault}: {self.batch.sample_ids[index]} has activations of shape "
                    f"{tuple(rows.shape)}, its donor {tuple(taken.shape)}"
                )
            return taken

        return edit

    @contextmanager
    def _blocking(self, fault: Fault, site: Locus) -> Iterator[None]:
        """From the site's block on, hide image tokens from the last prompt token and the reply."""
        blocks = [b for b in self.session.anatomy.of("llm") if b.kind == "block"]
        with ExitStack() as hooks:
            for block in blocks[site.layer :]:
                before = self._hiding(fault, block)
                module = self.session.model.get_submodule(block.path)
                handle = module.register_forward_pre_hook(before, prepend=True, with_kwargs=True)
                hooks.callback(handle.remove)
            yield

    def _hiding(self, fault: Fault, block: Locus) -> Any:
        def before(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
            if self.batch is None:
                return None
            states = hidden(args[0]) if args else kwargs["hidden_states"]
            mask = full_mask(self.session, block, states, kwargs)
            hide = self._hidden_tokens(fault)
            first = hide.shape[1] - 1 - (mask.shape[-1] - mask.shape[-2])
            repeated = np.repeat(hide, mask.shape[0] // len(hide), axis=0)
            where = torch.from_numpy(repeated).to(mask.device)
            closed = False if mask.dtype == torch.bool else torch.finfo(mask.dtype).min
            late = mask[:, :, max(first, 0) :, : hide.shape[1]]
            late.masked_fill_(where[:, None, None, :], closed)
            return args, {**kwargs, "attention_mask": mask}

        return before

    def _hidden_tokens(self, fault: Fault) -> np.ndarray[Any, np.dtype[np.bool_]]:
        assert self.batch is not None
        hide = np.zeros_like(self.batch.facts.image_mask)
        for index, sample_id in enumerate(self.batch.sample_ids):
            places = np.flatnonzero(self.batch.facts.image_mask[index])
            order = torch.randperm(len(places), generator=_seeded(fault, sample_id, 0)).numpy()
            hide[index, places[order[: round(fault.severity * len(places))]]] = True
        return hide


def site_of(session: Session, fault: Fault) -> Locus:
    """The locus a fault edits: the layer it names, or the end of its stage.

    The vision tower ends where nothing but this locus carries the image on (`complete_exits`), the
    llm with its last block; blocked attention starts at the llm's first block.
    """
    loci = [
        locus
        for locus in session.anatomy.of(fault.stage)
        if locus.on_path and (fault.stage != "llm" or locus.kind == "block")
    ]
    if fault.layer is None:
        if fault.stage == "vision":
            return session.vision_exit or loci[-1]
        return loci[0 if fault.kind == "block" else -1]
    known = {locus.layer: locus for locus in loci}
    layer = fault.layer if fault.layer >= 0 else max(known) + 1 + fault.layer
    if layer not in known:
        raise UsageError(
            f"{fault}: {fault.stage} has layers {min(known)} to {max(known)} on the path to the "
            f"answer, not {fault.layer}"
        )
    return known[layer]


def complete_exits(session: Session, image: Image.Image, stages: Sequence[str]) -> Session:
    """Find where stages end for a fault that must leave nothing of the image behind.

    A site is complete if giving it all of another image's activations gives that image's logits.
    For most towers that is their last locus on the path; where features leave the tower earlier
    too, it is the first of those places. Raises LayerhouseError if no site is.
    """
    pair = [session.encode([picture]) for picture in (image, ImageOps.invert(image))]
    wanted = session.last_logits(session.forward(session.on_device(pair[1])))
    if "vision" in stages:
        loci = [locus for locus in session.anatomy.of("vision") if locus.on_path]
        exits = (site for site in reversed(loci) if _carries_all(session, site, pair, wanted))
        found = next(exits, None)
        if found is None:
            raise _leaking(session, "vision")
        session = replace(session, vision_exit=found)
    for stage in ("connector", "llm"):
        site = session.anatomy.of(stage)[-1 if stage == "llm" else 0]
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


def _seeded(fault: Fault, *about: object) -> torch.Generator:
    return torch.Generator().manual_seed(fault.torch_seed(*about))
