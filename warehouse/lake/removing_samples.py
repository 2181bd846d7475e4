"""Taking single samples out of a dataset: of a patient who withdraws, or what never belonged there.

A removal like any other says which samples no reader sees from then on, and takes out the runs that
counted or fitted over all samples. Then the commits that hold the samples' rows are written anew
without them, as compactions are; what they took the place of goes when space is freed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.lake.commits import Commit
from warehouse.lake.compacting import Compaction
from warehouse.lake.erasing import erase
from warehouse.lake.facts import REMOVE, SAMPLES, TakenOut
from warehouse.lake.inspection import Stock, take_stock
from warehouse.lake.lake import Lake
from warehouse.lake.removing import ATTEMPTS, RemovedRun, removed_row, runs_of, sample_rows
from warehouse.lake.rewriting import read_rows
from warehouse.lake.runs import OvertakenError, RunSpec, RunWriter
from warehouse.lake.samples import mark_of, sample_order


@dataclass(frozen=True)
class SampleRemoval:
    """What is taken out of a dataset: `samples`, none where that had been done before, and the runs
    that were made over all of its samples, with their newest `rows`. `run_id` is the removal's own
    run, None where nothing was done yet; `rewritten` are the commits that were written anew without
    the samples."""

    dataset_id: str
    samples: tuple[str, ...]
    dependents: tuple[RemovedRun, ...] = ()
    rows: tuple[dict[str, Any], ...] = ()
    run_id: str | None = None
    rewritten: tuple[Compaction, ...] = ()


def remove_samples(
    lake: Lake,
    dataset_id: str,
    samples: Collection[str] = (),
    groups: Collection[str] = (),
    *,
    with_dependents: bool = False,
    dry_run: bool = False,
) -> SampleRemoval:
    """Take samples, and all samples of groups, out of a dataset of a lake.

    Probes, baselines, diagnoses and whatever else was made over all samples would stand for
    another set: they are taken out too where `with_dependents` says so. Extractions and answers of
    the other samples stay. With `dry_run` nothing is done but to say what would be.

    Raises UsageError for a dataset, sample or group that the lake does not hold, LayerhouseError
    where runs rest on the samples that are to stay, or somebody goes on adding to the dataset.
    """
    lake.require()
    for _ in range(ATTEMPTS):
        looked = frozenset(lake.store.commit_names())
        stock = take_stock(lake)
        chosen = _Chosen.of(lake, stock, dataset_id, samples, groups)
        if dry_run:
            return chosen.removal()
        if chosen.dependents and not with_dependents:
            raise LayerhouseError(_refusal(chosen))
        run_id = chosen.before
        if chosen.samples:
            try:
                run_id = _commit(lake, chosen, looked)
            except OvertakenError:
                continue
        return chosen.removal(run_id, erase(lake))
    raise LayerhouseError(
        f"runs are being added to {dataset_id} all the time; stop what extracts, probes or "
        "diagnoses it, then remove the samples again"
    )


@dataclass(frozen=True)
class _Chosen:
    """The samples that are meant, with the marks of their groups and their places in the order; and
    the removal that took out those that are gone `before`."""

    dataset_id: str
    samples: tuple[str, ...]
    places: tuple[int, ...]
    groups: tuple[str, ...]
    dependents: tuple[RemovedRun, ...]
    rows: tuple[dict[str, Any], ...]
    before: str | None

    @classmethod
    def of(
        cls,
        lake: Lake,
        stock: Stock,
        dataset_id: str,
        samples: Collection[str],
        groups: Collection[str],
    ) -> _Chosen:
        held = _groups_by_sample(lake, stock, dataset_id)
        marks = stock.standing.samples.get(dataset_id, {})
        done = _removals(stock, dataset_id)
        found, before = set(), None
        for name in samples:
            if name in held:
                found.add(name)
            else:
                before = _before(done, mark_of(name), SAMPLES) or _unknown(dataset_id, name, held)
        for group in groups:
            own = {name for name, of in held.items() if of == group}
            found |= own
            if not own:
                known = held.values()
                before = _before(done, mark_of(group), "groups") or _unknown(
                    dataset_id, group, known, "samples of the group"
                )
        order = {name: at for at, name in enumerate(sample_order(held, marks.values()))}
        chosen = sorted(found)
        runs = [one for one in runs_of(stock.commits) if one.facts.counted_over(dataset_id)]
        rows = {one.run_id: one.row for commit in stock.commits for one in commit.work}
        runs = runs if chosen else []
        return cls(
            dataset_id,
            tuple(chosen),
            tuple(order[name] for name in chosen),
            tuple(sorted({mark_of(held[name]) for name in chosen})),
            tuple(runs),
            tuple(rows[one.facts.run_id] for one in runs),
            before,
        )

    def removal(
        self, run_id: str | None = None, rewritten: Iterable[Compaction] = ()
    ) -> SampleRemoval:
        run_id = run_id or self.before
        return SampleRemoval(
            self.dataset_id, self.samples, self.dependents, self.rows, run_id, tuple(rewritten)
        )


def _groups_by_sample(lake: Lake, stock: Stock, dataset_id: str) -> dict[str, str]:
    """The samples of a dataset that readers see, each with its group, as the newest row says."""
    work = [one for commit in stock.commits for one in commit.work]
    if not any(one.facts.registers and one.dataset_id == dataset_id for one in work):
        known = {one.dataset_id for one in work if one.facts.registers}
        hint = nearest(dataset_id, [name for name in known if name])
        raise UsageError(f"the lake holds no dataset {dataset_id!r}{hint}")
    found: dict[str, str] = {}
    columns = ["dataset_id", "sample_id", "group_id"]
    for commit in stock.commits:
        for shard in commit.shards if commit.dataset_id == dataset_id else ():
            if shard.table == "sample":
                rows = read_rows(lake, shard, columns).to_pylist()
                of = (row for row in rows if row["dataset_id"] == dataset_id)
                found |= {row["sample_id"]: row["group_id"] for row in of}
    marks = stock.standing.samples.get(dataset_id, {})
    return {name: group for name, group in found.items() if mark_of(name) not in marks}


def _removals(stock: Stock, dataset_id: str) -> list[Commit]:
    made = [one for one in stock.commits if one.removes_samples]
    return [one for one in made if one.run["config"]["name"] == dataset_id]


def _before(done: Sequence[Commit], mark: str, what: str) -> str | None:
    """The removal that took out what has this mark, if any did."""
    for commit in done:
        said = commit.run["config"].get(what, ())
        if mark in (one["mark"] if isinstance(one, Mapping) else one for one in said):
            return commit.run_id
    return None


def _unknown(dataset_id: str, name: str, known: Collection[str], what: str = "sample") -> str:
    hint = nearest(name, sorted(set(known)))
    raise UsageError(f"{dataset_id} has no {what} {name!r}{hint}")


def _refusal(chosen: _Chosen) -> str:
    n, first = len(chosen.dependents), chosen.dependents[0].facts.run_id
    others = f"{n} runs were" if n > 1 else "1 run was"
    return (
        f"{others} made over all samples of {chosen.dataset_id} ({first}{', …' if n > 1 else ''}); "
        "add --with-dependents to take them out with the samples, or --dry-run to see what they are"
    )


def _commit(lake: Lake, chosen: _Chosen, looked: frozenset[str]) -> str:
    """Raises OvertakenError where anything was added to the dataset since."""
    taken = [asdict(TakenOut(one.facts, one.last)) for one in chosen.dependents]
    marks = [
        {"mark": mark_of(name), "place": place}
        for name, place in zip(chosen.samples, chosen.places, strict=True)
    ]
    config: dict[str, Any] = {
        "what": SAMPLES,
        "name": chosen.dataset_id,
        "removes": taken,
        SAMPLES: sorted(marks, key=lambda one: str(one["mark"])),
        "groups": list(chosen.groups),
    }

    def adds(commit: Commit) -> bool:
        return commit.dataset_id == chosen.dataset_id

    tables: dict[str, list[dict[str, Any]]] = {"removed_sample": sample_rows(config)}
    if chosen.dependents:
        tables["removed_run"] = list(map(removed_row, chosen.dependents))
    with RunWriter(lake, RunSpec(REMOVE, config=config), looked) as writer:
        writer.commit(tables, clashes=adds, finished=True)
        return writer.run_id
