from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from layerhouse.cli.shared import (
    dataset_option,
    lake_option,
    model_option,
    progress,
    trained_on_option,
)
from layerhouse.functions import import_
from layerhouse.printing import counted


@click.command("import", short_help="Bring vectors of another program as a model's activations.")
@click.argument("folder", type=click.Path(path_type=Path))
@model_option("The name that the model shall have in the lake.")
@dataset_option("A dataset in the lake.")
@click.option("--title", help="What the model is called.  [default: as the manifest says]")
@click.option("--partial", is_flag=True, help="Accept that samples of the dataset are missing.")
@click.option("--skip-unknown", is_flag=True, help="Leave out rows that name no sample.")
@trained_on_option("What the model saw in training, as for extract; repeatable.")
@lake_option
def command(folder: Path, model: str, dataset: str, **options: Any) -> None:
    """Add the vectors of FOLDER, whose manifest says what its files hold, as activations.

    They are pooled states, [samples, width], in safetensors or .npy files, such as `layerhouse
    export` writes; or whole token sequences as vLLM's hidden-state connectors write them, which are
    pooled here. The model then goes through probe, diagnose and report like any; its answers come
    with `layerhouse answers import`.

    \b
    layerhouse import states --model friend --dataset digits
    layerhouse import hidden_states --model qwen-vllm --title "Qwen3-VL in vLLM" --dataset cells
    """
    with progress(f"import {model}") as told:
        done = import_(folder, model, dataset, progress=told, **options)
    for note in done.notes:
        click.echo(note)
    what = f"{counted(done.n_cells, 'readout')} for {done.n_samples:,} samples of {dataset}"
    if not done.added:
        click.echo(f"Nothing to do: the lake has {what} as {model} ({done.run_id}).")
        return
    has = "has" if done.n_missing == 1 else "have"
    lacking = f"; {counted(done.n_missing, 'sample')} {has} none" if done.n_missing else ""
    click.echo(f"Imported {what} as {model} ({done.run_id}){lacking}")
