from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layerhouse.cli.shared import Word, dataset_option, lake_option, model_option, progress
from layerhouse.functions import connect, steer
from warehouse.images import MAX_PIXELS
from warehouse.lake import Lake
from warehouse.vocabulary import CLASS_MEANS, DTYPES, MODULES, PATCHED_TOKENS, QUANTIZATIONS

if TYPE_CHECKING:
    from extract.steering import SteerOutlook, SteerSummary


@click.command("steer", short_help="Write a class into a model's states: does its answer follow?")
@model_option("The model that answers: a registry name, a local folder, or a hub id.")
@dataset_option("A registered dataset, a folder of classes, or a manifest.")
@click.option(
    "--direction",
    default=CLASS_MEANS,
    show_default=True,
    metavar="means|probe|FILE",
    help="Of each class: the mean of its states less that of the others, the weights that `probe "
    "--coefficients` stored, or vectors of an .npy or .safetensors.",
)
@click.option("--label", help="The class whose direction a file's only vector is.")
@click.option(
    "--strength",
    multiple=True,
    type=float,
    help="How far each state is moved, in its own norm; repeatable.  [default: 0.5 and 1]",
)
@click.option("--adapter", type=click.Path(path_type=Path), help="The folder of a LoRA of --model.")
@click.option("--fault", multiple=True, help="KIND@STAGE[.LAYER][:SEVERITY], repeatable.")
@click.option(
    "--quantization", type=Word("quantization", QUANTIZATIONS), help="Of --model's weights."
)
@click.option(
    "--module",
    multiple=True,
    type=Word("module", MODULES),
    help="Only loci of this part of the model; repeatable.  [default: three blocks of the decoder, "
    "a third of it apart]",
)
@click.option(
    "--layer",
    multiple=True,
    help="An index (negatives count from the end), post_norm or final_norm; repeatable.",
)
@click.option(
    "--tokens",
    multiple=True,
    type=Word("tokens", PATCHED_TOKENS),
    help="Whose states are moved in the decoder: of the image tokens, of the last token of the "
    "prompt, or of both; repeatable.  [default: both]",
)
@click.option(
    "--limit", type=click.IntRange(min=1), help="Only the first N scored samples.  [default: 64]"
)
@click.option("--prompt", multiple=True, metavar="NAME|FILE", help="How the question is put.")
@click.option("--system", metavar="TEXT", help="The system text, in the place of the prompt's own.")
@click.option(
    "--trained-on",
    multiple=True,
    metavar="SPLIT|ATTRIBUTE|FILE",
    help="What the model saw in training, as for extract; repeatable.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, …")
@click.option(
    "--dtype",
    type=Word("dtype", ("auto", *DTYPES)),
    default="auto",
    show_default=True,
    help="The numbers of weights and activations.",
)
@click.option("--device-map", help="For models larger than one GPU, as for extract.")
@click.option("--batch-size", default="auto", show_default=True, help="auto, or a number.")
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=MAX_PIXELS,
    show_default=True,
    help="Reject images of more pixels.",
)
@click.option("--skip-bad", is_flag=True, help="Exit 0 even if images had to be rejected.")
@click.option("--dry-run", is_flag=True, help="Print what would be done and what it takes.")
@lake_option
def command(lake: Lake, dry_run: bool, **options: Any) -> None:
    """Move a model's states along the direction of each class, at one locus after the other, and
    write how far its answers by likelihood follow, beside 100 random directions and a sham.

    A class is owned where writing it moves its own answer more than these do; beside that stand
    whether it is read by a probe and answered (the view class_ownership). Directions are learned of
    stored activations, so `extract` comes first. Several processes that are given the same command
    share the work.

    \b
    layerhouse steer --model tiny-digits --dataset digits
    layerhouse steer --model tiny-digits --dataset digits --module llm --layer -2 --direction probe
    """
    if dry_run:
        _print_outlook(steer(**options, lake=lake, dry_run=True))
        return
    with progress(f"steer {options['model']}") as told:
        summary = steer(**options, lake=lake, progress=told)
    _print(summary)
    _print_ownership(lake, summary)


def _print_outlook(plan: SteerOutlook) -> None:
    what = _what(plan)
    if not plan.n_samples:
        click.echo(f"Nothing to do: {what} are in the lake already.")
        return
    click.echo(
        f"Would find {what} on {plan.device} in {plan.dtype}: {plan.n_samples:,} samples, "
        f"{plan.n_passes:,} passes of one image, about {plan.seconds:,.0f} s (measured on "
        f"{plan.n_measured} images; nothing was written)"
    )
    for module, loci in plan.loci.items():
        click.echo(f"  {module}: {'; '.join(loci)}")
    for note in plan.notes:
        click.echo(note)


def _what(of: SteerOutlook | SteerSummary) -> str:
    return f"effects of {of.direction} on {of.model_id} on {of.dataset_id}"


def _print(summary: SteerSummary) -> None:
    for note in summary.notes:
        click.echo(note)
    if not summary.added:
        click.echo(f"Nothing to do: {_what(summary)} are in the lake already ({summary.run_id}).")
        return
    click.echo(
        f"Found {_what(summary)}: {summary.n_samples:,} samples, {summary.n_places} places, "
        f"{summary.n_passes:,} passes in {summary.seconds:,.1f} s ({summary.run_id})"
    )
    if summary.rejected:
        click.echo(f"{len(summary.rejected):,} samples were rejected")


def _print_ownership(lake: Lake, summary: SteerSummary) -> None:
    """What all effects of that source in the lake say, whatever this command added to them."""
    from layerhouse.printing import print_table

    with connect(lake) as wh:
        rows = wh.sql(
            "SELECT label, is_read, is_answered, is_owned, effect, sham_effect, random_most, "
            "p_value, concat(module, '.', layer), tokens, strength FROM class_ownership WHERE "
            "model_id = $1 AND dataset_id = $2 AND direction = $3 ORDER BY class_index",
            [summary.model_id, summary.dataset_id, summary.direction],
        ).fetchall()
    heads = ["class", "read", "answered", "owned", "effect", "sham", "random", "p", "locus"]
    print_table([*heads, "tokens", "strength"], [_shown(*row) for row in rows])
    if any(row[1] is None for row in rows):
        click.echo(
            "Not measured (-) is what no probe, or none on shuffled labels, was trained for: run "
            f"layerhouse probe --model {summary.model_id} --dataset {summary.dataset_id}"
        )


def _shown(label: str, *told: Any) -> list[str]:
    marks, numbers, (p_value, place, tokens, strength) = told[:3], told[3:6], told[6:]
    said = [{None: "-", True: "yes", False: "no"}[mark] for mark in marks]
    shown = [f"{number:.2f}" for number in numbers]
    return [label, *said, *shown, f"{p_value:.3f}", place, tokens, f"{strength:g}"]
