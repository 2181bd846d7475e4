from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layerhouse.cli.shared import Word, dataset_option, lake_option, model_option, progress
from layerhouse.functions import connect, patch
from warehouse.images import MAX_PIXELS
from warehouse.lake import Lake
from warehouse.vocabulary import DTYPES, MODULES, PATCHED_TOKENS, QUANTIZATIONS

if TYPE_CHECKING:
    from extract.patching import PatchOutlook, PatchSummary


@click.command("patch", short_help="Put a donor's states into a model: what is its answer made of?")
@model_option("The model that answers: a registry name, a local folder, or a hub id.")
@dataset_option("A registered dataset, a folder of classes, or a manifest.")
@click.option(
    "--from",
    "donor",
    metavar="M2",
    help="Put the states of a better model or variant, of the same images.  [default: those of "
    "other images, of another class, in the model itself]",
)
@click.option("--adapter", type=click.Path(path_type=Path), help="The folder of a LoRA of --model.")
@click.option("--fault", multiple=True, help="KIND@STAGE[.LAYER][:SEVERITY], repeatable.")
@click.option(
    "--quantization", type=Word("quantization", QUANTIZATIONS), help="Of --model's weights."
)
@click.option("--from-adapter", type=click.Path(path_type=Path), help="The same of --from.")
@click.option("--from-fault", multiple=True, help="The same of --from; repeatable.")
@click.option(
    "--from-quantization", type=Word("quantization", QUANTIZATIONS), help="The same of --from."
)
@click.option(
    "--module",
    multiple=True,
    type=Word("module", MODULES),
    help="Only loci of this part of the model; repeatable.  [default: all on the path to the "
    "answer; with --from the ends of the stages]",
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
@click.option("--prompt", multiple=True, metavar="NAME|FILE", help="How the question is put.")
@click.option("--system", metavar="TEXT", help="The system text, in the place of the prompt's own.")
@click.option(
    "--trained-on",
    multiple=True,
    metavar="SPLIT|ATTRIBUTE|FILE",
    help="What the models saw in training, as for extract; repeatable.",
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
        _print_outlook(patch(**options, lake=lake, dry_run=True))
        return
    with progress(f"patch {options['model']}") as told:
        summary = patch(**options, lake=lake, progress=told)
    _print(summary)
    _print_effects(lake, summary)


def _print_outlook(plan: PatchOutlook) -> None:
    what = _what(plan)
    if not plan.n_samples:
        click.echo(f"Nothing to do: {what} are in the lake already.")
        return
    click.echo(
        f"Would patch {what} on {plan.device} in {plan.dtype}: {plan.n_samples:,} samples, "
        f"{plan.n_passes:,} passes of one image, about {plan.seconds:,.0f} s (measured on "
        f"{plan.n_measured} images; nothing was written)"
    )
    for module, loci in plan.loci.items():
        click.echo(f"  {module}: {'; '.join(loci)}")
    for note in plan.notes:
        click.echo(note)


def _what(of: PatchOutlook | PatchSummary) -> str:
    donor = "other images" if of.donor_id == of.model_id else of.donor_id
    return f"states of {donor} into {of.model_id} on {of.dataset_id}"


def _print(summary: PatchSummary) -> None:
    for note in summary.notes:
        click.echo(note)
    if not summary.added:
        click.echo(f"Nothing to do: {_what(summary)} are in the lake already ({summary.run_id}).")
        return
    click.echo(
        f"Patched {_what(summary)}: {summary.n_samples:,} samples, {summary.n_places} places, "
        f"{summary.n_passes:,} passes in {summary.seconds:,.1f} s ({summary.run_id})"
    )
    if summary.rejected:
        click.echo(f"{len(summary.rejected):,} samples were rejected")


def _print_effects(lake: Lake, summary: PatchSummary) -> None:
    """What all patches of that kind in the lake say, whatever this command added to them."""
    from layerhouse.printing import print_table

    of = [summary.model_id, summary.dataset_id]
    with connect(lake) as wh:
        if summary.donor_id == summary.model_id:
            rows = wh.sql(
                "SELECT module, layer, tokens, n, turned_share, unpatched_share, control_share, "
                "target_shift FROM causal_flow WHERE model_id = $1 AND dataset_id = $2 AND "
                "control = 'none' ORDER BY depth, tokens",
                of,
            ).fetchall()
            heads = ["locus", "tokens", "n", "turned", "unpatched", "controls", "shift"]
            print_table(heads, [_place(row, "{:.2f}") for row in rows])
            return
        rows = wh.sql(
            "SELECT module, layer, tokens, n, own_score, patched_score, donor_score, "
            "restored_share, lower, upper FROM restored_share WHERE model_id = $1 AND "
            "dataset_id = $2 AND donor_model_id = $3 ORDER BY depth, tokens",
            [*of, summary.donor_id],
        ).fetchall()
    heads = ["locus", "tokens", "n", "own", "patched", "donor", "restored", "lower", "upper"]
    print_table(heads, [_place(row, "{:.3f}") for row in rows])
    if rows and rows[0][7] is None:
        click.echo(
            f"{summary.donor_id} is not better beyond its 95% interval, so there is nothing of "
            "which a share could come back."
        )


def _place(row: Sequence[Any], form: str) -> list[str]:
    module, layer, tokens, n, *numbers = row
    shown = ("-" if value is None else form.format(value) for value in numbers)
    return [f"{module}.{layer}", tokens, f"{n:,}", *shown]
