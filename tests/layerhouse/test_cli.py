"""The command line: help everywhere, one sentence per fault, the exit codes of the contract."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import duckdb
import numpy as np
import pytest
from PIL import Image

from layerhouse.cli import COMMANDS, GROUPS, layerhouse, main
from layerhouse.cli.shared.words import Word
from layerhouse.printing import write_relation
from tests.conftest import Demo, layerhouse as run_layerhouse
from tests.packages import Install
from warehouse.errors import UsageError
from warehouse.vocabulary import READOUTS


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def leaves() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(layerhouse)
    for name in COMMANDS:
        command = layerhouse.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            for inner in command.list_commands(context):
                found = command.get_command(context, inner)
                assert found is not None
                yield f"{name} {inner}", found
        else:
            yield name, command


@pytest.mark.parametrize(("name", "command"), list(leaves()), ids=[name for name, _ in leaves()])
def test_every_command_has_a_summary_and_a_runnable_example(
    name: str, command: click.Command
) -> None:
    assert command.help
    assert command.get_short_help_str()
    examples = [line.strip() for line in command.help.splitlines() if "layerhouse " in line]
    assert any(line.startswith(f"layerhouse {name}") for line in examples)


@pytest.mark.parametrize("name", [name for name, _ in leaves()])
def test_every_command_is_in_the_readme_or_the_guides(name: str) -> None:
    root = Path(__file__).parents[2]
    texts = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    verb = name.split()[0]
    assert any(
        f"layerhouse {name}" in text.read_text() or f"make {verb}" in text.read_text()
        for text in texts
    )


def test_every_group_of_commands_is_known_for_one() -> None:
    context = click.Context(layerhouse)
    groups = {
        name for name in COMMANDS if isinstance(layerhouse.get_command(context, name), click.Group)
    }
    assert groups == set(GROUPS)


def test_without_a_command_the_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2
    assert "demo" in capsys.readouterr().out


def one_sentence(text: str) -> bool:
    return text.startswith("Error: ") and "Traceback" not in text and len(text.splitlines()) <= 6


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A small folder of classes with two kinds of images."""
    for label, shade in (("dark", 40), ("light", 210)):
        folder = tmp_path / "images" / label
        folder.mkdir(parents=True)
        for number in range(12):
            Image.new("L", (16, 16), shade + number).save(folder / f"{number}.png")
    return tmp_path / "images"


BAD = {
    "an unknown command": (("extarct",), 2, "extract"),
    "an unknown option": (("sql", "select 1", "--formt", "csv"), 2, "--formt"),
    "an unknown model": (
        ("extract", "--model", "tiny-digit", "--dataset", "digits"),
        2,
        "tiny-digits",
    ),
    "an unknown dataset": (
        ("extract", "--model", "tiny-digits", "--dataset", "digit"),
        2,
        "digits",
    ),
    "an unknown architecture": (
        ("baseline", "--dataset", "digits", "--architecture", "texture-svn"),
        2,
        "texture-svm",
    ),
    "an unknown fault": (
        ("extract", "--model", "tiny-digits", "--dataset", "digits", "--fault", "swop@vision:1"),
        2,
        "swap",
    ),
    "a layer out of range": (
        (
            "extract",
            "--model",
            "tiny-digits",
            "--dataset",
            "digits",
            "--module",
            "llm",
            "--layer",
            "99",
        ),
        2,
        "99",
    ),
    "a model to probe that is not in the lake": (
        ("probe", "--model", "tiny-digit", "--dataset", "digits"),
        2,
        "tiny-digits",
    ),
    "a hidden width of a linear probe": (
        ("probe", "--model", "tiny-digits", "--dataset", "digits", "--hidden", "8"),
        2,
        "--kind mlp",
    ),
    "sql that writes": (("sql", "CREATE TABLE t (i INTEGER)"), 1, "read-only"),
    "sql with a syntax error": (("sql", "SELEC 1"), 1, "SELEC"),
}


EXTRACT = ("extract", "--model", "tiny-digits", "--dataset", "digits")
PROBE = ("probe", "--model", "tiny-digits", "--dataset", "digits")
MISSPELT = [
    ((*EXTRACT, "--readout", "meen"), "unknown readout 'meen'; did you mean mean?"),
    ((*EXTRACT, "--module", "visio"), "unknown module 'visio'; did you mean vision?"),
    ((*EXTRACT, "--answer", "generat"), "unknown way of answering 'generat'; did you mean gen"),
    ((*EXTRACT, "--dtype", "float23"), "unknown dtype 'float23'; did you mean float"),
    ((*EXTRACT, "--quantization", "5bit"), "unknown quantization '5bit'; did you mean "),
    ((*EXTRACT, "--engine", "rey"), "unknown engine 'rey'; did you mean ray?"),
    ((*PROBE, "--kind", "linea"), "unknown probe kind 'linea'; did you mean linear?"),
    ((*PROBE, "--control", "shuffled"), "unknown control 'shuffled'; did you mean shuffled_lab"),
    (("sql", "SELECT 1", "--format", "cvs"), "unknown format 'cvs'; did you mean csv?"),
]


@pytest.mark.parametrize(("arguments", "says"), MISSPELT, ids=[case[0][-2] for case in MISSPELT])
def test_a_misspelt_word_is_answered_with_the_nearest(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    said = capsys.readouterr().err
    assert one_sentence(said)
    assert says in said


def test_a_word_that_an_installed_package_brings_is_known_without_importing_it(
    install: Install,
) -> None:
    word = Word("readout", READOUTS, group="layerhouse.readouts")
    with pytest.raises(UsageError, match="unknown readout 'corner'"):
        word.convert("corner", None, None)
    install("layerhouse.readouts", "corner", "raise SystemExit('imported')", "Corner")
    assert word.convert("corner", None, None) == "corner"
    with pytest.raises(UsageError, match="did you mean corner"):
        word.convert("korner", None, None)


BROUGHT = {
    "readout": """
from extract.plugins import AverageReadout, ReadoutFacts
class Brought(AverageReadout):
    facts = ReadoutFacts("brought", reads="image")
    def weights(self, sample):
        return {}["cells"]
""",
    "fault": """
from extract.plugins import ImageFault, Severity
class Brought(ImageFault):
    name = "brought"
    severity = Severity("nothing", default=1)
    def change_image(self, image, fault):
        return {}["radius"]
""",
}


@pytest.mark.parametrize(
    ("kind", "asked", "where"),
    [
        ("readout", ("--readout", "brought"), "weights"),
        ("fault", ("--fault", "brought@vision:1"), "change_image"),
    ],
)
def test_a_package_whose_own_code_fails_is_named(
    kind: str,
    asked: tuple[str, ...],
    where: str,
    install: Install,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install(f"layerhouse.{kind}s", "brought", BROUGHT[kind], "Brought")
    taken = ("--model", "tiny-digits", "--dataset", "digits", "--limit", "20")
    assert run("extract", *taken, *asked, "--lake", str(tmp_path / "lake")) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith(
        f"Error: brought_package.Brought.{where} of the package brought fails: KeyError: "
    )


@pytest.mark.parametrize(("arguments", "code", "says"), list(BAD.values()), ids=list(BAD))
def test_bad_input_ends_with_one_sentence_and_its_exit_code(
    demo: Demo,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    says: str,
) -> None:
    monkeypatch.setenv("LAYERHOUSE_LAKE", str(demo.lake.root))
    assert run(*arguments) == code
    said = capsys.readouterr().err
    assert one_sentence(said), said
    assert says in said


def test_a_lake_that_is_not_there_is_named_and_not_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*PROBE, "--lake", str(tmp_path / "typo")) == 2
    assert f"there is no lake at {tmp_path / 'typo'}" in capsys.readouterr().err
    assert not (tmp_path / "typo").exists()


def test_a_folder_that_is_no_model_is_named(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("extract", "--model", str(images), "--dataset", "digits")
    assert run(*arguments, "--lake", str(tmp_path / "lake")) in (1, 2)
    said = capsys.readouterr().err
    assert one_sentence(said)
    assert "config.json" in said


def test_a_folder_of_classes_is_registered_listed_and_shown(
    tmp_path: Path, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = ("--lake", str(tmp_path / "lake"))
    assert run("datasets", "add", "shades", str(images), *lake) == 0
    assert "24 samples of 2 classes" in capsys.readouterr().out
    assert run("datasets", "add", "shades", str(images), *lake) == 0
    assert "Nothing to do" in capsys.readouterr().out
    assert run("datasets", "list", *lake) == 0
    listed = capsys.readouterr().out
    assert "shades: " in listed
    assert "digits: built in" in listed
    assert run("datasets", "show", "shades", *lake) == 0
    assert "light" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["csv", "json", "table", "markdown"])
def test_times_with_a_zone_need_no_package(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytz", None)
    stream = io.StringIO()
    query = """SELECT TIMESTAMPTZ '2026-01-02 03:04:05+00' AS "it""s", [now()] AS t, 1 AS n"""
    with duckdb.connect() as connection:
        write_relation(connection.sql(query), form, stream, None)
    assert "2026-01-02 03:04:05+00" in stream.getvalue()
    assert 'it"s' in stream.getvalue().replace('""', '"').replace('\\"', '"')


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("12345678901234567890.123456789012::DECIMAL(38,12)", "12345678901234567890.123456789012"),
        ("[-0.10::DECIMAL(5,2), NULL]", "[-0.10, null]"),
        ("{'d': 99999999999999999999::DECIMAL(38,0)}", '{"d": 99999999999999999999}'),
        ("1e-37::DECIMAL(38,37)", f"0.{'0' * 36}1"),
        ("170141183460469231731687303715884105727::HUGEINT", f"{2**127 - 1}"),
        ("['nan'::DOUBLE, '-inf'::FLOAT, 1.5]", "[null, null, 1.5]"),
        ("[0.1::FLOAT, 16777216::FLOAT, 'nan'::FLOAT]", "[0.1, 16777216.0, null]"),
        ("{'x': [0.1, 0.2]::FLOAT[2], 'y': MAP {'k': 1e-7::FLOAT}, 't': DATE '2024-01-02'}",
         '{"x": [0.1, 0.2], "y": {"k": 1e-07}, "t": "2024-01-02"}'),
        ("[0.1::DOUBLE + 0.2::DOUBLE]", "[0.30000000000000004]"),
        ("'infinity'::TIMESTAMP", '"infinity"'),
        ("['-infinity'::DATE, '290000-01-01'::DATE]", '["-infinity", "290000-01-01"]'),
        ("'2024-01-01 00:00:00.123456789'::TIMESTAMP_NS", '"2024-01-01 00:00:00.123456789"'),
        ("INTERVAL 14 MONTH", '"1 year 2 months"'),
        ("{'DATE': TIMESTAMP '2024-01-02 03:04:05', 'a \"b': [TIME '01:02:03']}",
         '{"DATE": "2024-01-02 03:04:05", "a \\"b": ["01:02:03"]}'),
        ("MAP {DATE '2024-01-02': [NULL::TIMESTAMPTZ]}", '{"2024-01-02": [null]}'),
        ("[[DATE '2024-01-02']]::DATE[1][]", '[["2024-01-02"]]'),
        ("union_value(k := DATE '2024-01-02')", '"2024-01-02"'),
        ("'ab'::BLOB", '"6162"'),
        ("'{\"a\": 1}'::JSON", '"{\\"a\\": 1}"'),
        ("NULL::DATE", "null"),
    ],
)  # fmt: skip
def test_json_holds_every_value_as_it_is(value: str, written: str) -> None:
    """Python has no decimals in JSON, and no infinite times, nanoseconds or months at all."""
    stream = io.StringIO()
    with duckdb.connect() as connection:
        write_relation(connection.sql(f"SELECT {value} AS x"), "json", stream, None)
    assert stream.getvalue() == f'[{{"x": {written}}}]\n'


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_float_has_few_digits_that_are_read_as_the_same(form: str) -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, 5000, dtype=np.uint32)
    numbers = bits.view(np.float32)
    numbers = numbers[np.isfinite(numbers)]
    stream = io.StringIO()
    with duckdb.connect() as connection:
        rows = connection.sql("SELECT unnest($1::FLOAT[]) AS x", params=[numbers])
        write_relation(rows, form, stream, None)
    written = re.findall(r"-?\d[\d.e+-]*", stream.getvalue())
    assert np.array_equal(np.array(written, np.float64).astype(np.float32), numbers)
    for text, number in zip(written, numbers, strict=True):
        digits = text.partition("e")[0].replace(".", "").lstrip("-0")
        assert len(digits) <= 9 or number % 1 == 0  # nine tell any two of them apart


@pytest.mark.parametrize("form", ["csv", "table", "vertical", "markdown"])
def test_times_that_python_has_not_are_written_as_they_are(form: str) -> None:
    stream = io.StringIO()
    query = "SELECT 'infinity'::TIMESTAMP AS a, [INTERVAL 3 YEAR] AS b, DATE '-infinity' AS c"
    with duckdb.connect() as connection:
        write_relation(connection.sql(query), form, stream, None)
    assert "9999" not in stream.getvalue()
    assert "3 years" in stream.getvalue()
    assert stream.getvalue().count("infinity") == 2


def test_columns_of_one_name_keep_their_values_beside_a_time_with_a_zone() -> None:
    stream = io.StringIO()
    with duckdb.connect() as connection:
        relation = connection.sql(
            "SELECT 5 AS a, TIMESTAMPTZ '2026-01-02 00:00:00+00' AS a, 7 AS a"
        )
        write_relation(relation, "csv", stream, None)
    assert stream.getvalue().splitlines()[1] == "5,2026-01-02 00:00:00+00,7"


@pytest.mark.parametrize("of", ["INTERVAL 3 DAY", "{'a': [INTERVAL 3 DAY]}", "union_value(k := 1)"])
def test_what_parquet_cannot_hold_is_named(of: str, tmp_path: Path) -> None:
    out = tmp_path / "x.parquet"
    with duckdb.connect() as connection:
        relation = connection.sql(f"SELECT 1 AS n, {of} AS took")
        with pytest.raises(UsageError, match=r"the column 'took' is of the type .* CAST"):
            write_relation(relation, "parquet", io.StringIO(), out)
    assert not list(tmp_path.iterdir())


def test_a_file_that_no_folder_can_hold_is_told_where_answers_are_brought(
    demo: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--model", "tiny-digits", "--dataset", "digits", "--lake", str(demo.lake.root))
    assert run("answers", "import", "a" * 5000, *words) in (1, 2)
    assert "File name too long" in capsys.readouterr().err


def test_formats_of_sql_hold_the_same_rows(demo: Demo, tmp_path: Path) -> None:
    query = "SELECT label, class_index FROM class ORDER BY class_index LIMIT 2"
    lake = ("--lake", str(demo.lake.root))

    def ask(form: str) -> str:
        done = run_layerhouse("sql", query, "--format", form, *lake, cwd=tmp_path)
        assert done.code == 0, done.err
        return done.out

    assert ask("csv") == "label,class_index\nzero,0\none,1\n"
    assert json.loads(ask("json")) == [
        {"label": "zero", "class_index": 0},
        {"label": "one", "class_index": 1},
    ]
    assert ask("markdown").splitlines()[2] == "| zero | 0 |"
    assert "zero" in ask("table")


def test_parquet_from_sql_needs_and_fills_a_file(demo: Demo, tmp_path: Path) -> None:
    import polars as pl

    lake = ("--lake", str(demo.lake.root))
    query = ("sql", "FROM signal_flow", "--format", "parquet")
    refused = run_layerhouse(*query, *lake, cwd=tmp_path)
    assert refused.code == 2
    assert "--out" in refused.err
    done = run_layerhouse(*query, "--out", "flow.parquet", *lake, cwd=tmp_path)
    assert done.code == 0, done.err
    assert pl.read_parquet(tmp_path / "flow.parquet").height > 0
    assert not list(tmp_path.glob("*.tmp"))


def test_a_traceback_appears_only_when_asked_for(tmp_path: Path) -> None:
    query = ("sql", "SELEC 1", "--lake", str(tmp_path / "lake"))
    assert "Traceback" not in run_layerhouse(*query, cwd=tmp_path).err
    assert "Traceback" in run_layerhouse(*query, "--debug", cwd=tmp_path).err


@pytest.mark.parametrize("level", ["1", "2"])
def test_a_python_without_docstrings_is_told(level: str) -> None:
    command = (sys.executable, "-m", "layerhouse", "--help")
    told = subprocess.run(command, capture_output=True, text=True, env={"PYTHONOPTIMIZE": level})
    assert told.returncode == (2 if level == "2" else 0)
    assert told.stderr.startswith("Error: python -OO (PYTHONOPTIMIZE=2) takes") == (level == "2")


def test_an_option_can_come_from_the_environment(
    demo: Demo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAYERHOUSE_LAKE", str(demo.lake.root))
    monkeypatch.setenv("LAYERHOUSE_SQL_FORMAT", "json")
    assert run("sql", "SELECT 1 AS one") == 0
    assert json.loads(capsys.readouterr().out) == [{"one": 1}]


ALONE = ("power", "compare")
"""Commands that need no model."""


@pytest.mark.parametrize(
    ("command", "option", "said"),
    [
        ("extract", "--adapter", "one adapter is merged at a time; merge the first into"),
        ("patch", "--from-adapter", "one adapter is merged at a time; merge the first into"),
        ("steer", "--adapter", "one adapter is merged at a time; merge the first into"),
        ("probe", "--model", "run the command once for each, or all of them by `layerhouse study`"),
        ("power", "--dataset", "run the command once for each\n"),
        (
            "compare",
            "--base",
            "run the command once for each, or all of them by `layerhouse study`",
        ),
        ("patch", "--from", "run the command once for each\n"),
        ("steer", "--dataset", "run the command once for each\n"),
        ("export", "--model", "run the command once for each\n"),
    ],
)
def test_of_two_values_none_is_left_out_without_a_word(
    command: str, option: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    named = {"--model": "tiny-digits", "--dataset": "digits"}
    others = [word for pair in named.items() if command not in ALONE for word in pair]
    words = (command, *others, "--lake", str(tmp_path))
    assert run(*words, option, "one", option, "two") == 2
    told = capsys.readouterr().err
    assert f"{option} is given" in told
    assert said in told


def test_a_named_folder_with_spaces_can_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("LAYERHOUSE_EXTRACT_MODEL", str(tmp_path / "my model"))
    assert run("extract", "--dataset", "digits", "--lake", str(tmp_path / "lake")) == 1
    assert "my model does not exist" in capsys.readouterr().err


LONG = "a" * 5000


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("sql", "SELECT 1", "--lake", "~nobody-here/lake"), "name of no user"),
        (("datasets", "add", "x", "~nobody-here/images"), "name of no user"),
        (("status", "--lake", LONG), "File name too long"),
        (("datasets", "add", "x", LONG), "File name too long"),
        (("extract", "--model", "tiny-digits", "--dataset", LONG), "File name too long"),
        (("publish", "--out", LONG), "File name too long"),
        (("models", "show", LONG), "unknown model|cannot be a folder"),
        (("models", "show", f"./{LONG}"), "cannot be a folder"),
    ],
)
def test_a_path_that_no_file_can_have_is_told_in_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    why: str,
) -> None:
    monkeypatch.setenv("LAYERHOUSE_LAKE", str(tmp_path / "lake"))
    assert run(*arguments) in (1, 2)
    said = capsys.readouterr().err
    assert re.search(why, said)
    assert "nexpected failure" not in said
    assert len(said) < 1000


def test_a_result_is_written_as_the_ending_of_its_file_says(
    demo: Demo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import polars as pl

    def ask(name: str, *more: str) -> int:
        words = ("--out", str(tmp_path / name), "--lake", str(demo.lake.root), *more)
        return run("sql", "SELECT 7 AS n", *words)

    assert [ask(name) for name in ("a.parquet", "a.json", "a.MD", "a.csv", "plain")] == [0] * 5
    assert pl.read_parquet(tmp_path / "a.parquet").to_dicts() == [{"n": 7}]
    assert json.loads((tmp_path / "a.json").read_text()) == [{"n": 7}]
    assert (tmp_path / "a.MD").read_text().splitlines()[2] == "| 7 |"
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "plain").read_text() == "n\n7\n"

    assert ask("a.xlsx") == 2
    assert "call it .csv or .parquet or .json or .md, or give --format" in capsys.readouterr().err
    assert ask("b.csv", "--explain") == 2
    assert not (tmp_path / "a.xlsx").exists()
    assert ask("a.xlsx", "--format", "csv") == 0  # who says the form has it


def test_a_report_is_called_what_it_is(
    demo: Demo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("report", "--out", str(tmp_path / "r.pdf"), "--lake", str(demo.lake.root)) == 2
    assert "end its name in .html" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("{run} sql 'SELECT 7 AS n' --out n.csv --lake {lake} <&- >&-; cat n.csv >&2", 0, "n\n7\n"),
        ("{run} sql 'SELECT 7 AS n' --out n.csv --lake {lake} 2>&-; cat n.csv >&2", 0, "n\n7\n"),
        ("{run} sql 'SELECT 7' --lake {lake} >/dev/full", 1, "what is printed cannot be written"),
        ("mkdir gone; cd gone; rmdir ../gone; {run} status", 1, "is gone; change into one"),
        ("ln -s loop loop; {run} status --lake loop", 1, "loop' is a link that leads back"),
    ],
)
def test_what_a_shell_leaves_out_or_breaks_is_no_unexpected_failure(
    demo: Demo, tmp_path: Path, line: str, code: int, said: str
) -> None:
    run = f"PYTHONPATH={Path(__file__).parents[2]} {sys.executable} -m layerhouse"
    done = subprocess.run(
        ["sh", "-c", "set -e; " + line.format(run=run, lake=demo.lake.root)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert one_sentence(done.stderr) or not code
