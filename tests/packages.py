"""Packages of others, installed for the length of a test by the fixture `install`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from warehouse import extensions


class Install(Protocol):
    """Installs a package whose module holds some code; its entry point is an object of that."""

    def __call__(
        self, group: str, name: str, code: str, named: str, package: str | None = None
    ) -> None: ...


@contextmanager
def installing(site: Path, patch: pytest.MonkeyPatch) -> Iterator[Install]:
    """What installs packages into a folder; they are gone when the `with` block ends."""
    modules: list[str] = []

    def install(group: str, name: str, code: str, named: str, package: str | None = None) -> None:
        package = package or name
        module = f"{package}_package"
        info = site / f"{package}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}:{named}\n")
        (site / f"{module}.py").write_text(code)
        modules.append(module)
        patch.syspath_prepend(str(site))
        importlib.invalidate_caches()
        extensions._loaded.cache_clear()

    try:
        yield install
    finally:
        for module in modules:
            sys.modules.pop(module, None)
        patch.undo()
        extensions._loaded.cache_clear()
