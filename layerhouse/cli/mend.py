from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layerhouse.cli.shared import (
    OnceOption,
    Word,
    dataset_option,
    device_option,
    dtype_option,
    fault_option,
    format_option,
    lake_option,
    model_option,
)
from layerhouse.functions import AUTO, EVERY, mend
from layerhouse.printing import interval, print_json, print_table
from warehouse.vocabulary import STAGES

if TYPE_CHECKING:
    from analysis.diagnosis import Recovery
    from extract.mending import MendEpoch, MendOutlook, Repair, RepairOutlook
    from layerhouse.functions import Mending


@click.command("mend", short_help="Train repairs of a stage; show what they bring back.")
@model_option("A registry name, a local folder, or a hub id, as it was extracted.")
@dataset_option("A registered dataset.")
@click.option(
    "--stage",
    cls=OnceOption,
    way_out="give one of them, or --repair for each repair that is meant",
    type=Word("stage", (AUTO, EVERY, *STAGES)),
    default=(AUTO,),
    show_default=True,
    help="What to mend; auto: what --repair names, else what the diagnosis finds.",
)
@click.option("--repair", multiple=True, help="STAGE/REPAIR; repeatable.  [default: all]")
@fault_option("--fault", "The faults of weights that it was extracted with.")
@click.option(
    "--prompt", multiple=True, metavar="NAME", help="The prompt that it was extracted with."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Where repairs are saved.  [default: mended/MODEL/DATASET]",
)
@click.option("--shuffled-labels", is_flag=True, help="The control: train's labels are shuffled.")
@click.option("--epochs", type=click.IntRange(min=1), default=8, show_default=True)
@click.option("--patience", type=click.IntRange(min=1), default=2, show_default=True)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    help="[default: 1e-3, of more than 100 million parameters 2e-4; where the first epochs "
    "bring nothing, ten times that]",
)
@click.option("--batch-size", type=click.IntRange(min=1), default=16, show_default=True)
@click.option(
    "--accumulate",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Batches whose gradients make one step.",
)
@click.option("--rank", type=click.IntRange(min=1), default=8, show_default=True, help="Of a LoRA.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--budget",
    multiple=True,
    metavar="IMAGES|MINUTESmin",
    help="At most so many images of train, or minutes for each repair; repeatable.",
)
@click.option(
    "--checkpointing", is_flag=True, help="Compute activations anew: slower, in less memory."
)
@device_option
@dtype_option
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that share the batches of a step: one per GPU, or sharing the CPU.",
)
@click.option("--dry-run", is_flag=True, help="Print what it would cost; train and write nothing.")
@format_option
@lake_option
def command(dry_run: bool, form: str, **options: Any) -> None:
    """Train repairs of a model's stages, cheapest first, and show what of the loss they bring back.

    Each is trained on train, chosen on val and judged on test, or once for each fold of a
    dataset with folds; what it trained is a folder that extract takes as --adapter. The advice
    is the cheapest repair as good as the best on val.

    \b
    layerhouse mend --model tiny-digits --dataset digits --stage connector
    layerhouse mend --model tiny-digits --dataset digits --stage all --dry-run
    layerhouse mend --model tiny-digits --dataset digits --fault damage@connector:2 --stage all
    """
    if dry_run:
        plan = mend(**options, dry_run=True)
        if form == "json":
            print_json(plan)
        else:
            _show_outlook(plan)
        return
    done = mend(**options, on_epoch=_show_epoch)
    if form == "json":
        print_json(_document(done))
    else:
        _show(done)


def _document(done: Mending) -> dict[str, Any]:
    """Its fields; a repair by its title, with the epoch that was kept."""
    mended = [
        {
            "repair": one.repair.title,
            "folder": one.folder,
            "n_parameters": one.n_parameters,
            "was_there": one.was_there,
            "best": one.best,
        }
        for one in done.mended
    ]
    return {
        "model_id": done.model_id,
        "dataset_id": done.dataset_id,
        "mended": mended,
        "recoveries": done.recoveries,
        "advised": None if done.advised is None else done.advised.title,
    }


def _show_outlook(plan: MendOutlook) -> None:
    from layerhouse.printing import print_table

    due = [one for one in plan.repairs if not one.was_there]
    for one in plan.repairs:
        if one.was_there:
            click.echo(f"{one.title} is there already: {one.folder}")
    if not due:
        return
    click.echo(
        f"Would mend {plan.model_id} on {plan.dataset_id} on {plan.device} in {plan.dtype}: "
        f"{plan.n_train:,} images to learn from, {plan.n_val:,} to choose on; at most (measured on "
        f"a batch of {plan.n_measured}; nothing was written)"
    )
    heads = ["repair", "parameters", "epochs", "steps", "seconds", "memory", "with checkpointing"]
    print_table([*heads, "disk", "until it is done"], [_planned(one) for one in due])
    if plan.n_folds is not None:
        click.echo(
            f"By folds: each repair is {plan.n_folds} trainings, one for each fold, and as many "
            "models are loaded to extract it; epochs, steps, seconds and disk are of all together."
        )
    click.echo("Memory without what is held in passing; each is then extracted, and compared.")


def _planned(one: RepairOutlook) -> list[str]:
    parameters = "–" if one.n_parameters is None else f"{one.n_parameters:,}"
    took, memory = f"{one.seconds:,.0f}", one.footprint
    if memory is None:
        return [one.title, parameters, "–", "–", took, "–", "–", _size(one.disk), "–"]
    learned = f" (behind {one.n_learned})" if one.n_learned else ""
    return [
        one.title,
        parameters,
        f"{one.n_epochs}{learned}",
        f"{one.n_steps:,}",
        took,
        _size(memory.plain),
        "–" if memory.checkpointed is None else _size(memory.checkpointed),
        _size(one.disk),
        _size(one.disk_unfinished),
    ]


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.1f} MB"


def _show_epoch(repair: Repair, epoch: MendEpoch) -> None:
    rate = "" if epoch.learning_rate is None else f" at {epoch.learning_rate:g}"
    click.echo(
        f"{repair.title}: {epoch.number or 'before'}{rate}, val score {epoch.val_score:.3f}, "
        f"val loss {epoch.val_loss:.3f}, {epoch.seconds:.0f} s",
        err=True,
    )


def _show(done: Mending) -> None:
    from analysis.diagnosis import advice, of_two_methods

    for one in done.mended:
        already = " (trained before)" if one.was_there else ""
        helps = "" if one.best.number else "; nothing of it was better on val than no repair"
        click.echo(f"{one.repair.title}: {one.folder}{already}{helps}")
    if not done.recoveries:
        return
    click.echo(f"\nRepairs of {done.model_id} on {done.dataset_id}, by parameters")
    rows = [
        [
            one.title + (f" ({one.control})" if one.control != "none" else ""),
            f"{one.n_parameters:,}",
            f"{one.answered_before:.3f} → {one.answered_after:.3f}",
            interval(one.gain, one.gain_lower, one.gain_upper),
            _share(one.stage_share),
            _share(one.total_share),
            _ranked(one),
        ]
        for one in done.recoveries
    ]
    heads = ["repair", "parameters", "answer", "gain [95% interval]", "of stage", "of all"]
    print_table([*heads, "AUROC gain"], rows)
    for each in done.recoveries:
        if not each.is_of_one_method:
            click.echo(f"Note: {of_two_methods(each)}.")
    told = "none of these repairs helps on val" if done.advised is None else advice(done.advised)
    click.echo(f"Advice: {told}.")


def _ranked(one: Recovery) -> str:
    told = interval(one.auroc_gain, one.auroc_lower, one.auroc_upper)
    return f"{told}, calibration" if one.is_calibration else told


def _share(share: float | None) -> str:
    """Above 1 the losses of other stages come back too, and by how much is no share of this one."""
    return "–" if share is None else f"{share:.0%}" if share <= 1 else "over 100%"
