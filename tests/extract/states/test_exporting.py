"""A model's vectors as files of other programs, and back again without a bit changed."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import load_file

import layerhouse
from extract.states import exporting
from layerhouse.cli import main
from tests.conftest import Demo
from tests.extract.states.folders import CELLS, SAMPLES, bring, drawn, held, pooled, small_lake
from tests.warehouse.small_lakes import DATASET, RunWriter, activation_rows, extract_spec
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake.lake import Lake


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Of four samples, with states that were brought; nobody writes to it."""
    folder = tmp_path_factory.mktemp("exported")
    lake = small_lake(folder / "lake")
    pooled(folder / "states")
    bring(lake, folder / "states")
    return lake


def export(lake: Lake, out: Path, **options: object) -> Path:
    layerhouse.export("friend", DATASET, out, lake=lake, **options)  # type: ignore[arg-type]
    return out


@pytest.mark.parametrize("form", ["safetensors", pytest.param("npy", marks=pytest.mark.slow)])
def test_what_is_exported_comes_back_bit_for_bit(lake: Lake, tmp_path: Path, form: str) -> None:
    out = export(lake, tmp_path / "out", format=form)
    other = small_lake(tmp_path / "other")
    done = layerhouse.import_(out, "again", DATASET, lake=other)
    assert (done.n_samples, done.n_cells) == (4, len(CELLS))
    found, before = held(other, "again"), held(lake)
    assert found.keys() == before.keys() == set(CELLS)
    for cell, (names, vectors) in found.items():
        assert names == before[cell][0]
        assert vectors.tobytes() == before[cell][1].tobytes()
    assert export(lake, tmp_path / "same", format=form).exists()
    for path in out.iterdir():
        assert path.read_bytes() == (tmp_path / "same" / path.name).read_bytes()


def test_samples_of_another_class_are_of_another_dataset(lake: Lake, tmp_path: Path) -> None:
    out = export(lake, tmp_path / "out", module="connector")
    rows = pl.read_parquet(out / "samples.parquet").with_columns(label=pl.lit("one"))
    rows.write_parquet(out / "samples.parquet")
    with pytest.raises(LayerhouseError, match="s0 is of the class one, and in digits it is"):
        bring(lake, out, "again")


def test_a_folder_says_what_it_holds(lake: Lake, tmp_path: Path) -> None:
    out = export(lake, tmp_path / "out")
    said = json.loads((out / "manifest.json").read_text())
    assert (said["kind"], said["version"]) == ("layerhouse-states", 1)
    assert said["model"]["model_id"] == "friend"
    assert said["classes"] == ["zero", "one"]
    assert said["runs"][0]["command"] == "import"
    assert len(said["loci"]) == len(CELLS)
    for one in said["loci"]:
        tensor = load_file(out / one["file"])[one["tensor"]]
        assert tensor.shape == (4, one["length"])
        cell = (one["module"], one["layer"], one["readout"])
        assert tensor.tolist() == drawn(SAMPLES, cell).tolist()
    rows = pl.read_parquet(out / said["samples"])
    assert rows.rows() == [
        ("s0", 0, "train", "zero"),
        ("s1", 1, "val", "one"),
        ("s2", 0, "test", "zero"),
        ("s3", 1, "train", "one"),
    ]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o007, 0o660), (0o077, 0o600)])
def test_its_files_are_readable_as_the_umask_says(
    lake: Lake, tmp_path: Path, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        out = export(lake, tmp_path / "out")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(file.stat().st_mode) for file in out.iterdir()} == {mode}


@pytest.mark.slow
def test_no_patient_and_no_path_is_in_it(lake: Lake, tmp_path: Path) -> None:
    for form in ("safetensors", "npy", "hf"):
        for path in export(lake, tmp_path / form, format=form).rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            assert b"made-up:" not in content
            assert b"g0" not in content


@pytest.mark.parametrize(
    ("chosen", "cells"),
    [
        pytest.param({"module": "llm"}, {("llm", 0), ("llm", 7)}, marks=pytest.mark.slow),
        pytest.param(
            {"layer": 0}, {("vision", 0), ("connector", 0), ("llm", 0)}, marks=pytest.mark.slow
        ),
        ({"layer": [-1]}, {("vision", 0), ("connector", 0), ("llm", 7)}),
        ({"module": "llm", "layer": "7"}, {("llm", 7)}),
        ({"readout": "grid"}, {("vision", 0)}),
    ],
)
def test_loci_are_chosen_as_for_an_extraction(
    lake: Lake, tmp_path: Path, chosen: dict[str, object], cells: set[tuple[str, int]]
) -> None:
    out = export(lake, tmp_path / "out", format="npy", **chosen)
    said = json.loads((out / "manifest.json").read_text())["loci"]
    assert {(one["module"], one["layer"]) for one in said} == cells
    assert len(list(out.glob("*.npy"))) == len(said)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"module": "vison"}, "did you mean vision"),
        ({"layer": 3}, "matches layer 3; vision has 0; connector has 0; llm has 0, 7"),
        ({"readout": "men"}, "did you mean mean"),
        ({"readout": "cls"}, "the lake holds vision grid, vision mean"),
        ({"readout": "tokens"}, "layerhouse delta --table token_activation"),
        ({"format": "pickle"}, "unknown format 'pickle'"),
    ],
)
def test_what_is_not_there_is_told(
    lake: Lake, tmp_path: Path, chosen: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError) as refused:
        export(lake, tmp_path / "out", **chosen)
    assert said in str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("model", "dataset", "said"),
    [
        ("frend", DATASET, "no model 'frend'; did you mean friend"),
        ("friend", "digit", "no dataset 'digit'; did you mean digits"),
    ],
)
def test_names_that_the_lake_lacks_are_told(
    lake: Lake, tmp_path: Path, model: str, dataset: str, said: str
) -> None:
    with pytest.raises(UsageError) as refused:
        layerhouse.export(model, dataset, tmp_path / "out", lake=lake)
    assert said in str(refused.value)


def file(out: Path) -> None:
    out.write_text("mine")


def others(out: Path) -> None:
    out.mkdir()
    (out / "mine").touch()


def strange(out: Path) -> None:
    out.mkdir()
    (out / "manifest.json").write_text('{"kind": "mine"}')


def link(out: Path) -> None:
    (out.parent / "elsewhere").mkdir()
    out.symlink_to(out.parent / "elsewhere")


@pytest.mark.parametrize("there", [file, others, strange, link])
def test_what_is_no_export_is_never_replaced(
    lake: Lake, tmp_path: Path, there: Callable[[Path], None]
) -> None:
    there(tmp_path / "out")
    for force in (False, True):
        with pytest.raises(UsageError, match="name a new"):
            export(lake, tmp_path / "out", force=force)
    with pytest.raises(UsageError, match="one of the lake's own files"):
        export(lake, lake.root / "activation" / "out")


@pytest.mark.slow
def test_an_earlier_export_is_replaced_when_that_is_asked_for(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    asked = ("export", "--model", "friend", "--dataset", DATASET, "--out", str(out))
    asked = (*asked, "--lake", str(lake))
    codes = []
    for more in ((), (), ("--force", "--format", "npy")):
        with pytest.raises(SystemExit) as ended:
            main([*asked, *more])
        codes.append(ended.value.code)
    said = capsys.readouterr()
    assert codes == [0, 2, 0]
    assert said.out.startswith("Wrote 5 readouts of friend for 4 samples of digits to ")
    assert "holds an export already; --force replaces it" in said.err
    assert not list(out.glob("*.safetensors"))
    assert len(list(out.glob("*.npy"))) == 5


@pytest.mark.slow
def test_a_folder_is_whole_or_not_there(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = export(lake, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def full(*_: object, **_named: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(np, "save", full)
    for place in (out, tmp_path / "new"):
        with pytest.raises(LayerhouseError, match="No space left"):
            export(lake, place, format="npy", force=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


def test_loci_of_different_samples_are_refused(lake: Lake, tmp_path: Path) -> None:
    other = Lake.at(shutil.copytree(lake.root, tmp_path / "lake"))
    more = activation_rows(["s0"], model_id="friend", loci=(("llm", 0),), readouts=("mean",))
    RunWriter(other, extract_spec("friend")).commit({"activation": more})
    with pytest.raises(LayerhouseError, match=r"hold different samples \(4 and 1\)"):
        export(other, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_formats_of_the_command_are_those_there_are() -> None:
    from layerhouse.cli.export import FORMATS

    assert set(FORMATS) == set(exporting.WRITERS)


@pytest.mark.slow
def test_hugging_face_loads_what_was_exported(demo: Demo, tmp_path: Path) -> None:
    """By the card alone, as from the Hub; labels and vectors are the lake's."""
    import yaml
    from datasets import disable_progress_bars, get_dataset_config_names, load_dataset

    disable_progress_bars()
    out = tmp_path / "out"
    layerhouse.export(
        "tiny-digits", "digits", out, format="hf", module="llm", layer=-1, lake=demo.lake
    )
    card = (out / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(card.split("---\n")[1])
    names = ["llm.4.grid", "llm.4.last", "llm.4.mean"]
    assert [one["config_name"] for one in head["configs"]] == names
    assert get_dataset_config_names(str(out)) == names
    assert "| `llm.4.grid` | llm | 4 | final_norm | grid | 256 |" in card
    found = load_dataset(str(out), "llm.4.last", cache_dir=str(tmp_path / "cache"))
    with layerhouse.connect(demo.lake) as wh:
        vectors, samples = wh.activations("tiny-digits", "digits", "llm", 4, "last")
    for ours, theirs in (("train", "train"), ("val", "validation"), ("test", "test")):
        own = samples["split"].to_numpy() == ours
        held = found[theirs].with_format("numpy")
        assert held["sample_id"][:].tolist() == samples["sample_id"].filter(own).to_list()
        assert np.asarray(held["vector"][:]).tobytes() == vectors[own].tobytes()
        names = [found[theirs].features["label"].int2str(int(one)) for one in held["label"][:]]
        assert names == samples["label"].filter(own).to_list()


@pytest.mark.slow
def test_a_model_that_was_extracted_comes_back_bit_for_bit(demo: Demo, tmp_path: Path) -> None:
    lake = Lake.at(shutil.copytree(demo.lake.root, tmp_path / "lake"))
    layerhouse.export("tiny-digits", "digits", tmp_path / "out", lake=lake)
    layerhouse.import_(tmp_path / "out", "again", "digits", lake=lake)
    with layerhouse.connect(lake) as wh:
        rows = wh.sql(
            "SELECT count(*), count(*) FILTER (WHERE a.vector = b.vector) FROM activation AS a "
            "FULL JOIN activation AS b USING (dataset_id, module, layer, readout, sample_id) "
            "WHERE a.model_id = 'tiny-digits' AND b.model_id = 'again'"
        ).fetchall()
    assert rows == [(41331, 41331)]
