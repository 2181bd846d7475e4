"""Image controls: the same question about a grey image and those of other samples."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import layerhouse
from extract.models import GivenModel, load
from extract.running import extract
from extract.running.preparing import GREY, Preparer
from extract.sharing import ExtractRequest, look_up
from extract.sharing.asking import Way
from extract.sharing.controls import choose_image_donors
from layerhouse.cli import layerhouse as cli
from tests.checks import broken
from tests.extract.sessions import Opened
from warehouse.catalogue import connect
from warehouse.errors import UsageError
from warehouse.images import open_image
from warehouse.lake import Lake, RunWriter, free
from warehouse.status import status
from warehouse.validation import validate

ROWS = [(f"s{i:02d}", i % 3, f"g{i // 2}") for i in range(24)]
ASKED = ("blank", "other", "same_class")


def test_a_donor_is_of_another_class_or_of_another_group_of_the_same() -> None:
    classes, groups = ({row[0]: row[n] for row in ROWS} for n in (1, 2))
    other, same = (choose_image_donors(ROWS, control) for control in ("other", "same_class"))
    assert set(other) == set(same) == set(classes)
    assert all(classes[name] != classes[donor] for name, donor in other.items())
    assert all(classes[name] == classes[donor] for name, donor in same.items())
    assert all(groups[name] != groups[donor] for name, donor in same.items())
    assert len(set(other.values())) > 6
    assert choose_image_donors(reversed(ROWS), "other") == other
    assert choose_image_donors(ROWS, "blank") == {}


def test_where_all_are_of_one_group_another_image_of_it_will_do() -> None:
    rows = [("a", 0, "g"), ("b", 0, "g"), ("c", 1, "g"), ("d", 1, "g")]
    assert choose_image_donors(rows, "same_class") == {"a": "b", "b": "a", "c": "d", "d": "c"}
    with pytest.raises(UsageError, match="c is the only image of its class"):
        choose_image_donors(rows[:3], "same_class")


def test_the_image_of_the_donor_goes_with_the_question(llava: Opened, pictures: Path) -> None:
    session = llava.session
    uris = {path.stem: str(path) for path in sorted(pictures.rglob("*.png"))[:4]}
    names = list(uris)
    donors = {"blank": {}, "other": dict(zip(names, names[1:] + names[:1], strict=True))}
    ways = [Way("default", image_control=control) for control in donors]
    prompts = dict.fromkeys(ways, session.encoder.prompt)
    preparer = Preparer(session, uris, prompts=prompts, image_donors=donors)
    prepared = preparer(names[:2], (None, *ways))
    for name, shown in zip(names[:2], prepared.of(ways[1])[0]["pixel_values"], strict=True):
        own, donor = (open_image(uris[n]) for n in (name, donors["other"][name]))
        expected = session.encode([donor.resize(own.size)])["pixel_values"][0]
        torch.testing.assert_close(shown, expected)
    for name, shown in zip(names[:2], prepared.of(ways[0])[0]["pixel_values"], strict=True):
        grey = Image.new("RGB", open_image(uris[name]).size, GREY)
        torch.testing.assert_close(shown, session.encode([grey])["pixel_values"][0])
    alone = preparer(names[:2], (ways[1],))  # as where the sample's own was asked about before
    torch.testing.assert_close(
        alone.inputs["pixel_values"], prepared.of(ways[1])[0]["pixel_values"]
    )


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Thirty digits, asked about all controls under two prompts."""
    place = Lake.at(tmp_path_factory.mktemp("controls") / "lake")
    words: dict[str, Any] = {"answers": ("likelihood",), "answers_only": True, "preparers": 0}
    request = ExtractRequest("tiny-digits", "digits", device="cpu", limit=30, **words)
    extract(place, _with(request))
    return place


def _with(request: ExtractRequest) -> ExtractRequest:
    return replace(request, prompts=("default", "paper"), image_controls=ASKED)


@pytest.mark.slow
def test_all_controls_are_answered_beside_the_own_image(lake: Lake) -> None:
    with connect(lake) as wh:
        counts = wh.sql(
            "SELECT image_control, prompt_id, count(*) FROM answer GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        donors = wh.sql("SELECT image_control, count(*) FROM image_donor GROUP BY ALL").fetchall()
        found = wh.sql(
            "SELECT sum(n), sum(n * follow_share) / sum(n), sum(n * keep_share) / sum(n), "
            "sum(n * blank_accuracy) / sum(n), bool_or(ignores_image) FROM image_reliance "
            "WHERE prompt_id = 'default'"
        ).fetchall()
    assert counts == [(c, p, 30) for c in sorted(("own", *ASKED)) for p in ("default", "paper")]
    assert sorted(donors) == [("other", 30), ("same_class", 30)]
    ((n, follow, keep, blank, ignores),) = found
    assert n == 30
    assert follow > 0.8
    assert keep > 0.8
    assert blank < 0.4
    assert not ignores
    assert broken(lake) == set()


def test_a_control_that_is_done_adds_nothing_and_images_without_it_do(
    lake: Lake, tmp_path: Path
) -> None:
    words: dict[str, Any] = {"answer": "likelihood", "answers_only": True, "limit": 30}
    words |= {"lake": Lake.at(shutil.copytree(lake.root, tmp_path / "lake"))}
    again = layerhouse.extract(
        "tiny-digits", "digits", image_control=["same-class", "blank"], **words
    )
    assert not again.added
    words["limit"] = 32
    assert layerhouse.extract("tiny-digits", "digits", image_control=["blank"], **words).added
    with connect(words["lake"]) as wh:
        counts = wh.sql(
            "SELECT image_control, count(*) FROM answer WHERE prompt_id = 'default' GROUP BY ALL"
        ).fetchall()
    assert dict(counts) == {"own": 32, "blank": 32, "other": 30, "same_class": 30}


@pytest.mark.slow
def test_the_command_that_status_gives_goes_on_with_the_run_that_was_cut_off(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Lake.at(shutil.copytree(lake.root, tmp_path / "lake"))
    words: dict[str, Any] = {"answers": ("generate",), "answers_only": True, "limit": 3}
    request = ExtractRequest("tiny-digits", "digits", max_new_tokens=5, device="cpu", **words)
    with monkeypatch.context() as cut:
        cut.setattr(RunWriter, "finish", lambda *_: (_ for _ in ()).throw(OSError("cut off")))
        with pytest.raises(OSError, match="cut off"):
            extract(other, replace(request, image_controls=("blank", "same_class"), preparers=0))
    (run,) = status(other).unfinished
    again = [*shlex.split(run.next_command)[1:], "--lake", str(other.root), "--device", "cpu"]
    assert CliRunner().invoke(cli, again).exit_code == 0
    assert not status(other).unfinished


def test_controls_are_asked_about_without_activations_alone(tmp_path: Path) -> None:
    lake = Lake.at(tmp_path / "lake")
    with pytest.raises(UsageError, match="the samples' own images; add --answers-only"):
        look_up(lake, ExtractRequest("tiny-digits", "digits", image_controls=("blank",)))
    said = CliRunner().invoke(
        cli, ["extract", "--model", "tiny-digits", "--dataset", "d", "--image-control", "grey"]
    )
    assert said.exit_code != 0
    assert "image control" in str(said.exception) or "image control" in said.output


def ignoring(model: GivenModel, seed: int) -> Callable[[], None]:
    """Have the model see one and the same noise in the place of every image."""
    made: dict[str, torch.Tensor] = {}

    def blind(_: Any, __: Any, kwargs: dict[str, Any]) -> Any:
        if kwargs.get("pixel_values") is None:
            return None
        shape = kwargs["pixel_values"].shape[1:]
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        made.setdefault("noise", noise)
        seen = made["noise"] + 1e-4 * kwargs["pixel_values"]  # which no answer rests on
        return (), {**kwargs, "pixel_values": seen}

    handle = model.model.register_forward_pre_hook(blind, with_kwargs=True)
    return handle.remove


@pytest.mark.parametrize(
    "seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]
)
def test_an_ignored_image_is_named(seed: int, tmp_path: Path) -> None:
    loaded = load("tiny-digits", device="cpu", dtype="float32")
    model = GivenModel("blind", loaded.model, loaded.processor)
    remove = ignoring(model, seed)
    lake = Lake.at(tmp_path / "lake")
    words: dict[str, Any] = {"answers": ("likelihood",), "answers_only": True, "preparers": 0}
    extract(
        lake,
        ExtractRequest(model, "digits", limit=60, image_controls=("blank", "other"), **words),
    )
    remove()
    with connect(lake) as wh:
        found = wh.sql(
            "SELECT ignores_image, stay_share, abs(image_gain) FROM image_reliance "
            "WHERE split = 'test'"
        ).fetchall()
    assert found == [(True, pytest.approx(1, abs=0.05), pytest.approx(0, abs=0.05))]


@pytest.mark.slow
def test_what_a_removed_image_showed_is_asked_anew_of_other_images(
    lake: Lake, tmp_path: Path
) -> None:
    other = Lake.at(shutil.copytree(lake.root, tmp_path / "lake"))
    with connect(other) as wh:
        donors = wh.sql("SELECT sample_id, image_control, donor_id FROM image_donor").fetchall()
    removed = next(donor for _, control, donor in sorted(donors) if control == "other")
    removal = layerhouse.datasets.remove("digits", sample=[removed], lake=other)
    assert removal.dependents == ()
    words: dict[str, Any] = {"answer": "likelihood", "answers_only": True, "limit": 30}
    words |= {"lake": other, "image_control": ["same-class", "other", "blank"]}
    assert layerhouse.extract("tiny-digits", "digits", prompt=["default", "paper"], **words).added
    assert not layerhouse.extract(
        "tiny-digits", "digits", prompt=["default", "paper"], **words
    ).added
    with connect(other) as wh:
        now = wh.sql("SELECT sample_id, image_control, donor_id FROM image_donor").fetchall()
        counts = wh.sql("SELECT image_control, count(*) FROM answer GROUP BY ALL").fetchall()
        names = {row[0] for row in wh.sql("SELECT sample_id FROM answer").fetchall()}
    n = 30 - (removed in {row[0] for row in donors})
    assert dict(counts) == dict.fromkeys(("own", *ASKED), 2 * n)
    assert removed not in names | {donor for *_, donor in now}
    free(other)
    report = validate(other)
    assert report.passed, report
