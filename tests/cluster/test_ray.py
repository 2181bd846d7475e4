"""Extraction on a real Ray: the lake is that of one agent, whoever does it and whoever dies."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from extract import models
from extract.engines import ray_team
from extract.engines.ray import extract_with_ray
from extract.engines.ray_cluster import connected, find_places
from extract.engines.told_worker import ToldWorker
from extract.running.extraction import extract
from extract.sharing.job import look_up
from tests.cluster.conftest import RANGE_SIZE, REQUEST, N
from tests.conftest import layerhouse
from tests.extract.model_folders import edit_weights
from tests.soak import assert_same, contents
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake
from warehouse.lake.standing import list_commits

ray = pytest.importorskip("ray", reason="Ray is not installed (pip install 'layerhouse[ray]')")

RANGES = [(start, start + RANGE_SIZE) for start in range(0, N, RANGE_SIZE)]


def _ranges(lake: Lake) -> list[tuple[int, int]]:
    commits = list_commits(lake, command="extract")
    return sorted((c.covers["start"], c.covers["stop"]) for c in commits if "start" in c.covers)


def _workers(parent: int) -> list[psutil.Process]:
    """The processes in which the workers of a Ray below this process run."""
    below = psutil.Process(parent).children(recursive=True)
    return [process for process in below if "ray::RayWorker" in " ".join(process.cmdline())]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two machines of a Ray cluster, simulated on this one as Ray's own tests do it."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 2})
    with connected(made.address, None):
        yield made
    made.shutdown()


@pytest.fixture
def second_machine(cluster: Any) -> Iterator[Any]:
    node = cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    yield node
    if node in cluster.list_all_nodes():
        cluster.remove_node(node)


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("workers", [1, 2])
def test_the_lake_is_that_of_one_agent_with_any_number_of_workers(
    lake: Lake, alone: Lake, workers: int
) -> None:
    seen: list[tuple[int, int]] = []
    summary = extract_with_ray(
        lake, REQUEST, workers, progress=lambda done, total, _note="": seen.append((done, total))
    )
    assert (summary.added, summary.n_samples, seen[-1]) == (True, N, (N, N))
    assert summary.n_bytes > 0
    assert summary.seconds["forward"] > 0
    assert _ranges(lake) == RANGES
    assert_same(contents(lake), contents(alone))
    assert not extract_with_ray(lake, REQUEST, workers).added
    assert not extract(lake, REQUEST).added


@pytest.mark.usefixtures("cluster")
def test_a_killed_worker_is_replaced_and_its_range_done_again(lake: Lake, alone: Lake) -> None:
    killed: list[psutil.Process] = []

    def kill(done: int, _total: int, _note: str = "") -> None:
        if done and not killed:
            killed.extend(_workers(os.getpid())[:1])
            killed[0].kill()

    summary = extract_with_ray(lake, REQUEST, 2, progress=kill)
    assert killed
    assert "deaths of workers: 1; their ranges were done again" in summary.notes
    assert _ranges(lake) == RANGES
    assert_same(contents(lake), contents(alone))


def test_a_lost_machine_costs_nothing(lake: Lake, alone: Lake, cluster: Any) -> None:
    node = cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    lost: list[Any] = []

    def lose(done: int, _total: int, _note: str = "") -> None:
        if done and not lost:
            lost.append(node)
            cluster.remove_node(node, allow_graceful=False)

    assert extract_with_ray(lake, REQUEST, 2, progress=lose).added
    assert lost
    assert _ranges(lake) == RANGES
    assert_same(contents(lake), contents(alone))


@pytest.mark.usefixtures("cluster")
def test_an_aborted_extraction_goes_on_where_it_was(lake: Lake, alone: Lake) -> None:
    def stop(_done: int, _total: int, _note: str = "") -> None:
        if _ranges(lake):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_with_ray(lake, REQUEST, 2, progress=stop)
    before = _ranges(lake)
    assert 0 < len(before) < len(RANGES)
    assert extract_with_ray(lake, REQUEST, 1).added
    assert _ranges(lake) == RANGES
    assert_same(contents(lake), contents(alone))


@pytest.mark.usefixtures("cluster")
def test_a_model_that_does_not_load_fails_at_once(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(Path(models.__path__[0]) / "tiny-digits", folder)
    edit_weights(folder, lambda weights: weights.pop(next(iter(weights))))
    hired = []
    hire = ray_team.Team._hire

    def count(self: ray_team.Team, deaths: int = 0) -> ray_team.Seat:
        hired.append(deaths)
        return hire(self, deaths)

    monkeypatch.setattr(ray_team.Team, "_hire", count)
    with pytest.raises(LayerhouseError, match="weights"):
        extract_with_ray(lake, replace(REQUEST, model=str(folder)), 1)
    assert len(hired) == 1
    assert _ranges(lake) == []


class OnlyDies:
    """A worker without enough memory, say."""

    def open(self, *_: Any) -> Iterator[None]:
        os._exit(9)
        yield


@pytest.mark.usefixtures("cluster")
def test_a_worker_that_only_dies_is_given_up(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_team, "RayWorker", OnlyDies)
    with pytest.raises(LayerhouseError, match="died 3 times in a row"):
        extract_with_ray(lake, REQUEST, 1)


@pytest.mark.usefixtures("cluster")
def test_every_worker_gets_a_gpu_where_there_are_some() -> None:
    places = find_places(replace(REQUEST, device="auto"), None)
    assert (places.workers, places.device, places.gpus) == (2, "cuda", 1)
    with pytest.raises(UsageError, match="--workers 3 is more than the 2 GPUs"):
        find_places(replace(REQUEST, device="cuda"), 3)
    with pytest.raises(UsageError, match="--device cuda, not cuda:1"):
        find_places(replace(REQUEST, device="cuda:1"), 1)


@pytest.mark.usefixtures("second_machine")
def test_workers_share_the_cores_of_every_machine() -> None:
    assert (find_places(REQUEST, None).workers, find_places(REQUEST, None).cpus) == (1, 2)
    assert find_places(REQUEST, 2).cpus == 2
    assert find_places(REQUEST, 4).cpus == 1
    with pytest.raises(UsageError, match="--workers 5 is more than the 4 cores"):
        find_places(REQUEST, 5)


def test_a_machine_without_the_lake_says_so(lake: Lake) -> None:
    with pytest.raises(LayerhouseError, match="does not see the lake"):
        ToldWorker(look_up(lake, REQUEST), 1, "extract-of-another-lake-0")


@pytest.mark.parametrize(
    ("address", "code", "said"),
    [
        ("127.0.0.1:1", 1, "no Ray cluster is to be reached at 127.0.0.1:1"),
        ("ray://head:10001", 2, "a Ray address is host:port, auto or local"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_sentence(
    tmp_path: Path, address: str, code: int, said: str
) -> None:
    done = layerhouse(
        *("extract", "--model", "tiny-digits", "--dataset", "digits"),
        *("--engine", "ray", "--ray-address", address),
        cwd=tmp_path,
    )
    assert (done.code, done.err.count("\n")) == (code, 1)
    assert said in done.err


def test_the_keyboard_stops_the_command_and_all_of_its_ray(tmp_path: Path) -> None:
    """An embedded Ray leaves no process behind, nothing is visible in part, no noise is printed."""
    lake = Lake.at(tmp_path / "lake")
    command = [sys.executable, "-m", "layerhouse", "extract", "--lake", str(lake.root)]
    command += ["--model", "tiny-digits", "--dataset", "digits", "--batch-size", "1"]
    command += ["--engine", "ray", "--ray-address", "local", "--workers", "2"]
    running = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=tmp_path
    )
    while not _ranges(lake) and running.poll() is None:
        time.sleep(0.1)
    workers = _workers(running.pid)
    assert len(workers) == 2
    os.killpg(running.pid, signal.SIGINT)
    said = running.communicate(timeout=60)[1].splitlines()
    assert running.returncode == 130
    assert said[-1].startswith("Error: stopped by the keyboard")
    assert all(line.startswith("extract tiny-digits: ") for line in said[:-1] if line), said
    for start, stop in _ranges(lake):
        assert stop - start == 256
    assert psutil.wait_procs(workers, timeout=30)[1] == []
