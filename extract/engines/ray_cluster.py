"""A Ray cluster: found or started, and what of it each worker takes."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from extract.models import choose_device
from extract.sharing import ExtractRequest
from warehouse.errors import LayerhouseError, UsageError

CONNECT_SECONDS = 5.0
STORE_BYTES = 100 * 2**20
"""Object store of an embedded Ray: only short messages pass through it."""

SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # or a hint about a later release is printed
    # What the cluster's daemons say of a death, pages of it, is kept from standard output; the
    # engine tells what it means.
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^",
}
"""Ray's settings, unless the environment has others; read when Ray is imported."""


@dataclass(frozen=True)
class Places:
    """So many workers, each with these resources, on this kind of device."""

    workers: int
    device: str
    cpus: int
    gpus: int

    @property
    def options(self) -> dict[str, Any]:
        """As Ray takes them. A worker that died is replaced by us, wherever there is room."""
        return {
            "num_cpus": self.cpus,
            "num_gpus": self.gpus,
            "scheduling_strategy": "SPREAD",
            "max_restarts": 0,
            "max_task_retries": 0,
        }


@contextmanager
def connected(address: str | None, workers: int | None) -> Iterator[None]:
    """Ray, connected to for the length of a block.

    The cluster at `address`; without one that which `ray start` made on this machine; without that
    ("local") an embedded one with room for `workers`. A connection that is there already is used
    and left as it is. Raises LayerhouseError where Ray is not installed or not to be reached.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise LayerhouseError(
            "--engine ray needs ray; install it with: pip install 'layerhouse[ray]'"
        ) from error
    if ray.is_initialized():
        yield
        return
    try:
        _connect(address, workers)
        yield
    finally:
        ray.shutdown()


def _connect(address: str | None, workers: int | None) -> None:
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address not in (None, "auto", "local"):
        _knock(str(address))
    if address != "local":
        try:
            ray.init(address=address or "auto", **quiet)
            return
        except (ConnectionError, ValueError, RuntimeError) as error:
            if address is not None:
                where = "on this machine" if address == "auto" else f"at {address}"
                raise LayerhouseError(
                    f"there is no Ray cluster {where}; `ray start --head` starts one, and without "
                    "--ray-address one is embedded here"
                ) from error
    cpus = max(len(os.sched_getaffinity(0)), workers or 1)
    ray.init(
        address="local",
        num_cpus=cpus,
        include_dashboard=False,
        object_store_memory=STORE_BYTES,
        **quiet,
    )


def _knock(address: str) -> None:
    """Raise unless something answers at host:port: Ray would go on trying for minutes."""
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit():
        raise UsageError(
            f"a Ray address is host:port, auto or local, not {address!r}; "
            "run the command on a machine of the cluster"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise LayerhouseError(
            f"no Ray cluster is to be reached at {address} ({error}); `ray status` on its head "
            "tells whether it runs, and without --ray-address one is embedded here"
        ) from error


def find_places(request: ExtractRequest, workers: int | None) -> Places:
    """Where the workers go: a GPU each where the cluster has GPUs, else a share of the cores.

    Without a number of them one per GPU, or one. Raises UsageError where there are fewer places.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    cores = sum(int(node.get("CPU", 0)) for node in nodes)
    device = _device(request.device, gpus)
    most, what = (gpus, "GPUs") if device == "cuda" else (cores, "cores")
    count = workers or (gpus if device == "cuda" else 1)
    if count > most:
        raise UsageError(f"--workers {count} is more than the {most} {what} of the Ray cluster")
    if device == "cuda":
        return Places(count, device, cpus=1, gpus=1)
    # As many on every machine, so that the smallest can hold its part of them.
    smallest = min(int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0))
    return Places(count, device, cpus=max(1, smallest // -(-count // len(nodes))), gpus=0)


def _device(asked: str, gpus: int) -> str:
    if asked == "auto":
        return "cuda" if gpus else "cpu"
    kind, _, index = asked.partition(":")
    if kind != "cuda":
        return choose_device(asked)
    if index:
        raise UsageError(f"Ray gives every worker a GPU of its own: --device cuda, not {asked}")
    if not gpus:
        raise UsageError("the Ray cluster has no GPU; leave --device at auto")
    return kind
