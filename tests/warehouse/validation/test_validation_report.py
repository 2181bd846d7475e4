"""`validate` from end to end: real shards, Great Expectations, Data Docs, a quiet process."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.warehouse.full_lake import full_lake
from tests.warehouse.small_lakes import tampered
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake
from warehouse.validation import ValidationReport, validate


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return full_lake(tmp_path_factory.mktemp("report") / "lake")


@pytest.fixture
def lake(sound: Lake, tmp_path: Path) -> Lake:
    shutil.copytree(sound.root, tmp_path / "lake")
    return Lake.at(tmp_path / "lake")


def _failed(report: ValidationReport) -> set[tuple[str, str]]:
    return {(check.table, check.name) for check in report.checks if not check.passed}


def test_a_sound_lake_passes_every_check(sound: Lake) -> None:
    report = validate(sound)
    assert _failed(report) == set()
    assert report.passed
    assert len(report.checks) > 130
    assert all(check.rule.endswith((".", ")")) for check in report.checks)


def test_findings_name_rows_and_keep_five_examples(lake: Lake) -> None:
    with tampered(lake) as con:
        con.execute("UPDATE answer SET parsed = FALSE WHERE method = 'likelihood'")
        con.execute("UPDATE run SET status = 'running', finished_at = NULL WHERE command = 'probe'")
    report = validate(lake)
    assert not report.passed
    (failure,) = [c for c in report.failures if c.table == "answer"]
    assert (failure.name, failure.unexpected) == ("parsed_names_a_class", 96)
    assert [set(row) >= {"model_id", "sample_id"} for row in failure.examples] == [True] * 5
    assert failure.detail.startswith("96 unexpected rows, for instance model_id=alpha")
    assert [warning.name for warning in report.warnings] == ["finished"]


@pytest.mark.slow
def test_warnings_alone_do_not_fail(lake: Lake) -> None:
    with tampered(lake) as con:
        con.execute("UPDATE run SET status = 'running', finished_at = NULL WHERE command = 'probe'")
    report = validate(lake)
    assert report.passed
    assert [warning.name for warning in report.warnings] == ["finished"]


def _shard(lake: Lake) -> Path:
    return sorted(lake.root.glob("activation/model=alpha/*/module=llm/*.parquet"))[0]


@pytest.mark.slow
def test_values_that_are_not_finite_are_found_in_the_shards(lake: Lake) -> None:
    path = _shard(lake)
    rows = pq.read_table(path, partitioning=None)
    vectors = [np.array(vector, np.float32) for vector in rows["vector"].to_pylist()]
    vectors[3][5] = np.nan
    column = rows.schema.get_field_index("vector")
    changed = rows.set_column(column, "vector", pa.array(vectors, pa.list_(pa.float32())))
    pq.write_table(changed, path)
    failed = _failed(validate(lake))
    assert ("activation", "values_finite") in failed
    assert ("shard", "file_intact") in failed


@pytest.mark.parametrize(
    "damage",
    [
        "gone",
        pytest.param("cut", marks=pytest.mark.slow),
        pytest.param("garbage", marks=pytest.mark.slow),
    ],
)
def test_a_damaged_shard_is_named_and_the_rest_is_still_checked(lake: Lake, damage: str) -> None:
    path = _shard(lake)
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:100] if damage == "cut" else b"x" * 5000)
    report = validate(lake)
    checks = {(check.table, check.name): check for check in report.checks}
    intact = checks["shard", "file_intact"]
    assert intact.examples[0]["path"] == path.relative_to(lake.root).as_posix()
    assert "could not be checked" in checks["activation", "values_finite"].detail
    assert checks["sample", "group_in_one_split"].passed


@pytest.mark.slow
def test_an_empty_lake_can_be_validated(tmp_path: Path) -> None:
    (tmp_path / "lake").mkdir()
    assert _failed(validate(Lake.at(tmp_path / "lake"))) == set()


def test_a_folder_that_is_no_lake_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no lake"):
        validate(Lake.at(tmp_path / "nowhere"))


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [(tag, value) for name, value in attrs if name in ("href", "src") and value]


@pytest.mark.slow
def test_data_docs_open_offline(lake: Lake, tmp_path: Path) -> None:
    with tampered(lake) as con:
        con.execute("UPDATE sample SET split = '<dev>' WHERE split = 'val'")
    folder = tmp_path / "docs"
    assert validate(lake, folder).data_docs == folder
    pages = sorted(folder.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        html = page.read_text(encoding="utf-8")
        assert "<script" not in html
        assert not re.search(r"https?://", html), page
        links = _Links()
        links.feed(html)
        for tag, target in links.found:
            if not target.startswith("#"):
                assert (page.parent / target).exists(), (page, tag, target)
        if page.parent != folder:
            back = [target for _, target in links.found if target.endswith("index.html")]
            assert len(back) == 1, page
            assert "__none__</li>" not in html
    assert "http" not in (folder / "data_docs.css").read_text(encoding="utf-8")
    front = (folder / "index.html").read_text(encoding="utf-8")
    assert "Every sample is in train, val or test." in front
    assert "&lt;dev&gt;" in front
    assert "<dev>" not in front


@pytest.mark.slow
def test_the_rows_that_break_a_rule_have_a_page(lake: Lake, tmp_path: Path) -> None:
    long = "x" * 1000
    with tampered(lake) as con:
        con.execute("UPDATE sample SET split = '<dev>' WHERE split = 'val'")
        con.execute(f"UPDATE sample SET split = '{long}' WHERE split = 'test'")
        con.execute("UPDATE probe SET n_train = 1000000")
    report = validate(lake, tmp_path / "docs")
    failed = {f"{c.table}.{c.name}": c for c in [*report.failures, *report.warnings]}
    pages = {path.stem: path for path in (tmp_path / "docs" / "failed").iterdir()}
    assert set(pages) == set(failed)
    front = (tmp_path / "docs" / "index.html").read_text(encoding="utf-8")
    for name, check in failed.items():
        assert f'href="failed/{name}.html"' in front
        html = pages[name].read_text(encoding="utf-8")
        n_shown = len(re.findall("<tr>", html.split("<tbody>")[1]))
        assert n_shown == min(check.unexpected, 100)
        assert ("are shown; all of them with the query" in html) == (check.unexpected > 100)
    assert max(check.unexpected for check in failed.values()) > 100
    split = pages["sample.split_known"].read_text(encoding="utf-8")
    assert "&lt;dev&gt;" in split
    assert "<dev>" not in split
    assert f"{long[:300]}…" in split
    assert long not in split
    assert "FROM sample" in split
    scheme = (tmp_path / "docs" / "data_docs.css").read_text(encoding="utf-8")
    light, dark = scheme.split("@media (prefers-color-scheme: dark)")
    assert set(re.findall(r"--[\w-]+(?=:)", light)) <= set(re.findall(r"--[\w-]+(?=:)", dark))


@pytest.mark.slow
def test_the_pages_keep_nobody_out(lake: Lake, tmp_path: Path) -> None:
    """The front page, one of a failed check, and Great Expectations' own two kinds."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not there")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium to open pages with: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with tampered(lake) as con:
        con.execute("UPDATE answer SET parsed = FALSE WHERE method = 'likelihood'")
    folder = tmp_path / "docs"
    validate(lake, folder)
    kinds = ("index.html", "failed/*.html", "validations/answer/*/*/*.html", "expectations/a*.html")
    pages = [next(folder.glob(kind)) for kind in kinds]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for width, scheme in ((1280, "light"), (400, "dark")):
            context = browser.new_context(
                viewport={"width": width, "height": 900},
                color_scheme=scheme,  # type: ignore[arg-type]
            )
            page = context.new_page()
            for place in pages:
                page.goto(place.as_uri())
                found = axe.Axe().run(page).response["violations"]
                said = [(one["id"], node["html"]) for one in found for node in one["nodes"]]
                assert said == [], place
                widths = "[document.body.scrollWidth, document.documentElement.clientWidth]"
                wide, room = page.evaluate(widths)
                assert wide <= room
        browser.close()


@pytest.mark.slow
def test_pages_that_cannot_be_written_are_no_data_docs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Great Expectations itself logs the error, and leaves the page out."""
    (tmp_path / "lake").mkdir()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    backend = "great_expectations.data_context.store.tuple_store_backend"
    monkeypatch.setattr(f"{backend}.TupleFilesystemStoreBackend._set", full)
    with pytest.raises(LayerhouseError, match=r"cannot write Data Docs to .*: No space left"):
        validate(Lake.at(tmp_path / "lake"), tmp_path / "docs")
    assert not (tmp_path / "docs").exists()


@pytest.mark.slow
def test_data_docs_replace_earlier_ones_and_nothing_else(lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    validate(lake, folder)
    before = sorted(path.relative_to(folder).parts[0] for path in folder.rglob("*"))
    validate(lake, folder)
    assert before == sorted(path.relative_to(folder).parts[0] for path in folder.rglob("*"))
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter.txt").write_text("words")
    with pytest.raises(UsageError, match="holds other files"):
        validate(lake, other)
    assert [path.name for path in other.iterdir()] == ["chapter.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["docs", "lake", "thesis"]


@pytest.mark.slow
def test_validation_is_quiet_and_leaves_no_files(sound: Lake, tmp_path: Path) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from warehouse.lake.lake import Lake\n"
        "from warehouse.validation import validate\n"
        "import json; json.dump(validate(Lake.at(sys.argv[1])).passed, sys.stdout)"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code, str(sound.root), str(root)],
        cwd=work,
        env={**os.environ, "HOME": str(home), "TMPDIR": str(work), "XDG_CACHE_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (json.loads(done.stdout), done.stderr) == (True, "")
    assert [*home.iterdir(), *work.iterdir()] == []
