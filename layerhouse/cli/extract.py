from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layerhouse.cli.options import dataset_option, lake_option, model_option
from layerhouse.cli.progress import progress
from warehouse.lake import Lake

if TYPE_CHECKING:
    from extract.agent import ExtractSummary

METHODS = ("likelihood", "generate")


@click.command("extract", short_help="Run a model over a dataset; store what every layer holds.")
@model_option("A registry name, a local Hugging Face folder, or a hub id.")
@dataset_option("A registered dataset, a folder of classes, or a manifest.")
@click.option("--readout", "readouts", multiple=True, help="mean, last, cls or grid; repeatable.")
@click.option("--module", "modules", multiple=True, help="vision, connector or llm; repeatable.")
@click.option(
    "--layer",
    "layers",
    multiple=True,
    help="An index (negatives count from the end), post_norm or final_norm; repeatable.",
)
@click.option("--adapter", type=click.Path(path_type=Path), help="The folder of a LoRA.")
@click.option(
    "--random-weights",
    type=click.IntRange(min=0),
    is_flag=False,
    flag_value=0,
    metavar="[SEED]",
    help="Run the same architecture untrained: the floor under every probe.",
)
@click.option("--fault", "faults", multiple=True, help="KIND@STAGE[.LAYER][:SEVERITY]; repeatable.")
@click.option(
    "--answer",
    "answers",
    multiple=True,
    type=click.Choice(METHODS),
    default=METHODS,
    help="How the model answers; repeatable.  [default: both]",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, …")
@click.option(
    "--dtype", default="auto", show_default=True, help="auto, float32, bfloat16 or float16."
)
@click.option("--quantization", help="8bit or 4bit weights, as a variant of the model.")
@click.option(
    "--device-map",
    help="For models larger than one GPU: auto, balanced, sequential, or a JSON file that says "
    "which part lies where.",
)
@click.option("--batch-size", default="auto", show_default=True, help="auto, or a number.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N samples.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes, each with the model: one per GPU, or sharing the CPU.",
)
@lake_option
def command(lake: Lake, workers: int, **options: Any) -> None:
    """Run a model over a dataset and write its activations and answers into the lake.

    \b
    layerhouse extract --model tiny-digits --dataset digits
    layerhouse extract --model ./my-llava --dataset ./images --fault swap@vision:0.5
    layerhouse extract --model tiny-digits --dataset digits --random-weights
    """
    from extract.agent import ExtractRequest
    from extract.workers import extract_with_workers

    request = ExtractRequest(**options)
    with progress(f"extract {request.model}") as report:
        summary = extract_with_workers(lake, request, workers, report)
    _print(summary)


def _print(summary: ExtractSummary) -> None:
    what = f"{summary.model_id} on {summary.dataset_id}"
    for note in summary.notes:
        click.echo(note)
    if not summary.added:
        click.echo(f"Nothing to do: {what} is in the lake already ({summary.run_id}).")
        return
    seconds = sum(summary.seconds.values())
    click.echo(
        f"Extracted {what}: {summary.n_samples:,} samples, {summary.n_vectors:,} vectors "
        f"({summary.run_id})"
    )
    parts = (f"{name} {spent:.1f}" for name, spent in summary.seconds.items())
    click.echo(f"Seconds: {', '.join(parts)} (sum over threads {seconds:.1f})")
