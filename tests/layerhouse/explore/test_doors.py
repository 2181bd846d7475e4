"""The explorer's doors: who may ask it, for what, and by which names."""

from __future__ import annotations

import html
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import duckdb
import pytest

from layerhouse.cli import main
from layerhouse.explore import ExploredFile
from tests.layerhouse.explore.conftest import DATASET, EVIL, MODEL, OTHER, SAMPLE
from tests.layerhouse.explore.visitor import Visitor, exploring, words
from warehouse.catalogue import connect

PAIR = {"model": MODEL, "dataset": DATASET}


def one_sentence(page: str) -> str:
    """What the page of an error says."""
    assert page.count('<p class="sentence">') == 1
    said = html.unescape(page.split('<p class="sentence">')[1].split("</p>")[0])
    return said[0].lower() + said[1:]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8501", "[::1]", ""])
def test_a_page_of_somebody_else_s_name_is_not_answered(visitor, host):
    got = visitor.get("/", host=host)
    assert got.status == 400
    assert b"digits" not in got.body


@pytest.mark.parametrize("host", ["127.0.0.1:8501", "localhost:8501", "localhost"])
def test_our_own_names_are_answered(visitor, host):
    assert visitor.get("/", host=host).status == 200


@pytest.mark.parametrize("path", ["/", "/nowhere", "/picture", "/style.css"])
def test_every_answer_forbids_what_a_page_does_not_need(visitor, path):
    headers = visitor.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("verb", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_sent(visitor, verb):
    assert visitor.get("/model", verb=verb).status == 405


@pytest.mark.parametrize(
    "path", ["/", pytest.param("/model", marks=pytest.mark.slow), "/samples", "/sample"]
)
def test_names_labels_and_replies_are_texts(stranger, hostile, path):
    page = stranger.get(path, sample=SAMPLE, with_=OTHER, attribute="view $x", value=EVIL, **PAIR)
    assert page.status == 200
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "<b>forms" not in page.text
    assert not {"\x1b", "\u202e"} & set(page.text), "orders to whoever shows it"
    for name, query in page.queries.items():
        with connect(hostile) as wh:
            assert wh.sql(query).columns, name


def test_models_that_were_not_tried_on_a_dataset_have_an_empty_cell(stranger):
    said = words(stranger.get("/").text)
    assert "2 models on 2 datasets" in said
    assert said.count("not tried") == 1
    assert said.count("no answers") == 1


def test_attributes_filter_by_name_and_value(stranger):
    some = stranger.get("/samples", attribute="view $x", value="a'p", **PAIR)
    others = stranger.get("/samples", attribute="view $x", value=EVIL, **PAIR)
    assert {some.status, others.status} == {200}
    # Every second sample is test, and of those every one has the other value.
    assert "0 samples" in words(some.text)
    assert "30 samples" in words(others.text)
    assert "no attribute" in stranger.get("/samples", attribute="vieu", **PAIR).text


@pytest.mark.parametrize(
    "sample",
    ["../../etc/passwd", "/etc/passwd", "image-00001 ", "'; DROP TABLE sample; --", "\0", ""],
)
@pytest.mark.parametrize("path", ["/picture", "/sample"])
def test_a_sample_that_is_not_there_is_told_in_a_sentence(stranger, path, sample):
    got = stranger.get(path, sample=sample, **PAIR)
    assert got.status == 404
    assert "no sample" in one_sentence(got.text)


def test_a_sentence_that_is_written_large_changes_no_name(stranger):
    said = one_sentence(stranger.get("/model", model="nobody", dataset=PAIR["dataset"]).text)
    assert said.startswith("no model 'nobody' in lakehouse; known are ")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": "tiny-digit"}, "did you mean tiny-digits"),
        ({"model": ""}, "no model"),
        ({"dataset": "digitz"}, "did you mean digits"),
        ({"page": "two"}, "page is a whole number"),
        ({"page": "9" * 40}, "page is a whole number"),
        ({"label": "1; SELECT"}, "label is a whole number"),
        ({"outcome": "lots"}, "there is no outcome"),
        ({"with_": "tiny"}, "no model"),
        ({"attribute": "age"}, "no attribute"),
    ],
)
def test_a_wrong_address_is_told_in_a_sentence(visitor, given, said):
    got = visitor.get("/samples", **{"model": "tiny-digits", "dataset": "digits", **given})
    assert got.status == 404
    assert said in one_sentence(got.text)


@pytest.mark.parametrize(
    "place", ["llm", "llm.3", "llm.x/mean", "llm.-1/mean", "/", "llm.3/", "9" * 99]
)
def test_a_place_that_is_none_is_told_in_a_sentence(visitor, place):
    pair = {"model": "tiny-digits", "dataset": "digits"}
    got = visitor.get("/sample", sample="digits/0000", place=place, **pair)
    assert got.status == 404
    assert "a place is MODULE.LAYER/READOUT" in one_sentence(got.text)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"place": "llm"}, "a place is MODULE.LAYER/READOUT"),
        ({"place": "llm.99/mean"}, "holds no activations of tiny-digits on digits at llm layer 99"),
        ({"method": "umap"}, "unknown method 'umap'"),
        ({"colour": "clas"}, "there is no colour 'clas'; did you mean class"),
    ],
)
def test_a_projection_of_nothing_is_told_in_a_sentence(visitor, given, said):
    pair = {"model": "tiny-digits", "dataset": "digits"}
    got = visitor.get("/projection", **{"place": "llm.4/last", **pair, **given})
    assert got.status == 404
    assert said in one_sentence(got.text)


def test_a_place_without_vectors_has_no_neighbours(visitor):
    pair = {"model": "tiny-digits", "dataset": "digits"}
    got = visitor.get("/sample", sample="digits/0000", place="llm.99/mean", **pair)
    assert "The lake holds no vector of this sample" in got.text


def test_an_image_that_has_gone_is_told_and_breaks_no_page(stranger):
    page = stranger.get("/sample", sample=SAMPLE, **PAIR)
    assert "No picture: its picture cannot be read" in page.text
    assert (
        stranger.get("/picture", sample=SAMPLE, **PAIR).headers["content-type"] == "image/svg+xml"
    )


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["explore", "--no-browser", *words])
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("Error: ")
    assert len(said.err.splitlines()) == 1
    return int(ended.value.code or 0), said.err


def test_what_is_no_publication_is_refused_in_a_sentence(demo, tmp_path, capsys):
    (tmp_path / "text.duckdb").write_text("no database")
    duckdb.connect(str(tmp_path / "own.duckdb")).execute("CREATE TABLE t AS SELECT 1").close()
    (tmp_path / "empty").mkdir()
    lake = demo.lake.root
    for given, code, said in (
        (tmp_path / "none.duckdb", 2, "is no file"),
        (tmp_path / "text.duckdb", 1, "cannot read"),
        (tmp_path / "own.duckdb", 2, "holds no marts"),
        (tmp_path / "empty", 2, "holds no marts.duckdb"),
        (lake, 2, f"is a lake; name it with --lake {lake}"),
        (lake / "catalog.duckdb", 2, "is a lake's own catalogue"),
    ):
        assert run(capsys, str(given))[0] == code, given
        assert said in run(capsys, str(given))[1]


def test_a_published_folder_is_its_file(published, tmp_path):
    shutil.copy(published / "marts.duckdb", tmp_path / "marts.duckdb")
    got = Visitor(ExploredFile(tmp_path)).get("/")
    assert got.status == 200
    assert f"<code>duckdb -readonly {tmp_path / 'marts.duckdb'} " in got.text


def test_a_file_of_an_older_version_says_what_it_lacks(published, tmp_path):
    path = tmp_path / "old.duckdb"
    shutil.copy(published / "marts.duckdb", path)
    with duckdb.connect(str(path)) as con:
        con.execute("DROP TABLE mart_sample_outcomes")
    got = Visitor(ExploredFile(path)).get("/model", model="tiny-digits", dataset="digits")
    assert got.status == 500
    assert "mart_sample_outcomes" in one_sentence(got.text)
    assert "publish it again" in one_sentence(got.text)


def test_there_is_no_lake(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "--lake", "nowhere")[0] == 2


def test_a_port_that_is_taken_is_told_in_a_sentence(published, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, said = run(capsys, str(published / "marts.duckdb"), "--port", port)
    assert code == 1
    assert f"port {port} cannot be used" in said
    assert "--port 0" in said


def test_the_keyboard_ends_it_with_one_line(published: Path):
    with exploring(str(published / "marts.duckdb"), "--no-browser", cwd=published) as (
        address,
        process,
    ):
        with urlopen(address) as page:
            assert page.status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stdout is not None
        assert process.stdout.read() == "ended\n"


def test_without_its_extra_it_names_it(published: Path):
    script = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from layerhouse.cli import main\n"
        f"main(['explore', {str(published / 'marts.duckdb')!r}, '--no-browser'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "Error: this needs uvicorn, which is not installed; install it with: "
        "pip install 'layerhouse[explore]'\n"
    )
