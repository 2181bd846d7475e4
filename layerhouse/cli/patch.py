from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    named_option,
    progress,
    quantization_option,
    show_outlook,
    show_summary,
)
from layerhouse.functions import connect, patch
from layerhouse.printing import print_json, print_table
from warehouse.lake import Lake
from warehouse.vocabulary import PATCHED_TOKENS

if TYPE_CHECKING:
    from extract.patching import PatchOutlook, PatchSummary


@click.command("patch", short_help="Put a donor's states into a model: what is its answer made of?")
@model_option("The model that answers: a registry name, a local folder, or a hub id.")
@dataset_option("A registered dataset, a folder of classes, or a manifest.")
@named_option(
    "--from",
    "donor",
    metavar="M2",
    help_text="Put the states of a better model or variant, of the same images.  [default: those "
    "of other images, of another class, in the model itself]",
    required=False,
)
@adapter_option("--adapter", "The folder of a LoRA of --model.")
@fault_option("--fault", "KIND@STAGE[.LAYER][:SEVERITY], repeatable.")
@quantization_option("--quantization", "Of --model's weights.")
@adapter_option("--from-adapter", "The same of --from.")
@fault_option("--from-fault", "The same of --from; repeatable.")
@quantization_option("--from-quantization", "The same of --from.")
@module_option("all on the path to the answer; with --from the ends of the stages")
@layer_option
@click.option(
    "--tokens",
    multiple=True,
    type=Word("tokens", PATCHED_TOKENS),
    help="Whose states are put in the decoder: of the image tokens, of the last token of the "
    "prompt, or of both; repeatable.  [default: each]",
)
@click.option(
    "--controls/--no-controls",
    default=True,
    show_default=True,
    help="Between images, also put those of the same class, of another locus, and noise.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help="Only the first N scored samples.  [default: 256 between images; with --from all]",
)
@intervention_options
def command(lake: Lake, dry_run: bool, form: str, **options: Any) -> None:
    """Put the states of a donor in the place of a model's own, at one locus after the other, and
    write what it answers then. Only answers by likelihood are patched.

    Between images it shows where the answer's class is still carried, and by which tokens (the view
    causal_flow); with --from, what of a better variant's answers comes back at which stage
    (restored_share, stage_restoration). Several processes that are given the same command share the
    work.

    \b
    layerhouse patch --model tiny-digits --dataset digits
    layerhouse patch --model tiny-digits --dataset digits --module llm --tokens last
    layerhouse patch --model tiny-digits --dataset digits --fault swap@connector --from tiny-digits
    """
    if dry_run:
        plan = patch(**options, lake=lake, dry_run=True)
        if form == "json":
            print_json(plan)
        else:
            show_outlook(plan, "patch", _what(plan))
        return
    with progress(f"patch {options['model']}") as told:
        summary = patch(**options, lake=lake, progress=told)
    effects = _effects(lake, summary)
    if form == "json":
        print_json({"summary": summary, "effects": effects})
        return
    show_summary(summary, "Patched", _what(summary))
    _print_effects(summary, effects)


def _what(of: PatchOutlook | PatchSummary) -> str:
    donor = "other images" if of.donor_id == of.model_id else of.donor_id
    return f"states of {donor} into {of.model_id} on {of.dataset_id}"


WITHIN = ("n", "turned_share", "unpatched_share", "control_share", "control_n", "target_shift")
BETWEEN = ("n", "own_score", "patched_score", "donor_score", "restored_share", "lower", "upper")
PLACE = ("module", "layer", "tokens")
WITHIN_WORDS = (
    "Turned: the share of answers that are the class of the image whose states were put in; "
    "unpatched: the same share without them; controls: with states that hold nothing of that "
    "class; shift: how far the log-probability of that class rises."
)
BETWEEN_WORDS = (
    "Own: the model's score as it is; patched: with the states of {donor}; donor: the score of "
    "{donor} itself; restored: the share of the difference that comes back, with its 95% interval."
)


def _effects(lake: Lake, summary: PatchSummary) -> list[dict[str, Any]]:
    """What all patches of that kind in the lake say, whatever this command added to them."""
    is_within, of = summary.donor_id == summary.model_id, [summary.model_id, summary.dataset_id]
    fields = (*PLACE, *(WITHIN if is_within else BETWEEN))
    view, donor = (
        ("causal_flow", "control = 'none'")
        if is_within
        else ("restored_share", "donor_model_id = $3")
    )
    with connect(lake) as wh:
        rows = wh.sql(
            f"SELECT {', '.join(fields)} FROM {view} WHERE model_id = $1 AND dataset_id = $2 "
            f"AND {donor} ORDER BY depth, tokens",
            of if is_within else [*of, summary.donor_id],
        ).fetchall()
    return [dict(zip(fields, row, strict=True)) for row in rows]


def _print_effects(summary: PatchSummary, effects: Sequence[Mapping[str, Any]]) -> None:
    if summary.donor_id == summary.model_id:
        heads = ["locus", "tokens", "n", "turned", "unpatched", "controls", "of n", "shift"]
        print_table(heads, [_shown(row, "{:.2f}") for row in effects])
        click.echo(WITHIN_WORDS)
        if any((row["control_n"] or row["n"]) < row["n"] for row in effects):
            click.echo(
                "Controls rest on fewer images (of n) than what turned where they were left out "
                "(--no-controls), or a class has one image alone, which no other of it stands for."
            )
        return
    heads = ["locus", "tokens", "n", "own", "patched", "donor", "restored", "lower", "upper"]
    print_table(heads, [_shown(row, "{:.3f}") for row in effects])
    click.echo(BETWEEN_WORDS.format(donor=summary.donor_id))
    if effects and effects[0]["restored_share"] is None:
        click.echo(
            f"{summary.donor_id} is not better beyond its 95% interval, so there is nothing of "
            "which a share could come back."
        )


def _shown(row: Mapping[str, Any], form: str) -> list[str]:
    module, layer, tokens, n, *numbers = row.values()
    shown = (
        "-" if value is None else f"{value:,}" if isinstance(value, int) else form.format(value)
        for value in numbers
    )
    return [f"{module}.{layer}", tokens, f"{n:,}", *shown]
