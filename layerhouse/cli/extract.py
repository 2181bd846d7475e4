from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from layerhouse.cli.shared import (
    Word,
    adapter_option,
    batch_size_option,
    dataset_option,
    device_option,
    dtype_option,
    fault_option,
    lake_option,
    layer_option,
    max_pixels_option,
    model_option,
    module_option,
    progress,
    quantization_option,
    shown_prompt,
    skip_bad_option,
    system_option,
    trained_on_option,
)
from layerhouse.functions import ENGINES, extract, rejected
from warehouse.errors import LayerhouseError
from warehouse.vocabulary import (
    ASKED_CONTROLS,
    GIVEN_ONLY,
    METHODS,
    READOUTS,
    SWEPT_ORDERS,
)

if TYPE_CHECKING:
    from extract.running import Outlook
    from extract.sharing import ExtractSummary


@click.command("extract", short_help="Run a model over a dataset; store what every layer holds.")
@model_option("A registry name, a local Hugging Face folder, or a hub id.")
@dataset_option("A registered dataset, a folder of classes, or a manifest.")
@click.option(
    "--readout",
    multiple=True,
    type=Word("readout", READOUTS, group="layerhouse.readouts"),
    help="How tokens become one vector, or tokens: each image token is kept, by default at the "
    "ends of vision and connector; repeatable.  [default: by the locus]",
)
@module_option("all")
@layer_option
@adapter_option("--adapter", "The folder of a LoRA, or of a repair that mend trained.")
@click.option(
    "--random-weights",
    type=click.IntRange(min=0),
    is_flag=False,
    flag_value=0,
    metavar="[SEED]",
    help="Run the same architecture untrained: the floor under every probe.",
)
@fault_option("--fault", "KIND@STAGE[.LAYER][:SEVERITY]; repeatable.")
@click.option(
    "--answer",
    multiple=True,
    type=Word("way of answering", METHODS),
    default=METHODS,
    help="How the model answers; repeatable.  [default: both]",
)
@click.option(
    "--max-new-tokens",
    type=click.IntRange(min=1),
    help="Cut a reply that is longer.  [default: by the model]",
)
@click.option(
    "--prompt",
    multiple=True,
    metavar="NAME|FILE",
    help="How the question is put: a prompt that ships or is in the lake, or a TOML file of "
    "prompts; repeatable with --answers-only, as is all.  [default: default]",
)
@system_option
@click.option(
    "--answers-only",
    is_flag=True,
    help="No activations: only answers, under each of the prompts.",
)
@click.option(
    "--orders",
    type=Word("orders", SWEPT_ORDERS),
    default=GIVEN_ONLY,
    show_default=True,
    help="With --answers-only: list the classes as given, or rotate them through all places too.",
)
@click.option(
    "--image-control",
    multiple=True,
    type=Word("image control", ASKED_CONTROLS),
    help="With --answers-only: also ask about a grey image, that of a sample of another class, or "
    "another one of the same class; repeatable.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=2),
    metavar="K",
    help="Also draw K replies; the class that most of them name is a further answer.",
)
@click.option(
    "--temperature",
    type=float,
    metavar="T",
    help="How freely samples are drawn: 1 as the model's own probabilities have it.",
)
@trained_on_option(
    "What the model saw in training: a split, an attribute of 0 and 1, or a file of sample or "
    "group ids. Samples to be scored are left out where it saw any of their group; repeatable.  "
    "[default: what the training.json beside the model or adapter says]"
)
@device_option
@dtype_option
@quantization_option("--quantization", "Quantised weights, as a variant of the model.")
@click.option(
    "--device-map",
    help="For models larger than one GPU: auto, balanced, sequential, or a JSON file that says "
    "which part lies where.",
)
@batch_size_option
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N samples.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes, each with the model: one per GPU, or sharing the CPU.  "
    "[default: 1; on Ray one per GPU]",
)
@click.option(
    "--engine",
    type=Word("engine", ENGINES),
    default="local",
    show_default=True,
    help="Where the workers run: on this machine, or on a Ray cluster.",
)
@click.option(
    "--ray-address",
    envvar=("LAYERHOUSE_EXTRACT_RAY_ADDRESS", "RAY_ADDRESS"),
    metavar="HOST:PORT",
    help="The Ray cluster, or local for one embedded here.  [default: that of `ray start` on this "
    "machine, else local]",
)
@max_pixels_option
@skip_bad_option
@click.option(
    "--preparers",
    type=click.IntRange(min=0),
    help="Processes that prepare images; 0: a thread.  [default: by the machine]",
)
@click.option("--dry-run", is_flag=True, help="Print what would be done and written; do nothing.")
@lake_option
def command(skip_bad: bool, dry_run: bool, **options: Any) -> None:
    """Run a model over a dataset and write its activations and answers into the lake.

    An image that cannot be used is noted in the table rejected_sample and the run goes on; it ends
    with exit code 1 unless --skip-bad is given.

    \b
    layerhouse extract --model tiny-digits --dataset digits
    layerhouse extract --model tiny-digits --dataset digits --dry-run
    layerhouse extract --model ./my-llava --dataset ./images --fault swap@vision:0.5
    layerhouse extract --model tiny-digits --dataset digits --random-weights
    layerhouse extract --model tiny-digits --dataset digits --engine ray --workers 2
    layerhouse extract --model tiny-digits --dataset digits --answers-only --prompt all
    layerhouse extract --model tiny-digits --dataset digits --answers-only --image-control other
    layerhouse extract --model tiny-digits --dataset digits --samples 8 --temperature 0.7
    """
    if dry_run:
        _print_outlook(extract(**options, dry_run=True))
        return
    with progress(f"extract {options['model']}") as told:
        summary = extract(**options, skip_bad=True, progress=told)
    _print(summary)
    if summary.rejected and not skip_bad:
        raise LayerhouseError(
            f"{rejected(summary)}; all others are in the lake, --skip-bad accepts that"
        )
    if summary.rejected:
        click.echo(rejected(summary))


def _print_outlook(plan: Outlook) -> None:
    what = f"{plan.model_id} on {plan.dataset_id}"
    if not plan.n_samples:
        click.echo(f"Nothing to do: {what} is in the lake already.")
        return
    click.echo(
        f"Would extract {what} on {plan.device} in {plan.dtype}: {plan.n_samples:,} samples, "
        f"{_vectors(plan)}, about {plan.n_bytes / 1e6:,.1f} MB and {plan.seconds:,.0f} s "
        f"(measured on {plan.n_measured} images; nothing was written)"
    )
    for module, loci in plan.loci.items():
        click.echo(f"  {module}: {', '.join(loci)}")
    if plan.answers:
        click.echo(f"  answers: {', '.join(plan.answers)}")
    for note in plan.notes:
        click.echo(note)
    click.echo(shown_prompt(plan.prompt))


def _vectors(of: Outlook | ExtractSummary) -> str:
    tokens = f" and {of.n_tokens:,} image tokens" if of.n_tokens else ""
    return f"{of.n_vectors:,} vectors{tokens}"


def _print(summary: ExtractSummary) -> None:
    what = f"{summary.model_id} on {summary.dataset_id}"
    for note in summary.notes:
        click.echo(note)
    if not summary.added:
        click.echo(f"Nothing to do: {what} is in the lake already ({summary.run_id}).")
        return
    seconds = sum(summary.seconds.values())
    click.echo(
        f"Extracted {what}: {summary.n_samples:,} samples, {_vectors(summary)}, "
        f"{summary.n_bytes / 1e6:,.1f} MB ({summary.run_id})"
    )
    parts = (f"{name} {spent:.1f}" for name, spent in summary.seconds.items())
    click.echo(f"Seconds: {', '.join(parts)} (sum over threads {seconds:.1f})")
