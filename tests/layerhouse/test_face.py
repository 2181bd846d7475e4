"""`import layerhouse` is the whole public face: its names, and the commands' own words."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

import layerhouse
from layerhouse.answers import AnswerOptions
from layerhouse.cli import layerhouse as commands, main
from layerhouse.datasets import DatasetOptions
from layerhouse.functions.analysing import BaselineOptions, DiagnosisOptions, ProbeOptions
from layerhouse.functions.drawing import FigureOptions, ProjectionOptions
from layerhouse.functions.extracting import ExtractOptions
from layerhouse.functions.mending import MendOptions
from layerhouse.functions.patching import PatchOptions
from layerhouse.functions.states import ExportOptions, ImportStatesOptions
from layerhouse.functions.steering import SteerOptions
from warehouse.errors import LayerhouseError, UsageError

NAMES = """
LayerhouseError UsageError __version__ answers baseline compare connect datasets delta diagnose
export extract figures import_ mend models patch power probe project publish report runs steer
validate
"""

FUNCTIONS: dict[str, tuple[Callable[..., Any], type[Any] | None]] = {
    "extract": (layerhouse.extract, ExtractOptions),
    "patch": (layerhouse.patch, PatchOptions),
    "steer": (layerhouse.steer, SteerOptions),
    "mend": (layerhouse.mend, MendOptions),
    "probe": (layerhouse.probe, ProbeOptions),
    "baseline": (layerhouse.baseline, BaselineOptions),
    "diagnose": (layerhouse.diagnose, DiagnosisOptions),
    "compare": (layerhouse.compare, None),
    "project": (layerhouse.project, ProjectionOptions),
    "report": (layerhouse.report, None),
    "figures": (layerhouse.figures, FigureOptions),
    "publish": (layerhouse.publish, None),
    "validate": (layerhouse.validate, None),
    "delta": (layerhouse.delta, None),
    "export": (layerhouse.export, ExportOptions),
    "import": (layerhouse.import_, ImportStatesOptions),
    "datasets add": (layerhouse.datasets.add, DatasetOptions),
    "datasets remove": (layerhouse.datasets.remove, None),
    "power": (layerhouse.power, None),
    "models remove": (layerhouse.models.remove, None),
    "runs remove": (layerhouse.runs.remove, None),
    "datasets audit": (layerhouse.datasets.audit, None),
    "answers import": (layerhouse.answers.import_, AnswerOptions),
    "answers export": (layerhouse.answers.export, None),
    "answers reparse": (layerhouse.answers.reparse, None),
}
ONLY_IN_PYTHON = {
    *((name, "progress") for name in FUNCTIONS),
    ("extract", "processor"),  # of a model in memory
    ("extract", "name"),
    ("mend", "on_epoch"),
    ("patch", "donor"),  # --from, which is no name in Python
}
NONE_IS_NOT_EMPTY = {("datasets remove", "sample"), ("datasets remove", "group")}
"""An empty list, which a command line cannot give, is refused: it must not mean all of them."""
ONLY_ON_THE_COMMAND_LINE = {"list", "self_test", "from"}


def _parameters(name: str) -> dict[str, Any]:
    """What a function takes, with the defaults that its signature shows."""
    function, options = FUNCTIONS[name]
    found = {
        parameter.name: parameter.default
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
        and (name, parameter.name) not in ONLY_IN_PYTHON
    }
    return found | dict.fromkeys(options.__annotations__ if options else (), "of the command")


def _command(name: str) -> click.Command:
    command: click.Command | None = commands
    for word in name.split():
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(commands), word)
    assert command is not None
    return command


def _parameters_of_command(name: str) -> dict[str, click.Parameter]:
    """A command's options and arguments, without those of the self-test."""
    named = {
        max(parameter.opts, key=len).lstrip("-").replace("-", "_"): parameter
        for parameter in _command(name).params
        if "Self-test" not in (getattr(parameter, "help", None) or "")
    }
    # what is called form says how it is printed; --format of figures and export is about files
    return {
        word: parameter
        for word, parameter in named.items()
        if word not in ONLY_ON_THE_COMMAND_LINE and parameter.name != "form"
    }


def test_the_names_are_these_and_no_other() -> None:
    assert sorted(layerhouse.__all__) == sorted(NAMES.split())
    assert all(hasattr(layerhouse, name) for name in NAMES.split())
    assert layerhouse.datasets.__all__ == ["add", "audit", "fold", "remove", "score"]
    assert layerhouse.models.__all__ == layerhouse.runs.__all__ == ["remove"]


def test_importing_it_imports_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "duckdb", "polars", "pyarrow", "numpy", "pandas", "sklearn")
    script = f"import layerhouse, sys; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_list_of_commands_imports_nothing_heavy() -> None:
    heavy = ("torch", "transformers", "polars", "pyarrow", "numpy", "pandas", "sklearn")
    script = f"import sys; from layerhouse.cli import _run; _run(['--help']); h = {heavy}\n"
    script += "print([n for n in h if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_takes_what_its_command_takes(name: str) -> None:
    assert set(_parameters(name)) == set(_parameters_of_command(name))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_has_the_defaults_of_its_command(name: str) -> None:
    of_command = _parameters_of_command(name)
    required = [parameter for parameter in of_command.values() if parameter.required]
    words = [
        word
        for parameter in required
        for word in (
            [parameter.opts[0], "tiny-digits"] if isinstance(parameter, click.Option) else ["x"]
        )
    ]
    parsed = _command(name).make_context(name, words).params
    for parameter, default in _parameters(name).items():
        given = of_command[parameter]
        if default is inspect.Parameter.empty:
            assert given in required
        elif default != "of the command" and parameter not in ("lake", "phrase"):
            shown = parsed[str(given.name)]
            if (name, parameter) in NONE_IS_NOT_EMPTY:
                shown = shown or None
            assert str(shown) == str(default), parameter


@pytest.mark.parametrize(
    ("name", "patched", "arguments"),
    [
        (
            "extract",
            "extract.engines.extract_with_workers",
            {"--model": "tiny-digits", "--dataset": "digits"},
        ),
        ("probe", "analysis.probes.probe", {"--model": "tiny-digits", "--dataset": "digits"}),
        (
            "baseline",
            "analysis.baselines.baseline",
            {"--dataset": "digits", "--architecture": "texture-svm"},
        ),
    ],
    ids=["extract", "probe", "baseline"],
)
def test_without_options_a_function_asks_for_what_its_command_asks_for(
    name: str,
    patched: str,
    arguments: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[tuple[Any, ...]] = []

    def record(*given: Any, **options: Any) -> Any:
        options.pop("progress", None)
        calls.append((given[:3], options))
        raise LayerhouseError("recorded")

    monkeypatch.setattr(patched, record)
    monkeypatch.setattr("layerhouse.functions.analysing.refuse_unknown_here", lambda *_: None)
    monkeypatch.setenv("LAYERHOUSE_LAKE", str(tmp_path))
    with pytest.raises(LayerhouseError, match="recorded"):
        FUNCTIONS[name][0](*arguments.values())
    with pytest.raises(SystemExit):
        main([name, *(word for option in arguments.items() for word in option)])
    in_python, on_the_command_line = calls
    assert in_python == on_the_command_line


def test_an_option_that_does_not_exist_is_named_with_the_nearest() -> None:
    with pytest.raises(TypeError, match="'redout'; did you mean readout"):
        layerhouse.extract("tiny-digits", "digits", redout="mean")  # type: ignore[call-arg]


def test_a_number_means_that_layer_in_every_function(tmp_path: Path) -> None:
    digits = ("tiny-digits", "digits")
    extracted = layerhouse.extract(*digits, lake=tmp_path, module="llm", layer=3, dry_run=True)
    assert extracted.loci == {"llm": ["3 (mean, last)"]}
    patched = layerhouse.patch(
        *digits,
        lake=tmp_path,
        module="llm",
        layer=3,
        tokens="last",
        controls=False,
        limit=2,
        dry_run=True,
    )
    assert patched.loci == {"llm": ["3 (last/none)"]}


def test_a_misspelt_name_is_a_usage_error_as_on_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean mean"):
        layerhouse.extract("tiny-digits", "digits", readout="meen", lake=tmp_path)
    with pytest.raises(UsageError, match="did you mean ray"):
        layerhouse.extract("tiny-digits", "digits", engine="rey", lake=tmp_path)
