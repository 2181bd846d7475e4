from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from layerhouse.cli.prescription import run as run_prescription
from layerhouse.cli.self_test import (
    refuse_without_self_test,
    run as run_self_test,
    self_test_options,
)
from layerhouse.cli.shared import dataset_option, format_option, lake_option, model_option
from layerhouse.functions import diagnose
from layerhouse.printing import interval, print_json, print_table
from warehouse.errors import UsageError
from warehouse.lake import Lake
from warehouse.vocabulary import MARGIN, N_RESAMPLES, UNDETERMINED

if TYPE_CHECKING:
    from analysis.diagnosis import Diagnosis, Mark


@click.command("diagnose", short_help="Where is the class lost? Losses, intervals, a verdict.")
@model_option("A model in the lake.")
@dataset_option("A dataset in the lake.")
@click.option("--resamples", type=int, default=N_RESAMPLES, show_default=True)
@click.option(
    "--margin",
    type=float,
    default=MARGIN,
    show_default=True,
    help="A failure mode is present when its lower bound exceeds this.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--method",
    metavar="METHOD",
    help="The answer that is diagnosed: generate, likelihood, sampled:KxT, imported:NAME; auto "
    "leaves it to the rule again. It counts until another is chosen.",
)
@click.option("--prompt", metavar="NAME", help="The prompt whose answer is diagnosed, likewise.")
@self_test_options
@format_option
@lake_option
def command(
    model: str,
    dataset: str,
    resamples: int,
    margin: float,
    seed: int,
    method: str | None,
    prompt: str | None,
    form: str,
    lake: Lake,
    self_test: bool,
    **given: Any,
) -> None:
    """Attribute the lost accuracy to the stages of the pipeline and store the verdict.

    With --self-test, ask instead how far such verdicts are to be trusted: known faults are injected
    into the model (a registry name or a folder), diagnosed, and compared with what was injected.
    With --mend too, weights are damaged and every stage of each damage is mended: does the cheapest
    good repair lie where the damage is?

    \b
    layerhouse diagnose --model tiny-digits --dataset digits
    layerhouse diagnose --model tiny-digits --dataset digits --format json
    layerhouse diagnose --model tiny-digits --dataset digits --self-test --quick
    layerhouse diagnose --model tiny-digits --dataset digits --self-test --mend --seeds 1
    """
    if self_test:
        _refuse_beside_self_test(method or prompt)
        if given.pop("mend"):
            run_prescription(lake, model, dataset, given, form)
            return
        resampling = {"n_resamples": resamples, "margin": margin, "seed": seed}
        run_self_test(lake, model, dataset, given, form, **resampling)
        return
    refuse_without_self_test(given)
    diagnosis = diagnose(
        model,
        dataset,
        resamples=resamples,
        margin=margin,
        seed=seed,
        method=method,
        prompt=prompt,
        lake=lake,
    )
    if form == "json":
        print_json(diagnosis)
        return
    _tell(diagnosis)


def _refuse_beside_self_test(answer: str | None) -> None:
    if answer:
        raise UsageError(
            "--method and --prompt choose a stored answer; leave them out of --self-test"
        )


def _tell(diagnosis: Diagnosis) -> None:
    if not diagnosis.added and diagnosis.run_id:
        click.echo(f"Nothing to do: this diagnosis is in the lake already ({diagnosis.run_id}).")
    show(diagnosis)


def show(diagnosis: Diagnosis) -> None:
    """Print what three kinds of evidence say of each failure mode, and the verdict's sentence."""
    from analysis.diagnosis import unmeasured

    marks = {mark.failure_mode: mark for mark in diagnosis.marks.modes}
    rows = [
        [
            row.failure_mode,
            interval(row.loss, row.lower, row.upper),
            *_others(marks.get(row.failure_mode)),
            "primary" if row.is_primary else "present" if row.is_present else "",
        ]
        for row in diagnosis.rows
    ]
    print_table(["failure mode", "loss [95% interval]", "patch --from", "mend", ""], rows)
    if diagnosis.places:
        click.echo(f"Read: {', '.join(map(str, diagnosis.places))}")
    if diagnosis.answer is not None:
        click.echo(f"Answer: {diagnosis.answer}")
    for line in unmeasured(diagnosis.marks):
        click.echo(f"{line}.")
    click.echo(f"Verdict: {diagnosis.verdict}")
    click.echo(diagnosis.sentence)
    if diagnosis.reason and diagnosis.verdict != UNDETERMINED:
        click.echo(f"Note: {diagnosis.reason}")


def _others(mark: Mark | None) -> list[str]:
    """What comes back with a better model's states, and with the best repair of the stage."""
    if mark is None:
        return ["not measured"] * 2
    use = interval(mark.restored_share, mark.restored_lower, mark.restored_upper)
    cure = interval(mark.recovered_share, mark.recovered_lower, mark.recovered_upper)
    if mark.repair is None:
        cure = _in_vain(mark)
    elif mark.recovered_share is None:
        gain = interval(mark.repair_gain, mark.repair_gain_lower, mark.repair_gain_upper)
        cure = f"gains {gain}"
    return ["not measured" if mark.use_missing is not None else use, cure]


def _in_vain(mark: Mark) -> str:
    """Of a stage without a repair that helps: what was tried."""
    if mark.tried is None:
        return "not measured"
    return "none helps" if mark.cure_missing is None else f"{mark.tried} in vain"
