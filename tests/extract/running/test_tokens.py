"""Image tokens that are kept: whole, where they belong, and whatever happens meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from extract.running.dry_run import outlook
from extract.running.extraction import ExtractRequest, extract
from extract.sharing import ledger
from tests.checks import broken
from tests.tables import tables
from warehouse.errors import LayerhouseError
from warehouse.lake import compact, free, remove_samples, removed_samples, still_held
from warehouse.lake.lake import Lake
from warehouse.lake.runs import RunWriter
from warehouse.lake.standing import list_commits

N = 6
WHERE = [("connector", 0), ("vision", 1)]
EVERY = """
SELECT module, layer, sample_id, token, row, "column", vector FROM token_activation
WHERE model_id = $1 ORDER BY ALL
"""
AVERAGED = """
SELECT t.module, t.layer, t.sample_id, max(abs(t.average - a.vector[t.place]))
FROM (
    SELECT module, layer, sample_id, place, avg(vector[place]) AS average
    FROM token_activation, range(1, 1 + len(vector)) AS places (place)
    GROUP BY ALL
) AS t INNER JOIN activation AS a USING (module, layer, sample_id)
WHERE a.readout = 'mean'
GROUP BY ALL
"""


def _extract(lake: Lake, folder: Path, *readouts: str, **changes: Any) -> Any:
    asked = {"limit": N, "answers": ("likelihood",), "readouts": readouts or ("tokens",), **changes}
    return extract(lake, ExtractRequest(str(folder), "pictures", **asked))


def _tokens(lake: Lake, model_id: str = "llava") -> dict[tuple[Any, ...], Any]:
    with tables(lake) as wh:
        rows = wh.sql(EVERY, [model_id]).fetchall()
    found = {tuple(row[:4]): (row[4], row[5], np.array(row[6], np.float32)) for row in rows}
    assert len(found) == len(rows), "a token was written twice"
    return found


def _assert_same(lake: Lake, expected: Lake) -> None:
    one, other = _tokens(lake), _tokens(expected)
    assert one.keys() == other.keys()
    for key, (row, column, vector) in one.items():
        assert (row, column) == other[key][:2]
        np.testing.assert_allclose(vector, other[key][2], rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def undisturbed(
    registered_lake: Path, llava_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Lake:
    """Tokens, and averages beside them. Readers only."""
    lake = Lake.at(tmp_path_factory.mktemp("undisturbed") / "lake")
    registered = Lake.at(registered_lake)
    lake.root.mkdir()
    for path in registered.root.rglob("*"):
        if path.is_file():
            to = lake.root / path.relative_to(registered.root)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(path.read_bytes())
    _extract(lake, llava_folder, "mean", "tokens", modules=("vision", "connector"))
    return lake


def test_every_token_of_the_ends_is_kept_in_its_place(undisturbed: Lake) -> None:
    held = _tokens(undisturbed)
    assert sorted({key[:2] for key in held}) == WHERE
    side = max(row for row, _, _ in held.values()) + 1
    assert len(held) == len(WHERE) * N * side**2
    for (_, _, _, token), (row, column, _) in held.items():
        assert (row, column) == divmod(token, side)
    with tables(undisturbed) as wh:
        apart = wh.sql(AVERAGED).fetchall()
        named, matrix = wh.token_vectors("llava", "pictures", *WHERE[1])
        assert wh.token_vectors("llava", "pictures", "llm", 0) == (
            [],
            pytest.approx(np.empty((0, 0))),
        )
    assert len(apart) == len(WHERE) * N
    assert max(row[3] for row in apart) < 1e-4
    ours = [(key[2], vector) for key, (_, _, vector) in sorted(held.items()) if key[0] == "vision"]
    assert named == [name for name, _ in ours]
    assert np.array_equal(matrix, [vector for _, vector in ours])
    assert broken(undisturbed) == set()


def test_averages_alone_are_followed_by_tokens_alone(lake: Lake, llava_folder: Path) -> None:
    first = _extract(lake, llava_folder, "mean")
    assert first.n_tokens == 0
    request = ExtractRequest(
        str(llava_folder), "pictures", limit=N, answers=("likelihood",), readouts=("tokens",)
    )
    plan = outlook(lake, request)
    summary = _extract(lake, llava_folder, batch_size=4)
    assert summary.added
    assert (summary.n_vectors, summary.n_tokens) == (0, plan.n_tokens)
    assert plan.n_tokens == len(_tokens(lake))
    assert 0.5 < plan.n_bytes / summary.n_bytes < 2
    assert plan.loci == {"vision": ["1 (tokens)"], "connector": ["0 (tokens)"]}
    assert not _extract(lake, llava_folder).added


@pytest.mark.slow
def test_after_a_failure_compaction_and_removal_all_others_are_there(
    lake: Lake, llava_folder: Path, undisturbed: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "range_size", lambda *_: 2)
    monkeypatch.setattr("warehouse.lake.compacting.FEWEST", 2)
    commit, made = RunWriter.commit, []

    def dying(self: RunWriter, tables: Any, covers: Any = None, **more: Any) -> Any:
        made.append(covers)
        if len(made) == 3:
            raise OSError("the power went out")
        return commit(self, tables, covers, **more)

    with monkeypatch.context() as failing:
        failing.setattr(RunWriter, "commit", dying)
        with pytest.raises(OSError, match="the power went out"):
            _extract(lake, llava_folder)
    assert _extract(lake, llava_folder).added
    _assert_same(lake, undisturbed)
    assert [one.joined for one in compact(lake)] != [None]
    _assert_same(lake, undisturbed)
    removed = sorted({key[2] for key in _tokens(lake)})[1]
    remove_samples(lake, "pictures", [removed])
    assert not _extract(lake, llava_folder).added
    free(lake)
    assert list(still_held(lake, removed_samples(lake))) == []
    left = {key for key in _tokens(undisturbed) if key[2] != removed}
    assert _tokens(lake).keys() == left
    assert broken(lake) == set()


def test_a_range_that_lost_tokens_is_no_whole_run(
    lake: Lake, llava_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = RunWriter.commit

    def losing(self: RunWriter, tables: Any, covers: Any = None, **more: Any) -> Any:
        if "token_activation" in tables:
            tables["token_activation"] = tables["token_activation"].slice(1)
        return commit(self, tables, covers, **more)

    monkeypatch.setattr(RunWriter, "commit", losing)
    with pytest.raises(LayerhouseError, match=r"rows in its shards where \d+ are due"):
        _extract(lake, llava_folder)


def test_a_fault_strikes_the_tokens_too(lake: Lake, llava_folder: Path, undisturbed: Lake) -> None:
    _extract(lake, llava_folder, faults=("noise@vision:2",))
    (model_id,) = {c.model_id for c in list_commits(lake, command="extract")}
    struck, healthy = _tokens(lake, model_id), _tokens(undisturbed)
    assert struck.keys() == healthy.keys()
    assert not any(np.allclose(struck[key][2], healthy[key][2]) for key in struck)
