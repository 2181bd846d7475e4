"""What a repair takes of a model of real size with random weights: memory and seconds a step.

    python -m bench.bench_mending [--model qwen2.5-vl-7b] [--device auto] [--dtype auto]
        [--side 448] [--repair connector/finetune]… [--steps 8] [--batch-size 4]
        [--accumulate 4] [--tiny]

The model is that of `bench_real`, the training that of `layerhouse mend` with checkpointing, over
synthetic pictures of two classes. A step is the repair's own, of accumulated batches; its time
holds a share of that of val, which is four pictures. Memory is the device's peak while it learns.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
from pathlib import Path

import torch

from bench.bench_real import build, options
from extract.datasets import add
from extract.mending.kinds import repairs_of
from extract.mending.recipe import MendEpoch, MendRecipe
from extract.mending.repair import Repair
from extract.mending.school import open_school, taught_samples
from extract.running import open_model
from extract.sharing import ExtractRequest, look_up
from tests.extract.tiny_families import picture
from warehouse.lake import Lake
from warehouse.vocabulary import STAGES

REPAIRS = ("connector/finetune", "llm/lora")
SMALL = 4
"""Pictures of val, and of test."""


def pictures(folder: Path, side: int, n_train: int) -> Path:
    """A manifest of synthetic pictures whose two classes take turns."""
    lines = ["image_path,label,split"]
    for split, n in (("train", n_train), ("val", SMALL), ("test", SMALL)):
        for index in range(n):
            name = f"{split}-{index:04}.png"
            picture(side, side, seed=len(lines)).save(folder / name)
            lines.append(f"{name},{('benign', 'malignant')[index % 2]},{split}")
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(lines) + "\n")
    return manifest


def measure(repair: Repair, lake: Lake, asked: argparse.Namespace) -> None:
    recipe = MendRecipe(
        batch_size=asked.batch_size, accumulate=asked.accumulate, epochs=1, checkpointing=True
    )
    job = look_up(lake, ExtractRequest(build(asked), "pictures"))
    opened = open_model(job)
    on_cuda = opened.session.loaded.device.type == "cuda"
    resting = torch.cuda.memory_allocated() / 1e9 if on_cuda else 0.0
    if on_cuda:
        torch.cuda.reset_peak_memory_stats()
    told: list[MendEpoch] = []
    school = open_school(job, opened, recipe, taught_samples(job, None))
    trained = repair.train(school, told.append)
    before, after = (epoch.seconds for epoch in told)
    seconds, n = (after - before) / asked.steps, asked.batch_size * asked.accumulate
    line = f"{repair.title}: {trained.n_parameters:,} parameters, {seconds:.2f} s a step of {n}"
    if on_cuda:
        peak = torch.cuda.max_memory_allocated() / 1e9
        line += f", {peak:.1f} GB at most, {resting:.1f} of them the model at rest"
    print(f"{line}; losses {told[1].train_loss:.3f} of train, {told[1].val_loss:.3f} of val")


def main() -> None:
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--repair", action="append", help="connector/finetune, llm/lora, …")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--accumulate", type=int, default=4)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lake, place = Lake.at(Path(folder) / "lake"), Path(folder) / "pictures"
        place.mkdir()
        n_train = asked.steps * asked.batch_size * asked.accumulate
        add(lake, "pictures", pictures(place, asked.side, n_train))
        for repair in repairs_of(STAGES, tuple(asked.repair or REPAIRS)):
            measure(repair, lake, asked)
            gc.collect()  # the model before it


if __name__ == "__main__":
    main()
