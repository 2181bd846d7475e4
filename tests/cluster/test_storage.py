"""Lakes in a bucket of a real S3-compatible server, through the commands that users type."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import layerhouse
from tests.checks import broken
from tests.cluster.storage import BUCKET, moto_server, s3_server
from tests.conftest import Finished, layerhouse as command
from tests.soak import Found, assert_same, contents
from warehouse.lake.lake import Lake
from warehouse.lake.standing import list_commits
from warehouse.status import status
from warehouse.storage.objects import objects_at

pytest.importorskip("obstore", reason="lakes in buckets need obstore: pip install 'layerhouse[s3]'")

SERVER = moto_server()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        SERVER is None, reason="moto's server is not installed; `make test-storage` sets it up"
    ),
]
LIMIT = "40"
EXTRACT = ("extract", "--model", "tiny-digits", "--dataset", "digits", "--limit", LIMIT)
ANSWERED = (
    "SELECT 'activation' AS part, module, layer, readout, sample_id, "
    "round(list_sum(vector), 3) AS value FROM activation UNION ALL "
    "SELECT 'answer', method, 0, '', sample_id, predicted_class_index FROM answer "
    "ORDER BY ALL"
)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    assert SERVER is not None
    with s3_server(SERVER) as address:
        yield address


@pytest.fixture(autouse=True)
def environment(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user sets it; every test is a machine of its own, without a mirror."""
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "LAYERHOUSE_CACHE": str(tmp_path / "cache"),
        "HF_HUB_OFFLINE": "1",
    }.items():
        monkeypatch.setenv(name, value)


def run(*arguments: str, cwd: Path) -> Finished:
    done = command(*arguments, cwd=cwd)
    assert done.code == 0, done.err
    return done


def whole_path(lake: str, cwd: Path) -> dict[str, str]:
    """Every command on a lake; what they print of the rows."""
    at = ("--lake", lake)
    pair = ("--model", "tiny-digits", "--dataset", "digits")
    run(*EXTRACT, *at, cwd=cwd)
    run("probe", *pair, *at, cwd=cwd)
    run("baseline", "--dataset", "digits", "--architecture", "texture-svm", *at, cwd=cwd)
    run("diagnose", *pair, *at, cwd=cwd)
    run("report", "--out", "report.html", *at, cwd=cwd)
    run("publish", "--out", "published", *at, cwd=cwd)
    status = run("status", "--verify", *at, cwd=cwd).out
    assert "Left over" not in status
    assert "Damaged" not in status
    validated = command("validate", *at, cwd=cwd)
    queries = {
        "vectors and answers": ANSWERED,
        # The order in which a mean is added up shows in its last digit.
        "flow": "SELECT * REPLACE (round(control_accuracy, 9) AS control_accuracy, "
        "round(above_shuffled, 9) AS above_shuffled, round(selectivity, 9) AS selectivity) "
        "FROM mart_signal_flow ORDER BY ALL",
        "losses": "SELECT * FROM stage_interval ORDER BY ALL",
    }
    found = {
        name: run("sql", query, "--format", "csv", *at, cwd=cwd).out
        for name, query in queries.items()
    }
    published = sorted(path.name for path in (cwd / "published").iterdir())
    return {**found, "published": str(published), "checks": validated.out.split(" checks")[0]}


def test_every_command_does_in_a_bucket_what_it_does_in_a_folder(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("folder", "bucket")]
    for folder in folders:
        folder.mkdir()
    in_folder = whole_path("lakehouse", folders[0])
    in_bucket = whole_path(f"s3://{BUCKET}/whole/path", folders[1])
    assert in_bucket == in_folder
    assert not list(tmp_path.glob("bucket/lakehouse"))


def zeros_and_ones(folder: Path) -> Path:
    """A manifest of forty real digits of two classes, with splits."""
    digits = load_digits()
    lines = ["image_path,label,split"]
    for index in [
        *np.flatnonzero(digits.target == 0)[:24],
        *np.flatnonzero(digits.target == 1)[:16],
    ]:
        pixels = (digits.images[index] * 15.9).astype(np.uint8)
        Image.fromarray(pixels).resize((32, 32)).save(folder / f"{index:04}.png")
        split = ("train", "train", "val", "test")[len(lines) % 4]
        lines.append(f"{index:04}.png,{('zero', 'one')[digits.target[index]]},{split}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder / "manifest.csv"


def newer_path(lake: str, manifest: Path, out: Path) -> dict[str, Any]:
    """Folds, score, power, what was seen, tokens, patches and repairs; the rows that they made."""
    seen = manifest.with_name("seen.txt")
    seen.write_text("0000.png\n0001.png\n")
    folded: dict[str, Any] = {"model": "tiny-digits", "dataset": "folded", "lake": lake}
    split = {**folded, "dataset": "split"}
    layerhouse.datasets.add("split", str(manifest), score="balanced_accuracy", lake=lake)
    layerhouse.datasets.fold("split", folds=4, into="folded", lake=lake)
    layerhouse.extract(
        **folded, device="cpu", readout=["mean", "last", "tokens"], trained_on=str(seen)
    )
    for kind in ("linear", "attentive"):
        layerhouse.probe(**folded, kind=kind, seeds=1)
    layerhouse.baseline("folded", "pixels-logistic", lake=lake)
    layerhouse.diagnose(**folded, resamples=100)
    layerhouse.patch(**folded, device="cpu", module="llm", layer="3", limit=6)
    layerhouse.extract(**split, device="cpu", answer="likelihood", fault="damage@connector:2")
    layerhouse.mend(
        **split, fault="damage@connector:2", stage="connector", epochs=1, device="cpu", out=out
    )
    queries = {
        "seen": "SELECT model_id, dataset_id, sample_id FROM seen_sample",
        "folds": "SELECT * EXCLUDE run_id FROM sample_fold",
        "tokens": "SELECT module, layer, sample_id, token, round(list_sum(vector), 2) "
        "FROM token_activation",
        "patches": "SELECT sample_id, tokens, control, donor_id, predicted_class_index "
        "FROM patch_effect",
        "losses": "SELECT dataset_id, failure_mode, score, round(loss, 9) FROM stage_loss",
        "power": "SELECT dataset_id, stage, round(detectable_loss, 9) FROM detectable_loss",
        "repairs": "SELECT model_id, stage, repair, n_parameters, round(gain, 9) "
        "FROM recovered_share",
    }
    with layerhouse.connect(lake) as wh:
        return {name: sorted(wh.sql(query).fetchall(), key=str) for name, query in queries.items()}


def test_evidence_of_every_kind_is_the_same_in_a_bucket(tmp_path: Path) -> None:
    manifest = zeros_and_ones(tmp_path)
    lakes = {"folder": str(tmp_path / "lakehouse"), "bucket": f"s3://{BUCKET}/newer/path"}
    found = {name: newer_path(at, manifest, tmp_path / name) for name, at in lakes.items()}
    assert all(found["folder"].values()), {name for name, n in found["folder"].items() if not n}
    assert found["bucket"] == found["folder"]
    for at in lakes.values():
        assert not broken(Lake.at(at))


# Agents on machines of their own, which know of one another only through the bucket.

N_SAMPLES, RANGE_SIZE = 24, 4
AGENT = f"""
import sys
from extract.sharing import ledger
from layerhouse.cli import main

ledger.range_size = lambda *_: {RANGE_SIZE}
main(sys.argv[1:])
"""
ASKED = (
    *("extract", "--model", "tiny-digits", "--dataset", "digits", "--limit", str(N_SAMPLES)),
    *("--answer", "likelihood", "--batch-size", str(RANGE_SIZE), "--preparers", "0"),
)


def agent(lake: str, cache: Path, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", AGENT, *ASKED, "--lake", lake],
        cwd=folder,
        env={**os.environ, "LAYERHOUSE_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What one agent makes in a folder."""
    folder = tmp_path_factory.mktemp("undisturbed")
    process = agent(str(folder / "lake"), folder, folder)
    printed, _ = process.communicate(timeout=600)
    assert process.returncode == 0, printed
    return contents(Lake.at(folder / "lake"))


def assert_whole(lake: str, expected: Found) -> None:
    """The lake holds what it should, and every range was committed once."""
    place = Lake.at(lake)
    assert_same(contents(place), expected)
    ranges = [c.covers["start"] for c in list_commits(place) if "start" in c.covers]
    assert sorted(ranges) == list(range(0, N_SAMPLES, RANGE_SIZE))
    report = status(place, verify=True)
    assert (report.damaged, report.problem, report.unfinished) == ([], None, [])


@pytest.mark.parametrize("caches", [("one", "two"), ("same", "same")])
def test_two_agents_lose_and_double_nothing(
    tmp_path: Path, undisturbed: Found, caches: tuple[str, str]
) -> None:
    lake = f"s3://{BUCKET}/two-agents-{'-'.join(caches)}"
    agents = [agent(lake, tmp_path / cache, tmp_path) for cache in caches]
    for process in agents:
        printed, _ = process.communicate(timeout=600)
        assert process.returncode == 0, printed
    assert_whole(lake, undisturbed)


def test_agents_killed_at_random_moments_end_with_the_undisturbed_lake(
    tmp_path: Path, undisturbed: Found
) -> None:
    lake, chance, kills = f"s3://{BUCKET}/killed", random.Random(0), 0
    first = agent(lake, tmp_path / "first", tmp_path)
    while not keys(lake, "activation"):  # the first shards are there, perhaps without their commit
        assert first.poll() is None, first.communicate()[0]
        time.sleep(0.002)
    first.kill()
    first.communicate()
    while kills < 4:
        before = len(keys(lake, ""))
        running = [agent(lake, tmp_path / f"machine-{i}", tmp_path) for i in range(2)]
        # Killed soon after something was written, when there is the most to break.
        while len(keys(lake, "")) == before and any(one.poll() is None for one in running):
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.1))
        for process in running:
            process.kill()
            process.communicate()
            kills += process.returncode == -signal.SIGKILL
        if all(process.returncode == 0 for process in running):
            break
    last = agent(lake, tmp_path / "last", tmp_path)
    printed, _ = last.communicate(timeout=600)
    assert last.returncode == 0, printed
    assert_whole(lake, undisturbed)


def keys(lake: str, prefix: str) -> list[str]:
    return sorted(objects_at(lake).entries(prefix))


def test_a_damaged_object_is_found_taken_out_and_done_again(
    tmp_path: Path, undisturbed: Found
) -> None:
    lake = f"s3://{BUCKET}/damaged"
    assert agent(lake, tmp_path / "cache", tmp_path).wait(600) == 0
    damaged = keys(lake, "activation")[0]
    objects = objects_at(lake)
    content = bytearray(objects.read(damaged))
    content[len(content) // 2] ^= 1
    objects.delete([damaged])
    assert objects.create(damaged, bytes(content))
    verified = command("status", "--verify", "--lake", lake, cwd=tmp_path)
    assert verified.code == 1
    assert f"Damaged: {damaged}, has another checksum" in verified.out
    repaired = run("status", "--repair", "--lake", lake, cwd=tmp_path)
    assert "Quarantined: extract-" in repaired.out
    assert any(key.endswith(damaged) for key in keys(lake, "quarantine"))
    assert agent(lake, tmp_path / "cache", tmp_path).wait(600) == 0
    assert_whole(lake, undisturbed)


# What can be wrong with a bucket.


def refused(tmp_path: Path, lake: str, code: int) -> str:
    done = command(*ASKED, "--lake", lake, cwd=tmp_path)
    assert done.code == code, done.err
    assert len(done.err.splitlines()) == 1, done.err
    return done.err


def test_a_server_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    said = refused(tmp_path, f"s3://{BUCKET}/lake", 1)
    assert f"cannot reach s3://{BUCKET}/lake at http://127.0.0.1:9: nothing listens there" in said


def test_a_bucket_that_is_not_there(tmp_path: Path) -> None:
    said = refused(tmp_path, "s3://elsewhere/lake", 2)
    assert "there is no bucket elsewhere at http://127.0.0.1" in said


def test_credentials_that_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert SERVER is not None
    # Its one request without authentication makes the bucket.
    monkeypatch.setenv("INITIAL_NO_AUTH_ACTION_COUNT", "1")
    with s3_server(SERVER) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        said = refused(tmp_path, f"s3://{BUCKET}/lake", 1)
    assert f"{address} refuses access to s3://{BUCKET}/lake; set credentials" in said


def test_reading_what_is_not_there(tmp_path: Path) -> None:
    done = command("sql", "SELECT 1", "--lake", f"s3://{BUCKET}/nothing", cwd=tmp_path)
    assert done.code == 2
    assert f"there is no lake at s3://{BUCKET}/nothing" in done.err
    assert keys(f"s3://{BUCKET}/nothing", "") == []
