"""A misspelt name is told before torch, transformers, scikit-learn, polars or matplotlib are
imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from extract.faults.kinds import OWN_KINDS
from extract.faults.words import own_kinds, read_words
from extract.mending.kinds import REPAIRS
from extract.mending.titles import REPAIR_TITLES
from tests.lakes import Signals, synthetic_lake
from warehouse.catalogue import connect
from warehouse.devices import refuse_unknown_device
from warehouse.errors import UsageError
from warehouse.schema import BOOKKEEPING, _definitions, tables

TELL = """
import contextlib, io, json, sys
from layerhouse.cli import main

HEAVY = {"torch", "transformers", "sklearn", "polars", "matplotlib"}
for words in json.load(sys.stdin):
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            main(words)
        except SystemExit as ended:
            told = [ended.code, said.getvalue(), sorted(HEAVY & set(sys.modules))]
            print("told", json.dumps(told))
"""
MODEL, DATASET = ("--model", "tiny-digits"), ("--dataset", "digits")
RUN, HELD = (*MODEL, *DATASET), ("--model", "tiny", "--dataset", "shapes")

TYPOS = {
    "a command of a group, alone": (("audit", "nih"), "mean `layerhouse datasets audit`?"),
    "a command of two groups, alone": (
        ("show", "nih"),
        "models show` or `layerhouse datasets show",
    ),
    **{
        f"{name} of a misspelt model": (
            (name, "--model", "tiny-digit", *DATASET),
            "unknown model 'tiny-digit'; did you mean tiny-digits?",
        )
        for name in ("extract", "patch", "steer", "mend")
    },
    **{
        f"{name} of an unknown dataset": ((name, *MODEL, "--dataset", "digit"), "mean digits?")
        for name in ("extract", "patch", "steer", "mend")
    },
    **{
        f"{name} on an unknown device": ((name, *RUN, "--device", "cudda"), "mean cuda")
        for name in ("extract", "patch", "steer", "mend")
    },
    **{
        f"{name} on an unnumbered device": (
            (name, *RUN, "--device", "cuda:x"),
            "write it as cuda:0",
        )
        for name in ("extract", "patch", "steer", "mend")
    },
    **{
        f"{name} of an unknown fault": ((name, *RUN, "--fault", "swp@vision"), "mean swap?")
        for name in ("extract", "patch", "steer", "mend")
    },
    **{
        f"{name} of an unknown model": ((name, "--model", "tny", *DATASET), "no model 'tny'")
        for name in ("probe", "diagnose", "compare", "power")
    },
    **{
        f"{name} of a dataset not held": (
            (name, "--model", "tiny", "--dataset", "d"),
            "dataset 'd'",
        )
        for name in ("probe", "diagnose", "compare", "power", "report")
    },
    "a variant's name": (
        ("extract", "--model", "tiny-digits+mend:llm/lora+fault:swap@llm:1", *DATASET),
        "a variant of tiny-digits: give that name, and what was done to it as options of its own, "
        "--adapter PATH --fault swap@llm:1",
    ),
    "several readouts": (
        ("extract", *RUN, "--readout", "mean,last"),
        "give --readout mean --readout last",
    ),
    "several modules": (("extract", *RUN, "--module", "vision, llm"), "--module vision --module"),
    "several layers": (("extract", *RUN, "--layer", "1,2"), "a single number is taken too"),
    "a stage": (("extract", *RUN, "--fault", "swap@visoin"), "mean vision?"),
    "an adapter": (("extract", *RUN, "--adapter", "./nope"), "nope is no adapter"),
    "a prompt": (("extract", *RUN, "--prompt", "clinicl"), "mean clinical?"),
    "a layer": (("extract", *RUN, "--layer", "postnorm"), "mean post_norm"),
    "a device map": (("extract", *RUN, "--device-map", "ballanced"), "mean balanced"),
    "a batch size": (("extract", *RUN, "--batch-size", "x"), "auto or at least 1"),
    "a model folder": (("extract", "--model", "./nope", *DATASET), "nope does not exist"),
    "a donor": (("patch", *RUN, "--from", "tiny-digit"), "mean tiny-digits?"),
    "a donor's fault": (("patch", *RUN, "--from", "tiny-digits", "--from-fault", "x@llm"), "'x'"),
    "a direction": (("steer", *RUN, "--direction", "meens"), "mean means?"),
    "a repair": (("mend", *RUN, "--repair", "llm/lor"), "mean llm/lora"),
    "an attribute": (("probe", *HELD, "--target", "widht"), "mean width"),
    "an architecture": (("baseline", *DATASET, "--architecture", "resnett"), "mean resnet"),
    "a baseline's dataset": (
        ("baseline", "--dataset", "digit", "--architecture", "resnet"),
        "mean digits?",
    ),
    "a baseline's device": (
        ("baseline", *DATASET, "--architecture", "resnet", "--device", "gpu"),
        "unknown device 'gpu'",
    ),
    "a self-test's device": (("diagnose", *RUN, "--self-test", "--device", "cudda"), "mean cuda"),
    "a self-test's model": (("diagnose", *HELD, "--self-test"), "unknown model 'tiny'"),
    "a model shown": (("models", "show", "tiny-digit"), "mean tiny-digits?"),
    "a model verified": (("models", "verify", "tiny-digit"), "mean tiny-digits?"),
    "a prompt shown": (("models", "show", "tiny-digits", "--dataset", "digit"), "mean digits?"),
    "replies read anew": (("answers", "reparse", "--model", "tny"), "no model 'tny'"),
    "a judge": (("answers", "reparse", "--judge", "./nope"), "nope does not exist"),
    "answers written": (
        ("answers", "export", "--model", "tny", *DATASET, "--out", "a.csv"),
        "no model 'tny'",
    ),
    "answers of a method": (
        ("answers", "export", *HELD, "--method", "generat", "--out", "a.csv"),
        "did you mean generate?",
    ),
    "answers brought": (
        ("answers", "import", "a.csv", "--model", "m", "--dataset", "d"),
        "dataset 'd'",
    ),
    "a method to diagnose": (("diagnose", *HELD, "--method", "generat"), "by generat to"),
    "a prompt to diagnose": (("diagnose", *HELD, "--prompt", "clinicl"), "to the prompt clinicl"),
    "a dataset to audit": (("datasets", "audit", "shape"), "mean shapes?"),
    "a dataset to fold": (("datasets", "fold", "shape", "--folds", "5"), "mean shapes?"),
    "a dataset to score": (("datasets", "score", "shape", "accuracy"), "mean shapes?"),
    "figures": (("figures", "--out", "f", "--model", "tny"), "no model 'tny'"),
    "a figure": (("figures", "--out", "f", "--only", "losse"), "mean losses?"),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, list[str]]]:
    """What each of the above ends with and says, and what is imported by then; in one process, so
    that the first that imports something is told."""
    folder = tmp_path_factory.mktemp("typos")
    with connect(synthetic_lake(folder / "lakehouse", {"tiny": Signals()}, n_samples=40)):
        pass
    return dict(zip(TYPOS, tell([words for words, _ in TYPOS.values()], folder), strict=True))


def tell(commands: list[tuple[str, ...]], folder: Path) -> list[Any]:
    """What each command ends with and says on stderr, and what is imported by then."""
    done = subprocess.run(
        [sys.executable, "-c", TELL],
        input=json.dumps(commands),
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    return [json.loads(line[5:]) for line in lines if line.startswith("told ")]


@pytest.mark.parametrize("name", TYPOS)
def test_a_typo_is_told_before_anything_heavy_is_imported(
    name: str, told: dict[str, tuple[int, str, list[str]]]
) -> None:
    code, said, imported = told[name]
    assert code == (1 if "nope does not exist" in said else 2)
    assert TYPOS[name][1] in said
    assert said.count("\n") == 1
    assert imported == []


@pytest.mark.parametrize("command", ["probe", "steer", "mend"])
def test_a_lake_that_is_not_there_is_named(command: str, tmp_path: Path) -> None:
    ((code, said, imported),) = tell([(command, *RUN, "--lake", "typo")], tmp_path)
    assert (code, imported) == (2, [])
    assert f"there is no lake at {tmp_path / 'typo'}" in said
    assert not (tmp_path / "typo").exists()


def test_what_is_known_without_imports_is_what_there_is() -> None:
    assert own_kinds() == sorted(kind.name for kind in OWN_KINDS)
    assert tuple(repair.title for repair in REPAIRS) == REPAIR_TITLES
    assert tables() == sorted(set(_definitions()[0]) - BOOKKEEPING)


def test_the_words_of_a_fault_are_read() -> None:
    words = read_words("noise@llm.-2:4e-1,seed=3")
    assert (words.kind, words.stage, words.layer, words.severity, words.seed) == (
        *("noise", "llm", -2, 0.4, 3),
    )
    assert read_words("swap@vision").severity is None


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cuda:0", "cuda:11", "mps", "mps:0"])
def test_devices_have_these_names(name: str) -> None:
    refuse_unknown_device(name)


@pytest.mark.parametrize("name", ["", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:one", "auto:0", "0"])
def test_others_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="device"):
        refuse_unknown_device(name)
