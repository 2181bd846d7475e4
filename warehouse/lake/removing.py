"""Taking out what a mistake left in a lake: datasets, models, runs.

A removal is a commit like any other, of a run that names the runs it takes out: from then on nobody
reads their commits, and nothing of them was touched. Their files go later, on request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from warehouse.errors import LayerhouseError, UsageError, nearest
from warehouse.lake.commits import Commit
from warehouse.lake.facts import REMOVE, SAMPLES, RunFacts, TakenOut
from warehouse.lake.inspection import Stock, take_stock
from warehouse.lake.lake import Lake
from warehouse.lake.runs import OvertakenError, RunSpec, RunWriter

ATTEMPTS = 10
"""How often a removal looks again because somebody added to what it takes out."""


@dataclass(frozen=True)
class RemovedRun:
    """One run that a removal takes out, and what it had committed."""

    facts: RunFacts
    last: int
    n_shards: int
    n_rows: int
    n_bytes: int


@dataclass(frozen=True)
class Removal:
    """What is taken out under a name: its own `runs`, and the `dependents` that rest on them.

    `variants` are models made from a model that is removed; they stay. `run_id` is the removal's
    own run, None where nothing was done yet; there are no runs where it had been done before.
    """

    kind: str
    name: str
    runs: tuple[RemovedRun, ...]
    dependents: tuple[RemovedRun, ...] = ()
    variants: tuple[str, ...] = ()
    run_id: str | None = None


def remove(
    lake: Lake, kind: str, name: str, *, with_dependents: bool = False, dry_run: bool = False
) -> Removal:
    """Take a dataset, a model or a run out of a lake, in one commit.

    A dataset is its registration, a model all of its runs. Other runs may rest on these: what was
    extracted from a dataset, probes of what was extracted, comparisons with the model. They are
    taken out with it where `with_dependents` says so. With `dry_run` nothing is done but to say
    what would be. What had been removed before is no error.

    Raises UsageError for a name the lake does not hold, and LayerhouseError where runs rest on it
    that are to stay, or somebody goes on adding to it.
    """
    lake.require()
    for _ in range(ATTEMPTS):
        looked = frozenset(lake.store.commit_names())
        planned = _planned(take_stock(lake), kind, name)
        if dry_run or not planned.runs:
            return planned
        if planned.dependents and not with_dependents:
            raise LayerhouseError(_refusal(planned))
        try:
            return _commit(lake, planned, looked)
        except OvertakenError:
            continue
    raise LayerhouseError(
        f"runs are being added to the {kind} {name} all the time; stop what extracts, probes or "
        "diagnoses it, then remove it again"
    )


def _planned(stock: Stock, kind: str, name: str) -> Removal:
    runs = runs_of(stock.commits)
    own = [one for one in runs if one.facts.command != REMOVE and _is_named(one.facts, kind, name)]
    if not own:
        return _done_before(stock, runs, kind, name)
    return Removal(
        kind,
        name,
        tuple(own),
        tuple(_resting(runs, own)),
        tuple(_variants(runs, name)) if kind == "model" else (),
    )


def runs_of(commits: Iterable[Commit]) -> list[RemovedRun]:
    """All runs that these commits, oldest first, are of."""
    grouped: dict[str, list[Commit]] = {}
    for commit in commits:
        grouped.setdefault(commit.of, []).append(commit)
    return [_run(each) for each in grouped.values()]


def _run(commits: Sequence[Commit]) -> RemovedRun:
    shards = [shard for commit in commits for shard in commit.shards]
    facts = [one.facts for commit in commits for one in commit.work]
    return RemovedRun(
        facts=replace(facts[-1], registers=any(one.registers for one in facts)),
        last=max(max(commit.numbers) for commit in commits),
        n_shards=len(shards),
        n_rows=sum(shard.rows for shard in shards),
        n_bytes=sum(shard.bytes for shard in shards),
    )


def _is_named(facts: RunFacts, kind: str, name: str) -> bool:
    if kind == "dataset":
        return facts.registers and facts.dataset_id == name
    return name == (facts.model_id if kind == "model" else facts.run_id)


def _resting(runs: Sequence[RemovedRun], own: Sequence[RemovedRun]) -> list[RemovedRun]:
    """The other runs that rest on these, directly or through others."""
    gone, left = list(own), [one for one in runs if one not in own]
    if any(one.facts.registers for one in left):  # a dataset stays while one registration does
        stays = {one.facts.dataset_id for one in left if one.facts.registers}
        gone = [one for one in gone if not (one.facts.registers and one.facts.dataset_id in stays)]
    found: list[RemovedRun] = []
    for one in gone:  # which grows
        more = [other for other in left if other.facts.rests_on(one.facts)]
        left = [other for other in left if other not in more]
        found += more
        gone += more
    return found


def _variants(runs: Iterable[RemovedRun], name: str) -> list[str]:
    models = {one.facts.model_id for one in runs if one.facts.model_id is not None}
    return sorted(model for model in models if model.startswith(f"{name}+"))


def _done_before(stock: Stock, runs: Iterable[RemovedRun], kind: str, name: str) -> Removal:
    """The removal that took it out already. Raises UsageError with the nearest names for others."""
    for commit in stock.commits[::-1]:
        if any(_is_named(one.run, kind, name) for one in commit.removes):
            return Removal(kind, name, (), run_id=commit.run_id)
    if kind == "run" and name.startswith(f"{REMOVE}-"):
        raise UsageError(f"{name} is a removal, which is not taken back; run the commands again")
    facts = [one.facts for one in runs if one.facts.command != REMOVE]
    known: dict[str, set[str | None]] = {
        "dataset": {one.dataset_id for one in facts if one.registers},
        "model": {one.model_id for one in facts},
        "run": {one.run_id for one in facts},
    }
    hint = nearest(name, [each for each in known[kind] if each is not None])
    raise UsageError(f"the lake holds no {kind} {name!r}{hint}")


def _refusal(planned: Removal) -> str:
    n, first = len(planned.dependents), planned.dependents[0].facts.run_id
    others = f"{n} runs rest" if n > 1 else "1 run rests"
    return (
        f"{others} on the {planned.kind} {planned.name} ({first}{', …' if n > 1 else ''}); "
        "add --with-dependents to take them out with it, or --dry-run to see what they are"
    )


def _commit(lake: Lake, planned: Removal, looked: frozenset[str]) -> Removal:
    """Raises OvertakenError where anything was added since to what is taken out."""
    taken = [*planned.runs, *planned.dependents]
    removes = [asdict(TakenOut(one.facts, one.last)) for one in taken]
    config: dict[str, Any] = {"what": planned.kind, "name": planned.name, "removes": removes}
    lasts = {one.facts.run_id: one.last for one in taken}

    def adds(commit: Commit) -> bool:
        facts = commit.facts
        if commit.run_id in lasts:
            return commit.n > lasts[commit.run_id]
        is_own = planned.kind != "run" and _is_named(facts, planned.kind, planned.name)
        return is_own or any(facts.rests_on(one.facts) for one in taken)

    with RunWriter(lake, RunSpec(REMOVE, config=config), looked) as writer:
        writer.commit({"removed_run": list(map(removed_row, taken))}, clashes=adds, finished=True)
        return replace(planned, run_id=writer.run_id)


def renew(lake: Lake, stock: Stock, spec: RunSpec) -> None:
    """Write the commit of a removal once more, of a lake that held this before it lost it."""
    recorded = [*stock.commits, *stock.removed]
    rows = []
    for one in spec.config["removes"]:
        name, last = one["run"]["run_id"], one["last"]
        of_run = [one for one in recorded if one.of == name and max(one.numbers) <= last]
        rows += [removed_row(_run(of_run))] if of_run else []
    tables = {"removed_run": rows, "removed_sample": sample_rows(spec.config)}
    with RunWriter(lake, spec) as writer:
        writer.commit({name: each for name, each in tables.items() if each}, finished=True)


def sample_rows(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of `removed_sample` that a removal of this configuration writes."""
    return [{"dataset_id": config["name"], **one} for one in config.get(SAMPLES, ())]


def removed_row(one: RemovedRun) -> dict[str, Any]:
    return {
        "removed_run_id": one.facts.run_id,
        "command": one.facts.command,
        "model_id": one.facts.model_id,
        "dataset_id": one.facts.dataset_id,
        "last_commit": one.last,
        "n_shards": one.n_shards,
        "n_rows": one.n_rows,
        "n_bytes": one.n_bytes,
    }
