"""What commits say of work done, however a stranger wrote it: agents refuse it in one sentence that
names the record, or plan what is left."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from extract.datasets import add
from extract.running.extraction import extract
from extract.sharing import (
    ExtractRequest,
    Job,
    Ledger,
    known_structure,
    ledger,
    look_up,
    refuse_other_identity,
    wanted_by,
)
from tests.trust.fuzzing import FUZZED, HOSTILE, Field, fields_of, written_otherwise
from warehouse.errors import LayerhouseError
from warehouse.lake.lake import Lake

REQUESTS = (
    ExtractRequest("tiny-digits", "pictures", samples=2, temperature=1.0, max_new_tokens=2),
    ExtractRequest(
        "tiny-digits",
        "pictures",
        answers_only=True,
        answers=("generate",),
        prompts=("letters",),
        image_controls=("blank",),
        max_new_tokens=2,
    ),
)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A run of three ranges with an image that is rejected, sampled answers and cut replies, and a
    sweep over another prompt with blank images."""
    folder = tmp_path_factory.mktemp("runs")
    random = np.random.default_rng(0)
    for n in range(12):
        path = folder / "pictures" / ("left", "right")[n % 2] / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)
    lake = Lake.at(folder / "lake")
    add(lake, "pictures", folder / "pictures")
    (folder / "pictures" / "left" / "2.png").write_bytes(b"not an image any more")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ledger, "range_size", lambda *_: 5)
        for request in REQUESTS:
            extract(lake, request)
    return lake


def _consult(jobs: Sequence[Job]) -> None:
    """All that an agent asks of the commits before it loads a model."""
    for job in jobs:
        refuse_other_identity(job)
        known = known_structure(job)
        if known is None:
            continue
        wanted, mine = wanted_by(job, *known), Ledger(job)
        mine.lacking(wanted)
        mine.summary(wanted, added=False)
        mine.check_complete(wanted)


def _outcome(jobs: Sequence[Job], name: str) -> str:
    try:
        _consult(jobs)
    except LayerhouseError as error:
        return "refused" if str(error).isprintable() else f"badly said of {name}: {error}"
    return "served"


@pytest.mark.slow
def test_what_runs_say_of_their_work_is_refused_or_planned_by(
    kept: Lake, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = Lake.at(shutil.copytree(kept.root, tmp_path_factory.mktemp("fuzzed") / "lake"))
    jobs = [look_up(lake, request) for request in REQUESTS]
    fields = fields_of(lake.commits_dir.glob("extract-*.json"), "covers", "notes", "run")
    for name in ("swept_replies", "rejected", "reasons", "anatomy", "readouts", "replies"):
        assert any(name in place for _, place in fields), name
    outcomes: Counter[str] = Counter()

    @settings(FUZZED)
    @given(
        st.sampled_from(fields),
        st.sampled_from(HOSTILE) | st.integers(-2, 9) | st.lists(st.integers(0, 9), max_size=3),
        st.sampled_from(["set", "add", "drop"]),
    )
    def fuzz(field: Field, value: Any, how: str) -> None:
        with written_otherwise(field, value, how):
            outcome = _outcome(jobs, field[0].name)
            outcomes[outcome] += 1
            assert outcome in ("refused", "served"), outcome

    fuzz()
    assert set(outcomes) == {"refused", "served"}, outcomes
    sys.stdout.write(f"fields of runs' work fuzzed: {dict(outcomes)}\n")
