from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from layerhouse.cli.shared import (
    Word,
    adapter_option,
    dataset_option,
    fault_option,
    intervention_options,
    layer_option,
    model_option,
    module_option,
    progress,
    quantization_option,
    show_outlook,
    show_summary,
)
from layerhouse.functions import connect, steer
from layerhouse.printing import print_json, print_table
from warehouse.lake import Lake
from warehouse.vocabulary import CLASS_MEANS, PATCHED_TOKENS

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
    help="How far each state is moved, in its own norm, up to 10; repeatable.  "
    "[default: 0.5 and 1]",
)
@adapter_option("--adapter", "The folder of a LoRA of --model.")
@fault_option("--fault", "KIND@STAGE[.LAYER][:SEVERITY], repeatable.")
@quantization_option("--quantization", "Of --model's weights.")
@module_option("three blocks of the decoder, a third of it apart")
@layer_option
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
@intervention_options
def command(lake: Lake, dry_run: bool, form: str, **options: Any) -> None:
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
        plan = steer(**options, lake=lake, dry_run=True)
        if form == "json":
            print_json(plan)
        else:
            show_outlook(plan, "find", _what(plan))
        return
    with progress(f"steer {options['model']}") as told:
        summary = steer(**options, lake=lake, progress=told)
    classes = _classes(lake, summary)
    if form == "json":
        print_json({"summary": summary, "classes": classes})
        return
    show_summary(summary, "Found", _what(summary))
    _print_ownership(summary, classes)


def _what(of: SteerOutlook | SteerSummary) -> str:
    return f"effects of {of.direction} on {of.model_id} on {of.dataset_id}"


MARKS = ("is_read", "is_answered", "is_owned")
NUMBERS = ("effect", "sham_effect", "random_most")
PLACE = ("p_value", "module", "layer", "tokens", "strength", "n")
WORDS = (
    "Read: a probe tells the class there; answered: so do the model's answers; owned: writing the "
    "class into the states raises its log-probability (effect) more than the same direction "
    "shuffled (sham) and further than random directions, of which random is the most (p)."
)


def _classes(lake: Lake, summary: SteerSummary) -> list[dict[str, Any]]:
    """What all effects of that source in the lake say, whatever this command added to them."""
    fields = ("label", *MARKS, *NUMBERS, *PLACE, "is_shown")
    with connect(lake) as wh:
        rows = wh.sql(
            f"SELECT {', '.join(fields[:-1])}, class_index IN (SELECT class_index FROM sample "
            "WHERE dataset_id = $2 AND split = 'test') FROM class_ownership WHERE model_id = $1 "
            "AND dataset_id = $2 AND direction = $3 ORDER BY class_index",
            [summary.model_id, summary.dataset_id, summary.direction],
        ).fetchall()
    return [dict(zip(fields, row, strict=True)) for row in rows]


def _print_ownership(summary: SteerSummary, classes: Sequence[Mapping[str, Any]]) -> None:
    heads = ["class", "read", "answered", "owned", "effect", "sham", "random", "p", "locus"]
    print_table([*heads, "tokens", "strength", "n"], [_shown(row) for row in classes])
    click.echo(WORDS)
    for line in _unmeasured(summary, classes):
        click.echo(line)


def _unmeasured(summary: SteerSummary, classes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Why some of it is not measured, and what would measure it."""
    absent = [row["label"] for row in classes if not row["is_shown"]]
    if absent:
        yield (
            f"No test sample shows {', '.join(absent)}: nobody knows whether it is read or answered"
        )
    if any(row["is_shown"] and row["is_read"] is None for row in classes):
        yield (
            "Not measured (-) is what no probe, or none on shuffled labels, was trained for: run "
            f"layerhouse probe --model {quote(summary.model_id)} --dataset "
            f"{quote(summary.dataset_id)}"
        )


def _shown(row: Mapping[str, Any]) -> list[str]:
    said = [{None: "-", True: "yes", False: "no"}[row[mark]] for mark in MARKS]
    shown = [f"{row[number]:.2f}" for number in NUMBERS]
    place = f"{row['module']}.{row['layer']}"
    last = [f"{row['p_value']:.3f}", place, row["tokens"], f"{row['strength']:g}", f"{row['n']:,}"]
    return [row["label"], *said, *shown, *last]
