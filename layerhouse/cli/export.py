from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from layerhouse.cli.shared import (
    Word,
    dataset_option,
    lake_option,
    layer_option,
    model_option,
    module_option,
)
from layerhouse.functions import export

FORMATS = ("safetensors", "npy", "hf")


@click.command("export", short_help="Write a model's vectors as safetensors, NumPy or a dataset.")
@model_option("A model in the lake.")
@dataset_option("A dataset in the lake.")
@module_option("all")
@layer_option
@click.option("--readout", multiple=True, help="mean, last, cls, grid, …; repeatable.")
@click.option(
    "--format",
    type=Word("format", FORMATS),
    default="safetensors",
    show_default=True,
    help="hf is a dataset of Hugging Face's, with a card.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="A new folder."
)
@click.option("--force", is_flag=True, help="Replace an earlier export of that name.")
@lake_option
def command(model: str, dataset: str, out: Path, **options: Any) -> None:
    """Write the vectors of a model on a dataset, float32 as the lake has them, to a folder.

    With them go samples, labels, splits and manifest.json, which says what each file holds and what
    made it; no image, path or patient. Without --module, --layer and --readout all are written.

    \b
    layerhouse export --model tiny-digits --dataset digits --out states
    layerhouse export --model tiny-digits --dataset digits --module llm --layer -1 \\
        --format hf --out states-hf
    """
    done = export(model, dataset, out, **options)
    size = f"{done.n_bytes / 2**20:.1f} MiB"
    click.echo(
        f"Wrote {done.n_cells:,} readouts of {model} for {done.n_samples:,} samples of {dataset} "
        f"to {done.out} ({size}); their sample ids are in it"
    )
