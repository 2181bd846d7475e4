"""`layerhouse datasets audit`: planted faults of a set of images, found and mended end to end."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image, ImageOps

import layerhouse
from layerhouse import LayerhouseError, UsageError
from layerhouse.cli import layerhouse as commands
from tests.analysis.audit.pictures import COPIES, alike
from warehouse.lake import Lake, RunSpec, RunWriter

SIZES = {"train": 70, "val": 64, "test": 64}
Row = list[str]
Plant = Callable[[Path, list[Row]], None]


@pytest.fixture(scope="module")
def images() -> list[Image.Image]:
    return alike(sum(SIZES.values()), side=64)


def _folder(root: Path, images: Sequence[Image.Image]) -> tuple[Path, list[Row]]:
    """A clean set, two classes in turns, and the rows of its table."""
    root.mkdir()
    splits = [split for split, n in SIZES.items() for _ in range(n)]
    rows = []
    for index, (image, split) in enumerate(zip(images, splits, strict=True)):
        image.save(root / f"{index:03d}.png")
        rows.append([f"{index:03d}.png", "ab"[index % 2], split, f"p{index:03d}"])
    return root, rows


def _add(root: Path, rows: Sequence[Row], name: str = "set") -> None:
    with (root / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image_path", "label", "split", "group_id"], *rows])
    layerhouse.datasets.add(name, root)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAYERHOUSE_LAKE", str(Lake.at(tmp_path / "lake").root))
    return tmp_path


def _found(name: str = "set") -> dict[tuple[str, str | None], str]:
    return {
        (finding.kind, finding.subject): finding.sentence
        for finding in layerhouse.datasets.audit(name).findings
    }


def _copy(root: Path, name: str, change: str = "JPEG of quality 50") -> str:
    COPIES[change](Image.open(root / name)).save(root / f"copy-{name}")
    return f"copy-{name}"


def _across_splits(root: Path, rows: list[Row]) -> None:
    rows.append([_copy(root, "000.png"), "a", "test", "other"])


def _two_labels(root: Path, rows: list[Row]) -> None:
    rows.append([_copy(root, "000.png"), "b", "train", rows[0][3]])


def _two_groups(root: Path, rows: list[Row]) -> None:
    rows.append([_copy(root, "000.png"), "a", "train", "other"])


def _mirrored(root: Path, rows: list[Row]) -> None:
    rows.append([_copy(root, "000.png", "mirrored"), "a", "train", "other"])


def _exact(root: Path, rows: list[Row]) -> None:
    (root / "same.png").write_bytes((root / "000.png").read_bytes())
    rows.append(["same.png", "b", "train", rows[0][3]])


def _blank(root: Path, rows: list[Row]) -> None:
    """Failed downloads: four black images, which are no copies of each other."""
    for index in range(4):
        Image.new("RGB", (64, 64)).save(root / f"blank{index}.png")
        rows.append(
            [f"blank{index}.png", "ab"[index % 2], ["train", "test"][index // 2], f"x{index}"]
        )


def _small_val(_root: Path, rows: list[Row]) -> None:
    """Kermany's: eight images of each class."""
    kept = [row for row in rows if row[2] == "val"][:16]
    rows[:] = [row for row in rows if row[2] != "val"] + kept


def _of_class(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row[1] == "b"]


def _size(root: Path, rows: list[Row]) -> None:
    """Another hospital sends another size: the whole class b is larger."""
    for row in _of_class(rows):
        image = Image.open(root / row[0])
        image.resize((80, 80)).save(root / row[0])


def _file_type(root: Path, rows: list[Row]) -> None:
    for row in _of_class(rows):
        image = Image.open(root / row[0])
        row[0] = row[0].replace(".png", ".bmp")
        image.save(root / row[0])


def _frame(root: Path, rows: list[Row]) -> None:
    """COVID sets from web pages: one class with a white border."""
    for row in _of_class(rows):
        image = ImageOps.expand(Image.open(root / row[0]).crop((4, 4, 60, 60)), 4, "white")
        image.save(root / row[0])


def _colour(root: Path, rows: list[Row]) -> None:
    for row in _of_class(rows):
        red, green, blue = Image.open(root / row[0]).split()
        Image.merge("RGB", (red, green, blue.point(lambda v: v * 0.8))).save(root / row[0])


SITUATIONS: dict[str, tuple[Plant, set[tuple[str, str | None]]]] = {
    "a copy of a train image in test": (
        _across_splits,
        {("copies_across_splits", None), ("copies_across_groups", None)},
    ),
    "one image, stored twice, under two labels": (_two_labels, {("copies_under_two_labels", None)}),
    "the same file under two labels": (_exact, {("copies_under_two_labels", None)}),
    "one patient under two names": (_two_groups, {("copies_across_groups", None)}),
    "a published augmentation: mirrored": (_mirrored, {("copies_across_groups", None)}),
    "downloads that failed": (_blank, {("blank_images", None)}),
    "a val split of sixteen": (_small_val, {("small_split", "val")}),
    "size tells the class": (_size, {("shortcut", "size")}),
    "file type tells the class": (_file_type, {("shortcut", "file_type")}),
    "a white frame tells the class": (_frame, {("shortcut", "border")}),
    "a colour cast tells the class": (_colour, {("shortcut", "colour")}),
    "nothing is wrong": (lambda *_: None, set()),
}


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One lake for all situations, since a catalogue takes its time to build."""
    return tmp_path_factory.mktemp("situations")


OF_A_KIND = (
    "a val split of sixteen",
    "downloads that failed",
    "one image, stored twice, under two labels",
    "a published augmentation: mirrored",
    "file type tells the class",
    "a white frame tells the class",
    "a colour cast tells the class",
)
"""Found in the way that another of them is."""


@pytest.mark.parametrize(
    "situation",
    [pytest.param(s, marks=pytest.mark.slow) if s in OF_A_KIND else s for s in SITUATIONS],
)
def test_what_is_planted_is_found_and_named(
    situation: str,
    shared_place: Path,
    images: list[Image.Image],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAYERHOUSE_LAKE", str(shared_place / "lake"))
    plant, expected = SITUATIONS[situation]
    name = f"situation-{list(SITUATIONS).index(situation)}"
    root, rows = _folder(shared_place / name, images)
    plant(root, rows)
    _add(root, rows, name)
    found = set(_found(name))
    assert found >= expected
    beside = {kind for kind, _ in found - expected}
    assert beside <= ({"shortcut"} if expected else set())


@pytest.mark.slow
@pytest.mark.usefixtures("place")
def test_an_image_too_small_to_tell_is_held_against_its_own_copies_only() -> None:
    """Two handwritten digits of 8 × 8 pixels correlate like two photographs of one thing."""
    layerhouse.datasets.add("digits", "digits")
    result = layerhouse.datasets.audit("digits")
    assert result.n_compared == 0
    assert not [finding for finding in result.findings if finding.kind.startswith("copies")]


def _run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(commands, ["datasets", *words])
    return done.exit_code, done.output if done.exit_code == 0 else str(done.exception)


def test_audit_says_what_was_found_and_show_repeats_it(
    place: Path, images: list[Image.Image]
) -> None:
    root, rows = _folder(place / "images", images)
    _two_groups(root, rows)
    _add(root, rows)
    sentence = (
        "- 2 images are near-duplicates in two groups, first 000.png and copy-000.png: intervals "
        "are too narrow; --unite makes one group of them\n"
    )
    assert "Not audited yet: `layerhouse datasets audit set`" in _run("show", "set")[1]
    code, said = _run("audit", "set")
    assert code == 0
    assert "199 of 199 images of set were compared" in said
    assert sentence in said
    assert sentence in _run("show", "set")[1]
    assert layerhouse.datasets.audit("set").added is False


@pytest.mark.slow
def test_unite_makes_one_group_and_the_source_is_still_the_same(
    place: Path, images: list[Image.Image]
) -> None:
    root, rows = _folder(place / "images", images)
    _two_groups(root, rows)
    _add(root, rows)
    united = layerhouse.datasets.audit("set", unite=True)
    assert (united.dataset_id, united.n_joined, united.n_moved) == ("set", 1, 0)
    assert ("copies_across_groups", None) not in _found()
    groups = "SELECT count(DISTINCT group_id) FROM sample WHERE dataset_id = 'set'"
    with layerhouse.connect() as wh:
        assert wh.sql(groups).fetchall() == [(198,)]
    assert layerhouse.datasets.add("set", root).added is False
    layerhouse.datasets.add("set", root, title="Another title")
    with layerhouse.connect() as wh:
        assert wh.sql(groups).fetchall() == [(198,)]
        assert wh.sql("SELECT title FROM dataset").fetchall() == [("Another title",)]
    assert layerhouse.datasets.audit("set", unite=True).n_joined == 0
    Image.new("RGB", (64, 64), "red").save(root / "001.png")
    with pytest.raises(LayerhouseError, match="other content"):
        layerhouse.datasets.add("set", root)


@pytest.mark.slow
def test_copies_in_two_splits_are_mended_by_a_new_dataset_only(
    place: Path, images: list[Image.Image]
) -> None:
    root, rows = _folder(place / "images", images)
    _across_splits(root, rows)
    _add(root, rows)
    with pytest.raises(LayerhouseError, match=r"copy-000.png \(test\).*--into NEW"):
        layerhouse.datasets.audit("set", unite=True)
    assert ("copies_across_splits", None) in _found()
    made = layerhouse.datasets.audit("set", unite=True, into="whole")
    assert (made.dataset_id, made.n_joined, made.n_moved) == ("whole", 1, 1)
    assert not [finding for finding in made.findings if finding.kind.startswith("copies")]
    with layerhouse.connect() as wh:
        cut = "SELECT group_id FROM sample WHERE dataset_id = 'whole' GROUP BY ALL "
        assert wh.sql(f"{cut} HAVING count(DISTINCT split) > 1").fetchall() == []
        moved = wh.sql(
            "SELECT split FROM sample WHERE dataset_id = 'whole' AND sample_id = 'copy-000.png'"
        ).fetchall()
        assert moved == [("train",)]
        sizes = wh.sql("SELECT dataset_id, count(*) FROM sample GROUP BY ALL ORDER BY ALL")
        assert sizes.fetchall() == [("set", 199), ("whole", 199)]
    assert layerhouse.validate().passed
    again = layerhouse.datasets.audit("set", unite=True, into="whole")  # as after a kill
    assert (again.dataset_id, again.n_joined, again.n_moved) == ("whole", 1, 1)
    with layerhouse.connect() as wh:
        assert wh.sql("SELECT count(*) FROM dataset").fetchall() == [(2,)]
    with pytest.raises(UsageError, match="set is registered already"):
        layerhouse.datasets.audit("set", unite=True, into="set")


def test_groups_stay_where_something_was_computed_from_them(
    place: Path, images: list[Image.Image]
) -> None:
    root, rows = _folder(place / "images", images)
    _two_groups(root, rows)
    _add(root, rows)
    with RunWriter(Lake.at(), RunSpec("baseline", None, "set", {})) as writer:
        writer.finish()
    with pytest.raises(LayerhouseError, match=r"1 runs rest on the groups of set.*--into NEW"):
        layerhouse.datasets.audit("set", unite=True)


def test_words_that_cannot_be_meant_are_refused(place: Path, images: list[Image.Image]) -> None:
    _add(*_folder(place / "images", images[:]))
    with pytest.raises(UsageError, match="did you mean"):
        layerhouse.datasets.audit("sett")
    with pytest.raises(UsageError, match="add --unite"):
        layerhouse.datasets.audit("set", into="new")


def test_an_image_that_is_gone_is_named(place: Path, images: list[Image.Image]) -> None:
    root, rows = _folder(place / "images", images)
    _add(root, rows)
    (root / "005.png").unlink()
    with pytest.raises(LayerhouseError, match=r"005\.png does not exist"):
        layerhouse.datasets.audit("set")
