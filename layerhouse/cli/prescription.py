"""What `layerhouse diagnose --self-test --mend` prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from layerhouse.cli.shared import progress
from layerhouse.functions import refuse_unknown_to_run
from layerhouse.parts import part
from layerhouse.printing import print_json, print_table
from warehouse.errors import LayerhouseError, UsageError
from warehouse.vocabulary import COSTLY, STAGES

if TYPE_CHECKING:
    from layerhouse.self_test import Prescribed, PrescriptionGrid
    from warehouse.catalogue import Warehouse
    from warehouse.lake import Lake

MEANINGLESS = ("quick", "healthy", "adapter", "limit")
BARS = (
    ("injected_share >= 0.8", 0.90, "mending the damaged stage brings back 80% of the cost"),
    ("is_named", 0.85, "the advised repair is of the damaged stage"),
    ("advice_share >= 0.9", 0.90, "the advised repair gives 90% of what the best one gives"),
)
"""What should hold, in how large a share of costly damages, in words."""


@part("all")
def run(lake: Lake, model: str, dataset: str, given: dict[str, Any], form: str) -> None:
    """Damage and mend, print the matrices and bars; LayerhouseError if `strict` and one is missed.

    `given` are the options of the self-test.
    """
    named = [name for name in MEANINGLESS if given[name]]
    if named:
        raise UsageError(f"--{named[0]} means nothing where weights are damaged; leave it out")
    refuse_unknown_to_run(lake, model, dataset, given)
    from layerhouse.self_test import prescribe

    with progress(f"prescription test {model}") as report:
        done = prescribe(
            lake,
            model,
            dataset,
            grid=_grid(given),
            device=given["device"] or "auto",
            progress=report,
        )
    from warehouse.catalogue import connect

    with connect(lake) as wh:
        found = found_in(wh, [done.model_id, done.dataset_id])
    if form == "json":
        told = {name: getattr(done, name) for name in ("model_id", "dataset_id", "n_damages")}
        print_json({**told, "n_costly": len(done.mendings), **found})
    else:
        show(done, found)
    missed = [bar["bar"] for bar in found["bars"] if bar["is_missed"]]
    if missed and given["strict"]:
        raise LayerhouseError(f"the prescription test misses: {'; '.join(missed)}")


def _grid(given: dict[str, Any]) -> PrescriptionGrid:
    from layerhouse.self_test import PrescriptionGrid

    told: dict[str, Any] = {"seeds": given["seeds"]} if given["seeds"] is not None else {}
    if given["severities"]:
        try:
            told["severities"] = tuple(float(part) for part in given["severities"].split(","))
        except ValueError as error:
            raise UsageError(
                f"--severities takes ranks like 4,2,1, not {given['severities']!r}"
            ) from error
    return PrescriptionGrid(**told)


Found = dict[str, list[dict[str, Any]]]


def found_in(wh: Warehouse, names: list[str]) -> Found:
    """Damages, what the best repair of each stage brings back of them, and bars: of all damages of
    a model on a dataset that the lake knows."""

    def records(query: str) -> list[dict[str, Any]]:
        rows = wh.sql(query, names)
        return [dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall()]

    return {
        "damages": records(
            "SELECT damage, cost, injected_share, advised_stage || '/' || advised_repair AS "
            "advised, advice_share FROM prescription WHERE name = $1 AND dataset_id = $2 "
            "ORDER BY stage, damage"
        ),
        "brought_back": records(
            "SELECT damaged, mended, avg(share) AS share FROM ("
            "SELECT p.stage AS damaged, r.stage AS mended, max(r.gain / p.cost) AS share "
            "FROM prescription AS p "
            "JOIN recovered_share AS r ON p.model_id = r.base_model_id "
            "AND p.dataset_id = r.dataset_id WHERE p.name = $1 AND p.dataset_id = $2 "
            "AND p.is_costly AND r.control = 'none' GROUP BY p.model_id, p.stage, r.stage) "
            "GROUP BY ALL ORDER BY ALL"
        ),
        "bars": [_bar(records, *bar) for bar in BARS],
    }


def _bar(
    records: Callable[[str], list[dict[str, Any]]], holds: str, wanted: float, words: str
) -> dict[str, Any]:
    (row,) = records(
        f"SELECT avg(CAST(coalesce({holds}, FALSE) AS INTEGER)) AS found, count(*) AS n "
        "FROM prescription WHERE name = $1 AND dataset_id = $2 AND is_costly"
    )
    is_missed = row["found"] is not None and row["found"] < wanted
    return {"bar": words, "wanted": wanted, **row, "is_missed": is_missed}


def show(done: Prescribed, found: Found) -> None:
    click.echo(
        f"{len(done.mendings)} of {done.n_damages} damages of {done.model_id} on "
        f"{done.dataset_id} cost at least {COSTLY:.0%} and were mended."
    )
    heads = ["damage", "cost", "back by its stage", "advised", "of the best"]
    print_table(heads, [_damage(*row.values()) for row in found["damages"]])
    click.echo("\nDamaged stage (rows), share of the cost that the best repair of each brings back")
    shares = {
        (row["damaged"], row["mended"]): _share(row["share"]) for row in found["brought_back"]
    }
    table = [[stage, *(shares.get((stage, mended), "–") for mended in STAGES)] for stage in STAGES]
    print_table(["damaged", *STAGES], table)
    click.echo()
    rows = [
        [bar["bar"], str(bar["n"]), f"≥ {bar['wanted']:.0%}", _share(bar["found"])]
        for bar in found["bars"]
    ]
    print_table(["bar", "damages", "wanted", "found"], rows)


def _damage(damage: str, cost: float, back: float, advised: str | None, of: float) -> list[str]:
    return [damage, f"{cost:.2f}", _share(back), advised or "–", _share(of)]


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"
