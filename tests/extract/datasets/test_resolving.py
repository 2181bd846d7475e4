"""A path that is given again is the dataset that it was registered as."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from extract.datasets import (
    AddOptions,
    PixelOptions,
    ReadOptions,
    add,
    add_per_label,
    pixel_options,
    registered,
    resolve,
)
from extract.datasets.registration import READING
from extract.datasets.remembering import options_of, said
from extract.training.tiny import train_tiny_model
from layerhouse.cli.baseline import command as baseline_command
from tests.tables import tables
from warehouse.catalogue import refuse_changed
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake, list_commits
from warehouse.lake.covering import SAID
from warehouse.untrusted import UnfitError


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.at(tmp_path / "lake")


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Two classes of twelve images of 12 bits."""
    for number in range(24):
        place = tmp_path / "scans" / "ab"[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(number).integers(0, 4096, (8, 8), dtype=np.uint16)
        Image.fromarray(values).save(place)
    return tmp_path / "scans"


WINDOW = AddOptions(pixels=pixel_options(window="2000,1000"))


@pytest.mark.parametrize("name", ["scans", "another-name"])
def test_a_path_is_read_as_it_was_registered(lake: Lake, scans: Path, name: str) -> None:
    add(lake, name, scans, WINDOW)
    commits = list_commits(lake)
    for typed in (str(scans), f"{scans}/", os.path.relpath(scans)):
        assert resolve(lake, typed) == name
    assert list_commits(lake) == commits


def test_what_changed_in_a_path_since_is_found(lake: Lake, scans: Path) -> None:
    add(lake, "scans", scans, WINDOW)
    (scans / "a" / "0.png").unlink()
    with pytest.raises(
        LayerhouseError, match=r"1 samples are gone, .*`--dataset scans` goes on with what is"
    ):
        resolve(lake, str(scans))


def test_a_dataset_that_was_registered_before_options_were_kept_says_what_to_type(
    lake: Lake, scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr("extract.datasets.registration.said", lambda _: None)
        add(lake, "scans", scans, WINDOW)
    with pytest.raises(LayerhouseError, match=r"`--dataset scans` goes on with what is registered"):
        resolve(lake, str(scans))
    assert resolve(lake, "scans") == "scans"


def test_a_path_of_several_datasets_names_them(lake: Lake, scans: Path) -> None:
    add(lake, "wide", scans)
    assert resolve(lake, str(scans)) == "wide"
    add(lake, "narrow", scans, WINDOW)
    with pytest.raises(UsageError, match="scans is registered as narrow, wide; give one of these"):
        resolve(lake, str(scans))
    add(lake, "scans", scans)
    assert resolve(lake, str(scans)) == "scans"


def test_findings_of_a_path_are_named_or_meant(lake: Lake, scans: Path) -> None:
    rows = ["image_path,label", *(f"{'ab'[n % 2]}/{n}.png,{'xy'[n % 2]}" for n in range(24))]
    (scans / "manifest.csv").write_text("\n".join(rows))
    add_per_label(lake, "set", scans)
    with pytest.raises(UsageError, match="is registered as set_x, set_y; give one"):
        resolve(lake, str(scans))
    assert resolve(lake, "set_x") == "set_x"


@pytest.mark.parametrize(
    "options",
    [
        AddOptions(),
        WINDOW,
        AddOptions(pixels=PixelOptions(frame="middle", background="ffffff")),
        AddOptions(pixels=pixel_options(shown="1%,99%"), seed=3, fractions=[0.5, 0.25, 0.25]),
        AddOptions(
            reading=ReadOptions(columns={"label": "dx"}, missing="skip", skip_bad=True, images="x")
        ),
    ],
)
def test_options_are_kept_whole(options: AddOptions) -> None:
    kept = said(options)
    assert (kept is None) == (options == AddOptions())
    assert options_of(kept) == options
    assert said(options_of(kept)) == kept


def test_titles_and_phrases_are_no_options_of_reading() -> None:
    assert said(AddOptions(title="T", licence="CC0", phrases={"a": "b"})) is None


def test_a_record_has_a_place_for_every_option_and_none_for_others() -> None:
    usual = AddOptions()
    parts = {"reading": asdict(usual.reading), "pixels": asdict(usual.pixels)}
    SAID({"fractions": list(usual.fractions), "seed": 1, "per_label": True, **parts}, "options")
    with pytest.raises(UnfitError, match="'elsewhere' and not one that is known"):
        SAID({"reading": {"elsewhere": "/etc"}}, "options")


# -- lakes of earlier versions ------------------------------------------------------------------


@pytest.fixture
def earlier(lake: Lake, scans: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A lake whose dataset `scans` noted neither how it was read nor the state of its files."""
    with monkeypatch.context() as before:
        before.setattr("extract.datasets.registration.READING", 1)
        before.setattr("extract.datasets.checking.file_rows", lambda *_: [])
        add(lake, "scans", scans)
    return lake


def test_what_an_earlier_version_registered_is_looked_at_once(
    earlier: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = registered(earlier)["scans"]
    with tables(earlier) as wh:
        old = wh.sql("SELECT * EXCLUDE run_id FROM sample ORDER BY ALL").fetchall()
    assert resolve(earlier, "scans") == "scans"
    after = registered(earlier)["scans"]
    assert (after.fingerprint, after.reading) == (before.fingerprint, READING)
    with tables(earlier) as wh:
        assert wh.sql("SELECT * EXCLUDE run_id FROM sample ORDER BY ALL").fetchall() == old
        assert wh.sql("SELECT count(*) FROM image_file").fetchall() == [(24,)]

    def refuse(*_: object) -> None:
        raise AssertionError("images were opened or hashed again")

    monkeypatch.setattr("extract.datasets.resolving.read_otherwise", refuse)
    monkeypatch.setattr("warehouse.images.changes.image_sha256", refuse)
    commits = list_commits(earlier)
    assert resolve(earlier, "scans") == "scans"
    with tables(earlier) as wh:
        refuse_changed(wh, "scans", [row[1] for row in old])
    assert list_commits(earlier) == commits


def test_images_that_changed_meanwhile_are_not_noted(earlier: Lake, scans: Path) -> None:
    Image.new("L", (8, 8), 7).save(scans / "a" / "0.png")
    assert resolve(earlier, "scans") == "scans"
    assert registered(earlier)["scans"].reading == 1
    with tables(earlier) as wh, pytest.raises(LayerhouseError, match="1 of 24 images of scans"):
        refuse_changed(wh, "scans", [f"{'ab'[n % 2]}/{n}.png" for n in range(24)])


# -- who else is told -----------------------------------------------------------------------------


def test_a_baseline_of_a_path_says_what_its_registration_warned_of(lake: Lake, scans: Path) -> None:
    words = ["--dataset", str(scans), "--architecture", "pixels-logistic", "--lake", str(lake.root)]
    for told in (1, 0):
        done = CliRunner().invoke(baseline_command, words)
        assert done.exit_code == 0, done.output
        assert done.output.count("Warning: splits were made") == told
        assert done.output.count("Warning: 24 images of more than 8 bits") == told


def test_the_tiny_trainer_refuses_images_that_changed(
    tmp_path: Path, lake: Lake, scans: Path
) -> None:
    add(lake, "scans", scans)
    with tables(lake) as wh:
        query = "SELECT uri FROM sample WHERE split = 'train' ORDER BY uri"
        ((uri,), *_) = wh.sql(query).fetchall()
    Image.new("L", (8, 8), 7).save(uri.partition("#")[0])
    with pytest.raises(LayerhouseError, match="images of scans have changed since"):
        train_tiny_model(lake, "scans", tmp_path / "model")
