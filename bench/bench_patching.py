"""What patching costs over the passes it needs, and whether it finds what was done to a model.

    python -m bench.bench_patching [--shape S]… [--images N] [--rounds N]
    python -m bench.bench_patching --bars [--model M] [--dataset D] [--lake PATH] [--limit N]

Cost: each side runs the same preprocessed batches and takes turns; a pass is one image through the
model and the likelihoods of its classes. Patching puts other images' states at every locus on the
path, each way (image, last, both tokens; the donor's, of another locus, noise). What a whole
curve takes is scaled up to 256 images.

Bars: faults of three shares and seeds, swaps at the end of every stage and permuted label rows, are
injected into a healthy model, which gives its states back. Behind the struck stage at least 0.9 of
what the fault took must come back, before it at most 0.1, wherever it took ten points or more. And
the causal curve: at the end of vision answers turn to the donor's class as often as the donors are
answered rightly, and with another image of the same class no more often than without any patch.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import layerhouse
from bench.bench_extract import Bench, build, prepare, rates
from extract.patching.donations import Donation, partners
from extract.patching.patcher import Patcher
from extract.patching.request import PatchRequest, wanted_of
from extract.patching.sides import Side, attached
from extract.patching.splicing import Splice
from extract.running import leaving_a_core
from extract.sharing import ExtractRequest
from warehouse.vocabulary import (
    COSTLY,
    ELSEWHERE_PATCH,
    MODULES,
    NO_PATCH_CONTROL,
    NOISE_PATCH,
    STAGES,
)

CURVE = 256
"""Images of a causal curve whose cost is told."""
PUT = (NO_PATCH_CONTROL, ELSEWHERE_PATCH, NOISE_PATCH)


def cost(shape: str, asked: argparse.Namespace, folder: Path) -> None:
    n_images = asked.images if shape != "deep" else max(asked.images // 4, 1)
    bench = prepare(build(shape, folder), n_images, asked.batch_size)
    loci = [locus for locus in bench.session.anatomy.loci if locus.on_path]
    side = Side(bench.session, bench.question, Splice(bench.session, loci))
    shapes = _shapes(side, bench)
    found = partners(bench.session, loci, shapes)
    request = PatchRequest(ExtractRequest(shape, "digits"))
    wanted, _ = wanted_of(request, bench.session, loci, list(found))
    wanted = [
        (locus, tuple(one for one in put if one.partition("/")[2] in PUT)) for locus, put in wanted
    ]
    names = {name: name for batch in bench.batches for name in batch.sample_ids}
    donation = Donation(side, None, names, PUT, is_other_model=True)
    places = sum(len(put) for _, put in wanted)
    n = bench.n_images * (2 + places)

    def plain() -> None:
        for batch in bench.batches * (2 + places):
            with side.running((batch.inputs, {}), batch.sample_ids) as run:
                run.said()

    def patching() -> None:
        patcher = Patcher(side, [donation], found)
        with attached(side):
            for batch in bench.batches:
                for _ in patcher.effects(batch, batch, wanted):
                    pass
        assert patcher.passes == n

    rounds = asked.rounds if shape != "deep" else 1  # of hundreds of passes each
    best = rates({"plain passes": (plain, n), "patching": (patching, n)}, rounds)
    bare, own = best["plain passes"], best["patching"]
    print(
        f"{Path(shape).name}: {bench.n_images} images, {len(loci)} loci, {places} places, "
        f"{torch.get_num_threads()} threads for the model"
    )
    print(f"  plain passes {bare.wall:9.1f} images/s")
    print(
        f"  patching     {own.wall:9.1f} images/s: {bare.wall / own.wall:.2f} times the passes it "
        f"needs ({bare.thread / own.thread:.2f} by CPU)"
    )
    alone = sum(len(put) // len(PUT) if locus.name in found else 1 for locus, put in wanted)
    print(
        f"  a curve of {CURVE} images: {CURVE * (2 + alone) / own.wall:,.0f} s without controls, "
        f"{CURVE * (2 + places) / own.wall:,.0f} s with these"
    )


def _shapes(side: Side, bench: Bench) -> dict[str, object]:
    batch = bench.batches[0]
    with attached(side), side.running((batch.inputs, {}), batch.sample_ids) as run:
        _, states = run.given(side.splice.loci)
    return {name: [each[at].shape for at in sorted(each)] for name, each in states.items()}


def bars(asked: argparse.Namespace, lake: str) -> None:
    words: dict[str, Any] = {"device": "cpu", "lake": lake, "limit": asked.limit}
    model, dataset = asked.model, asked.dataset
    causal(model, dataset, words)
    good, trials = 0, 0
    for stage in STAGES:
        kind = "swap" if stage in MODULES else "head"
        for severity in asked.severities:
            for seed in range(asked.seeds):
                fault = f"{kind}@{stage}:{severity}" + (f",seed={seed}" if seed else "")
                layerhouse.patch(model, dataset, fault=fault, donor=model, **words)
                passed = _trial(lake, f"{Path(model).name}+fault:{fault}", dataset, stage)
                if passed is not None:
                    trials, good = trials + 1, good + passed
    print(f"{good} of {trials} costly trials hold both bounds ({good / max(trials, 1):.0%})")


def _trial(lake: str, model_id: str, dataset: str, struck: str) -> bool | None:
    """Whether both bounds hold; None for a fault that costs too little to tell."""
    with layerhouse.connect(lake) as wh:
        rows = wh.sql(
            "SELECT module, gap, (patched_score - own_score) / gap FROM restored_share "
            "WHERE model_id = $1 AND dataset_id = $2 AND ends_stage AND "
            "(module <> 'llm' OR tokens = 'both')",
            [model_id, dataset],
        ).fetchall()
    gap = rows[0][1]
    shares = {module: share for module, _, share in rows}
    before = [shares[one] for one in MODULES if STAGES.index(one) < STAGES.index(struck)]
    behind = [shares[one] for one in MODULES if STAGES.index(one) >= STAGES.index(struck)]
    holds = min(behind, default=1) >= 0.9 and max(map(abs, before), default=0) <= 0.1
    told = ", ".join(f"{module} {shares[module]:.3f}" for module in MODULES)
    is_costly = gap >= COSTLY
    verdict = ("holds" if holds else "FAILS") if is_costly else "costs too little"
    print(f"  {model_id.partition('+')[2]}: takes {gap:.3f}; restored {told}: {verdict}")
    return holds if is_costly else None


def causal(model: str, dataset: str, words: dict[str, Any]) -> None:
    """The causal curve of a healthy model at the ends of vision and connector."""
    layerhouse.patch(model, dataset, module=["vision", "connector"], **words)
    with layerhouse.connect(words["lake"]) as wh:
        rows: Sequence[Any] = wh.sql(
            "SELECT module, layer, control, n, turned_share, lower, upper, donor_accuracy, "
            "own_accuracy, unpatched_share FROM causal_flow WHERE model_id = $1 AND "
            "dataset_id = $2 AND control IN ('none', 'same_class') AND module <> 'llm' QUALIFY "
            "layer = max(layer) OVER (PARTITION BY module) ORDER BY depth, control",
            [Path(model).name, dataset],
        ).fetchall()
    for module, layer, control, n, turned, lower, upper, donors, own, there in rows:
        print(
            f"  {module}.{layer} {control}: {turned:.3f} [{lower:.3f}, {upper:.3f}] of {n} turn; "
            f"own answers {own:.3f} right"
            + (f", the donors' {donors:.3f}" if donors is not None else "")
            + f"; {there:.3f} are that class without a patch"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", action="append", help="tiny, deep, packed, or a model")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bars", action="store_true")
    parser.add_argument("--model", default="tiny-digits")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--lake")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--severities", type=float, nargs="+", default=[0.3, 0.6, 0.9])
    asked = parser.parse_args()
    with leaving_a_core("cpu"), tempfile.TemporaryDirectory() as folder:
        if asked.bars:
            bars(asked, asked.lake or f"{folder}/lake")
            return
        for shape in asked.shape or ("tiny", "deep"):
            cost(shape, asked, Path(folder))


if __name__ == "__main__":
    main()
