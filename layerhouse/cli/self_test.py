"""What `layerhouse diagnose --self-test` takes and prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from layerhouse.cli.shared import progress
from layerhouse.functions import refuse_unknown_to_run
from layerhouse.parts import part
from warehouse.errors import LayerhouseError, UsageError
from warehouse.vocabulary import HEALTHY, STAGE_OF, STAGES, UNDETERMINED

if TYPE_CHECKING:
    from layerhouse.self_test import SelfTest, TrialGrid
    from warehouse.catalogue import Warehouse
    from warehouse.lake import Lake

Command = TypeVar("Command", bound=Callable[..., Any])

VERDICTS = STAGE_OF | {HEALTHY: "healthy", UNDETERMINED: "undet."}
READINGS = {"diagnosis": "Diagnosis", "mean_pooled": "Mean-pooled curves alone"}
BARS = (
    ("named_share", 0.95, "n_costly", "costly faults named rightly"),
    ("false_alarm_share", 0.05, "n_healthy", "false alarms on the unmodified model"),
    ("within_share", 0.90, "n_swaps", "swaps whose closed form lies in the interval"),
    ("found_share", 0.80, "n_pairs", "costly pairs with both stages present"),
)
"""Share, what it should reach (at most, for false alarms), of how many, in words."""

_OPTIONS = (
    click.option("--self-test", is_flag=True, help="Inject known faults; are they named?"),
    click.option(
        "--mend", is_flag=True, help="Self-test: damage weights, and mend every stage of each."
    ),
    click.option("--quick", is_flag=True, help="Self-test: a small grid for a first look."),
    click.option(
        "--severities",
        metavar="S,S,…",
        help="Self-test: of destroying faults; with --mend ranks.  [0.3,0.6,0.8; 4,2,1]",
    ),
    click.option("--seeds", type=int, help="Self-test: of destroying faults and pairs.  [3]"),
    click.option("--healthy", type=int, help="Self-test: trials without a fault.  [20]"),
    click.option("--adapter", type=click.Path(path_type=Path), help="Self-test: a LoRA's folder."),
    click.option("--limit", type=click.IntRange(min=1), help="Self-test: only so many samples."),
    click.option("--device", help="Self-test: where the model runs.  [auto]"),
    click.option("--strict", is_flag=True, help="Self-test: exit 1 where a bar is missed."),
)


def self_test_options(command: Command) -> Command:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def refuse_without_self_test(given: dict[str, Any]) -> None:
    """The options above mean nothing to an ordinary diagnosis."""
    named = [name for name, value in given.items() if value]
    if named:
        raise UsageError(f"--{named[0]} belongs to --self-test; add that, or leave it out")


@part("all")
def run(lake: Lake, model: str, dataset: str, given: dict[str, Any], **resampling: Any) -> None:
    """Run the self-test, print what it found; LayerhouseError if `strict` and a bar is missed.

    `given` are the options above, `resampling` those of `Resampling`.
    """
    refuse_unknown_to_run(lake, model, dataset, given)
    from analysis.diagnosis import Resampling
    from extract.sharing import ExtractRequest
    from layerhouse.self_test import self_test

    grid = _grid(given)
    request = ExtractRequest(
        model,
        dataset,
        adapter=given["adapter"],
        limit=given["limit"],
        device=given["device"] or "auto",
    )
    with progress(f"self-test {model}") as report:
        done = self_test(
            lake, request, grid=grid, resampling=Resampling(**resampling), progress=report
        )
    from warehouse.catalogue import connect

    with connect(lake) as wh:
        missed = show(wh, done)
    if missed and given["strict"]:
        raise LayerhouseError(f"the self-test misses: {'; '.join(missed)}")


def _grid(given: dict[str, Any]) -> TrialGrid:
    from dataclasses import replace

    from layerhouse.self_test import TrialGrid

    changes: dict[str, Any] = {
        name: given[name] for name in ("seeds", "healthy") if given[name] is not None
    }
    if given["severities"]:
        try:
            changes["severities"] = tuple(float(part) for part in given["severities"].split(","))
        except ValueError as error:
            raise UsageError(
                f"--severities takes numbers like 0.3,0.6,0.8, not {given['severities']!r}"
            ) from error
    return replace(TrialGrid.quick() if given["quick"] else TrialGrid(), **changes)


def show(wh: Warehouse, done: SelfTest) -> list[str]:
    """Print both confusion matrices, what is detectable from where on, and the bars; those missed.

    Everything is read from the views over `fault_trial`, so earlier trials count too.
    """
    from layerhouse.printing import print_table

    click.echo(
        f"{done.n_run} of {done.n_trials} trials were run now ({done.seconds:.0f} s), the others "
        f"are in the lake; faults are injected into {done.model_id} on {done.dataset_id}."
    )
    names = [done.model_id, done.dataset_id]
    for reading, title in READINGS.items():
        click.echo(f"\n{title}: injected (rows) against diagnosed")
        print_table(["injected", *VERDICTS.values()], _matrix(wh, names, reading))
    click.echo("\nLowest severity from which on a destroying fault is always named")
    print_table(["fault", "severity", "answer cost"], _detectable(wh, names))
    if pairs := _pairs(wh, names):
        click.echo("\nTwo faults at once, by what the cheaper one takes")
        print_table(["stages", "cheaper fault takes", "trials", "both present"], pairs)
    click.echo()
    return _bars(wh, names)


def _matrix(wh: Warehouse, names: list[str], reading: str) -> list[list[Any]]:
    rows = wh.sql(
        "SELECT injected, verdict, n_trials FROM fault_confusion WHERE model_id = $1 "
        "AND dataset_id = $2 AND reading = $3 AND trial_kind IN ('healthy', 'destroying')",
        [*names, reading],
    ).fetchall()
    counts = {(injected, verdict): n for injected, verdict, n in rows}
    stages = [s for s in ("none", *STAGES) if any(s == i for i, _ in counts)]
    return [[stage, *(str(counts.get((stage, v), 0)) for v in VERDICTS)] for stage in stages]


def _detectable(wh: Warehouse, names: list[str]) -> list[list[Any]]:
    rows = wh.sql(
        "SELECT kind, stage, min(severity) FILTER (WHERE is_reliable), "
        "arg_min(answer_cost, severity) FILTER (WHERE is_reliable) FROM fault_detection "
        "WHERE model_id = $1 AND dataset_id = $2 AND trial_kind = 'destroying' "
        "GROUP BY kind, stage ORDER BY kind DESC, stage",
        names,
    ).fetchall()
    return [
        [f"{kind}@{stage}", *(("never", "–") if least is None else (f"{least:g}", f"{cost:.2f}"))]
        for kind, stage, least, cost in rows
    ]


def _pairs(wh: Warehouse, names: list[str]) -> list[list[Any]]:
    rows = wh.sql(
        "SELECT stages, cost_band, n_trials, n_found FROM fault_pair WHERE model_id = $1 "
        "AND dataset_id = $2 ORDER BY stages DESC, least_cost",
        names,
    ).fetchall()
    return [[stages, band, str(n), str(found)] for stages, band, n, found in rows]


def _bars(wh: Warehouse, names: list[str]) -> list[str]:
    """Print each bar for both readings; the diagnosis' own that are missed, in words."""
    from layerhouse.printing import print_table

    columns = ", ".join(f"{share}, {n}" for share, _, n, _ in BARS)
    rows: dict[str, Sequence[Any]] = {
        row[0]: row[1:]
        for row in wh.sql(
            f"SELECT reading, {columns} FROM self_test_summary "
            "WHERE model_id = $1 AND dataset_id = $2",
            names,
        ).fetchall()
    }
    table, missed = [], []
    for index, (share, bar, _, words) in enumerate(BARS):
        own, n = rows["diagnosis"][2 * index : 2 * index + 2]
        pooled = rows["mean_pooled"][2 * index]
        most = share == "false_alarm_share"
        table.append(
            [words, str(n), f"{'≤' if most else '≥'} {bar:.0%}", _share(own), _share(pooled)]
        )
        if own is not None and (own > bar if most else own < bar):
            missed.append(f"{words}: {_share(own)} of {n}")
    print_table(["bar", "trials", "wanted", "diagnosis", "mean-pooled"], table)
    return missed


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
