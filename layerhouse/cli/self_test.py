"""What `layerhouse diagnose --self-test` takes and prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from layerhouse.cli.shared import adapter_option, progress
from layerhouse.functions import refuse_unknown_to_run
from layerhouse.parts import part
from layerhouse.printing import print_json, print_table
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
    adapter_option("--adapter", "Self-test: a LoRA's folder."),
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
def run(
    lake: Lake, model: str, dataset: str, given: dict[str, Any], form: str, **resampling: Any
) -> None:
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
        found = _found(wh, [done.model_id, done.dataset_id])
    if form == "json":
        print_json({"self_test": done, **found})
    else:
        _show(done, found)
    missed = [f"{bar['bar']}: {_share(bar['diagnosis'])} of {bar['n']}" for bar in _missed(found)]
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


Found = dict[str, list[dict[str, Any]]]


def _found(wh: Warehouse, names: list[str]) -> Found:
    """Confusions, what is detectable from where on, pairs and bars, of all trials of a model: they
    are read from the views over `fault_trial`, so earlier ones count too."""

    def records(query: str) -> list[dict[str, Any]]:
        rows = wh.sql(query, names)
        return [dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall()]

    ours = "WHERE model_id = $1 AND dataset_id = $2"
    return {
        "confusion": records(
            f"SELECT reading, injected, verdict, n_trials FROM fault_confusion {ours} "
            "AND trial_kind IN ('healthy', 'destroying') ORDER BY ALL"
        ),
        "detection": records(
            "SELECT kind, stage, min(severity) FILTER (WHERE is_reliable) AS severity, "
            "arg_min(answer_cost, severity) FILTER (WHERE is_reliable) AS answer_cost "
            f"FROM fault_detection {ours} AND trial_kind = 'destroying' "
            "GROUP BY kind, stage ORDER BY kind DESC, stage"
        ),
        "pairs": records(
            f"SELECT stages, cost_band, n_trials, n_found FROM fault_pair {ours} "
            "ORDER BY stages DESC, least_cost"
        ),
        "bars": _bars(records(f"SELECT * FROM self_test_summary {ours}")),
    }


def _bars(summaries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each bar with what both readings reach, and whether the diagnosis' own misses it."""
    own, pooled = (
        next(one for one in summaries if one["reading"] == reading) for reading in READINGS
    )
    bars = []
    for share, wanted, n, words in BARS:
        found, at_most = own[share], share == "false_alarm_share"
        is_missed = found is not None and (found > wanted if at_most else found < wanted)
        bar = {"bar": words, "n": own[n], "wanted": wanted, "is_at_most": at_most}
        bars.append(
            {**bar, "diagnosis": found, "mean_pooled": pooled[share], "is_missed": is_missed}
        )
    return bars


def _missed(found: Found) -> list[dict[str, Any]]:
    return [bar for bar in found["bars"] if bar["is_missed"]]


def _show(done: SelfTest, found: Found) -> None:
    click.echo(
        f"{done.n_run} of {done.n_trials} trials were run now ({done.seconds:.0f} s), the others "
        f"are in the lake; faults are injected into {done.model_id} on {done.dataset_id}."
    )
    for reading, title in READINGS.items():
        click.echo(f"\n{title}: injected (rows) against diagnosed")
        print_table(["injected", *VERDICTS.values()], _matrix(found["confusion"], reading))
    click.echo("\nLowest severity from which on a destroying fault is always named")
    print_table(["fault", "severity", "answer cost"], map(_detectable, found["detection"]))
    if found["pairs"]:
        click.echo("\nTwo faults at once, by what the cheaper one takes")
        heads = ["stages", "cheaper fault takes", "trials", "both present"]
        print_table(heads, [[str(value) for value in row.values()] for row in found["pairs"]])
    click.echo()
    print_table(["bar", "trials", "wanted", "diagnosis", "mean-pooled"], map(_bar, found["bars"]))


def _matrix(confusion: Sequence[Mapping[str, Any]], reading: str) -> list[list[str]]:
    of = [row for row in confusion if row["reading"] == reading]
    counts = {(row["injected"], row["verdict"]): row["n_trials"] for row in of}
    stages = [s for s in ("none", *STAGES) if any(s == i for i, _ in counts)]
    return [[stage, *(str(counts.get((stage, v), 0)) for v in VERDICTS)] for stage in stages]


def _detectable(row: Mapping[str, Any]) -> list[str]:
    fault = f"{row['kind']}@{row['stage']}"
    if row["severity"] is None:
        return [fault, "never", "–"]
    return [fault, f"{row['severity']:g}", f"{row['answer_cost']:.2f}"]


def _bar(bar: Mapping[str, Any]) -> list[str]:
    wanted = f"{'≤' if bar['is_at_most'] else '≥'} {bar['wanted']:.0%}"
    return [bar["bar"], str(bar["n"]), wanted, _share(bar["diagnosis"]), _share(bar["mean_pooled"])]


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
