"""What `layerhouse diagnose --self-test --mend` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from layerhouse.cli.shared import progress
from layerhouse.functions import refuse_unknown_to_run
from layerhouse.parts import part
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
def run(lake: Lake, model: str, dataset: str, given: dict[str, Any]) -> None:
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
        missed = show(wh, done)
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


def show(wh: Warehouse, done: Prescribed) -> list[str]:
    """Print what all damages of a model have shown on a dataset; the bars that are missed."""
    from layerhouse.printing import print_table

    click.echo(
        f"{len(done.mendings)} of {done.n_damages} damages of {done.model_id} on "
        f"{done.dataset_id} cost at least {COSTLY:.0%} and were mended."
    )
    names = [done.model_id, done.dataset_id]
    rows = wh.sql(
        "SELECT damage, cost, injected_share, advised_stage || '/' || advised_repair, "
        "advice_share FROM prescription WHERE name = $1 AND dataset_id = $2 "
        "ORDER BY stage, damage",
        names,
    ).fetchall()
    heads = ["damage", "cost", "back by its stage", "advised", "of the best"]
    print_table(heads, [[d, f"{c:.2f}", f"{s:.0%}", a or "–", _share(b)] for d, c, s, a, b in rows])
    click.echo("\nDamaged stage (rows), share of the cost that the best repair of each brings back")
    shares = {
        (damaged, mended): f"{share:.0%}"
        for damaged, mended, share in wh.sql(
            "SELECT damaged, mended, avg(share) FROM ("
            "SELECT p.stage AS damaged, r.stage AS mended, max(r.gain / p.cost) AS share "
            "FROM prescription AS p "
            "JOIN recovered_share AS r ON p.model_id = r.base_model_id "
            "AND p.dataset_id = r.dataset_id WHERE p.name = $1 AND p.dataset_id = $2 "
            "AND p.is_costly AND r.control = 'none' GROUP BY p.model_id, p.stage, r.stage) "
            "GROUP BY ALL",
            names,
        ).fetchall()
    }
    table = [[stage, *(shares.get((stage, mended), "–") for mended in STAGES)] for stage in STAGES]
    print_table(["damaged", *STAGES], table)
    return _bars(wh, names)


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _bars(wh: Warehouse, names: list[str]) -> list[str]:
    from layerhouse.printing import print_table

    rows, missed = [], []
    for holds, wanted, words in BARS:
        found, n = wh.sql(
            f"SELECT avg(CAST(coalesce({holds}, FALSE) AS INTEGER)), count(*) FROM prescription "
            "WHERE name = $1 AND dataset_id = $2 AND is_costly",
            names,
        ).fetchall()[0]
        rows.append([words, str(n), f"≥ {wanted:.0%}", _share(found)])
        if found is not None and found < wanted:
            missed.append(words)
    click.echo()
    print_table(["bar", "damages", "wanted", "found"], rows)
    return missed
