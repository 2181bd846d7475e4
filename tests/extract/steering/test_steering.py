"""Steering through the ordinary agent: into a lake, resumed, refused; and what people ask for."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

import layerhouse
from extract.mending import MendRecipe, MendRequest, mend, repairs_of
from extract.models import load
from extract.running import extract
from extract.sharing import ExtractRequest
from extract.steering import SteerRequest, opening, outlook, steer, steering
from extract.steering.job import look_up_steer
from extract.steering.request import places_of
from extract.steering.sources import source_of
from layerhouse.cli import layerhouse as cli
from tests.checks import broken
from tests.conftest import Demo
from tests.extract.conftest import FamilyFolders
from tests.extract.sessions import Opened
from warehouse.catalogue import DatasetInfo, connect
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake, find_runs, list_commits, remove_samples
from warehouse.status.commands import again

DIGITS = ExtractRequest("tiny-digits", "digits", device="cpu", modules=("llm",), layers=(3,))
LAST = SteerRequest(DIGITS, tokens=("last",), strengths=(1.0,), limit=4)


def changed(**words: Any) -> ExtractRequest:
    return ExtractRequest(**{**vars(DIGITS), **words})


@pytest.fixture(scope="module")
def done(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The demo's lake, and four digits steered at the last token of the last block."""
    place = Lake.at(shutil.copytree(demo.lake.root, tmp_path_factory.mktemp("steering") / "lake"))
    assert steer(place, LAST).n_passes == 4 * (1 + 10 + 10 + 100)
    return place


@pytest.fixture
def lake(done: Lake, tmp_path: Path) -> Lake:
    return Lake.at(shutil.copytree(done.root, tmp_path / "lake"))


def rows_of(lake: Lake, query: str = "FROM steer_effect") -> pl.DataFrame:
    with connect(lake) as wh:
        return wh.sql(query).pl()


def test_every_class_is_owned_where_the_answer_is_made(done: Lake) -> None:
    rows = rows_of(done)
    assert len(rows) == 4 * 10
    assert set(rows["random_shifts"].list.len()) == {100}
    assert (rows["predicted_class_index"] == rows["class_index"]).mean() > 0.9
    told = rows_of(done, "FROM class_ownership")
    assert told["is_owned"].all()
    assert told["is_read"].all()
    assert told["is_answered"].all()
    assert broken(done) == set()


def test_what_is_done_is_not_done_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steering, "opened", None)  # no model is needed to know
    assert not steer(lake, LAST).added


def test_what_is_unfinished_is_gone_on_with_as_it_was_asked_for(done: Lake) -> None:
    (run,) = find_runs(done, "steer")
    assert again({**run, "model_name": "tiny-digits", "variant": "base"}) == (
        "layerhouse steer --model tiny-digits --dataset digits --module llm --layer 3 --limit 4 "
        "--tokens last --strength 1 --direction means"
    )


def test_tokens_that_are_named_twice_are_moved_once(llava: Opened) -> None:
    asked = SteerRequest(DIGITS, tokens=("last", "both", "last"), strengths=(1.0,))
    ((_, put),) = places_of(asked, llava.session).wanted
    assert put == ("last/1", "both/1")


def refused(lake: Lake, receiver: ExtractRequest = DIGITS, **words: Any) -> str:
    with pytest.raises((UsageError, LayerhouseError)) as error:
        look_up_steer(lake, SteerRequest(receiver, **words))
    return str(error.value)


def test_what_cannot_be_meant_is_refused_before_a_model_is_opened(
    done: Lake, tmp_path: Path
) -> None:
    assert "did you mean means" in refused(done, direction="mean")
    assert "did you mean last" in refused(done, tokens=("lst",))
    assert "at least 1" in refused(done, limit=0)
    for strength in (0.0, -1.0, float("nan"), float("inf")):
        assert "must be finite and above 0" in refused(done, strengths=(strength,))
    assert "give 10 or less" in refused(done, strengths=(1.0, 1e6))
    assert "the strength 1.0000001 has more digits" in refused(done, strengths=(1, 1.0000001))
    twice = look_up_steer(done, SteerRequest(DIGITS, strengths=(0.1 + 0.2, 2, 0.3)))
    assert twice.request.steps == ["0.3", "2"]
    assert twice.spec.config["selection"]["strengths"] == [0.3, 2.0]
    assert "there must be a strength" in refused(done, strengths=())
    assert "has a direction of its own" in refused(done, label="zero")
    assert "no .npy and no .safetensors" in refused(done, direction=str(text(tmp_path)))
    assert "under another configuration" in refused(done, changed(dtype="bfloat16"))
    for names in (("default", "paper"), ("all",)):
        assert "states are those of one prompt, not of" in refused(done, changed(prompts=names))


def test_probes_under_folds_have_no_weights_to_steer_along(digits: DatasetInfo) -> None:
    asked = SteerRequest(DIGITS, direction="probe")
    with pytest.raises(UsageError, match=r"by folds: a probe .* take --direction means"):
        source_of(asked, "tiny-digits", replace(digits, evaluation="folds"))
    assert source_of(asked, "tiny-digits", digits).name == "probe"


def text(folder: Path) -> Path:
    path = folder / "vectors.csv"
    path.write_text("1,2,3")
    return path


@pytest.fixture(scope="module")
def digits(done: Lake) -> DatasetInfo:
    return look_up_steer(done, LAST).receiver.info


def vectors(digits: DatasetInfo, path: Path, array: Any, label: str | None = None) -> Any:
    """What a file of this array, or these arrays by name, says of the digits."""
    if isinstance(array, dict):
        save_file({name: torch.tensor(one) for name, one in array.items()}, path)
    else:
        np.save(path, array)
    request = SteerRequest(DIGITS, direction=str(path), label=label)
    return source_of(request, "tiny-digits", digits)


def test_a_file_says_which_vector_is_of_which_class(digits: DatasetInfo, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((10, 64))
    array, tensors = tmp_path / "rows.npy", tmp_path / "named.safetensors"
    every = vectors(digits, array, rows)
    assert list(every.vectors) == list(range(10))
    capital = array.rename(tmp_path / "ROWS.NPY")
    loud = source_of(SteerRequest(DIGITS, direction=str(capital)), "tiny-digits", digits)
    assert (loud.vectors[3] == rows[3]).all()
    assert every.name.startswith("file:rows@")
    assert vectors(digits, array, 2 * rows).name != every.name
    one = vectors(digits, array, rows[0], "three")
    assert list(one.vectors) == [3]
    assert vectors(digits, array, rows[:1], "four").name != one.name
    named = vectors(digits, tensors, {"two": rows[2], "one": rows[1]})
    assert sorted(named.vectors) == [1, 2]
    assert (named.vectors[2] == rows[2]).all()
    assert list(vectors(digits, tensors, {"all": rows}).vectors) == list(range(10))


def test_a_file_that_says_nothing_of_that_is_refused(digits: DatasetInfo, tmp_path: Path) -> None:
    rows = np.ones((10, 64))
    array, tensors = tmp_path / "rows.npy", tmp_path / "named.safetensors"
    for path, given, label, said in (
        (array, rows[:3], None, r"rows\.npy \(\(3, 64\)\) does not say which vector"),
        (array, rows[0], None, "or one vector with --label"),
        (array, rows, "three", "does not say which vector"),
        (array, rows[0], "tree", "did you mean three"),
        (array, rows * np.nan, None, "is no direction"),
        (array, rows * 0, None, "is no direction"),
        (array, rows * 1e200, None, "is no direction"),
        (array, rows * 1e-200, None, "is no direction"),
        (array, rows * (1 + 1j), None, "cannot read directions"),
        (array, np.array([{"a": 1}]), None, "cannot read directions"),
        (tensors, {"two": rows[2], "eleven": rows[1]}, None, "does not say"),
        (tensors, {"two": rows[2]}, "three", "says that it holds the vector of two, and --label"),
    ):
        with pytest.raises((UsageError, LayerhouseError), match=said):
            vectors(digits, path, given, label)


@pytest.mark.slow
def test_what_a_place_lacks_is_told(lake: Lake, tmp_path: Path) -> None:
    def told(request: SteerRequest) -> str:
        with pytest.raises((UsageError, LayerhouseError)) as error:
            steer(lake, request)
        return str(error.value)

    assert "probe --coefficients" in told(SteerRequest(DIGITS, direction="probe", limit=2))
    np.save(tmp_path / "narrow.npy", np.eye(10))
    narrow = told(SteerRequest(DIGITS, direction=str(tmp_path / "narrow.npy"), limit=2))
    assert "are 10 wide and the states at llm layer 3, readout mean 64" in narrow
    off = told(SteerRequest(changed(modules=("vision",), layers=(-1,)), limit=2))
    assert "depends on none" in off
    tower = SteerRequest(changed(modules=("vision",), layers=(0,)), tokens=("last",), limit=2)
    assert "only the decoder has a last token" in told(tower)
    unknown = SteerRequest(changed(faults=("noise@llm",)), limit=2)
    assert "holds no activations of tiny-digits+fault:noise@llm" in told(unknown)


@pytest.mark.slow
def test_directions_of_probes_are_owned_and_named(lake: Lake) -> None:
    layerhouse.probe("tiny-digits", "digits", coefficients=True, lake=lake)
    request = SteerRequest(DIGITS, "probe", tokens=("last",), strengths=(1.0,), limit=8)
    assert steer(lake, request).direction == "probe"
    told = rows_of(lake, "FROM class_ownership WHERE direction = 'probe'")
    assert told["is_owned"].sum() >= 8


@pytest.mark.slow
def test_labels_without_meaning_give_directions_that_nothing_owns(
    lake: Lake, tmp_path: Path
) -> None:
    """Five in a hundred sets may own a class; by directions drawn from a ball most would."""
    with connect(lake) as wh:
        states, samples = wh.activations("tiny-digits", "digits", "llm", 3, "last")
    train = (samples["split"] == "train").to_numpy()
    labels = samples["class_index"].to_numpy()[train]
    for seed in range(6):
        dealt = np.random.default_rng(seed).permutation(labels)
        means = np.stack([states[train][dealt == index].mean(axis=0) for index in range(10)])
        path = tmp_path / f"shuffled{seed}.npy"
        np.save(path, means - means.mean(axis=0))
        steer(lake, SteerRequest(DIGITS, str(path), None, (1.0,), ("last",), 16))
    told = rows_of(lake, "FROM class_ownership WHERE direction LIKE 'file:%'")
    owned = told.group_by("direction").agg(pl.col("is_owned").any())
    assert len(owned) == 6
    assert owned["is_owned"].sum() <= 1


@pytest.mark.slow
def test_more_samples_and_strengths_are_added_to_those_there(lake: Lake) -> None:
    before = rows_of(lake)
    more = SteerRequest(DIGITS, tokens=("last",), strengths=(1.0, 2.0), limit=6)
    assert steer(lake, more).n_passes == 4 * 121 + 2 * (1 + 2 * 120)
    after = rows_of(lake)
    assert len(after) == len(before) + 10 * (4 + 2 * 2)
    assert after.join(before, on=before.columns, how="semi").height == len(before)


@pytest.mark.slow
def test_whoever_was_interrupted_goes_on(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ranges, the second of which fails; all rows are those of an undisturbed run, whatever the
    batches."""
    request = SteerRequest(DIGITS, tokens=("last",), strengths=(2.0,), limit=70)
    cut, whole = lake, Lake.at(shutil.copytree(lake.root, lake.root.parent / "whole"))
    assert steer(whole, request).n_samples == 70
    made = opening.effect_table
    calls: list[int] = []

    def failing(*given: Any) -> Any:
        calls.append(1)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return made(*given)

    monkeypatch.setattr(opening, "effect_table", failing)
    request_cut = SteerRequest(changed(batch_size=32), tokens=("last",), strengths=(2.0,), limit=70)
    with pytest.raises(KeyboardInterrupt):
        steer(cut, request_cut)
    monkeypatch.setattr(opening, "effect_table", made)
    assert steer(cut, request_cut).added
    key = ["strength", "class_index", "sample_id"]
    found, expected = (rows_of(one).sort(key) for one in (cut, whole))
    assert found["sample_id"].equals(expected["sample_id"])
    assert (found["shift"] - expected["shift"]).abs().max() < 1e-3
    assert not steer(whole, request).added


@pytest.mark.slow
def test_directions_of_other_samples_are_not_mixed_in(tmp_path: Path) -> None:
    place = Lake.at(tmp_path / "lake")
    few = changed(limit=200, answers=("likelihood",))
    extract(place, few)
    steer(place, LAST)
    extract(place, changed(limit=None, answers=("likelihood",)))
    more = SteerRequest(DIGITS, tokens=("last",), strengths=(1.0,), limit=5)
    with pytest.raises(LayerhouseError, match="were learned of other samples than are extracted"):
        steer(place, more)
    assert not steer(place, LAST).added
    name = rows_of(place)["sample_id"][0]
    remove_samples(place, "digits", samples=[name])
    assert name not in set(rows_of(place)["sample_id"])


@pytest.mark.slow
def test_folds_seen_samples_and_a_class_of_few(
    pictures: Path, family_folder: FamilyFolders, tmp_path: Path
) -> None:
    """Under folds each sample is moved along what the other folds say; what the model saw in
    training is left out; the images have several sizes, and so many tokens."""
    lake = Lake.at(tmp_path / "lake")
    layerhouse.datasets.add("pictures", str(pictures), folds=3, lake=lake)
    model = str(family_folder("qwen2_vl"))
    asked = ExtractRequest(model, "pictures", device="cpu", modules=("connector", "llm"))
    extract(lake, asked)
    summary = steer(lake, SteerRequest(asked, strengths=(0.5,)))
    assert summary.n_samples == 12
    rows = rows_of(lake)
    assert set(rows["class_index"]) == {0, 1}
    assert rows["shift"].is_finite().all()
    assert rows.filter(pl.col("module") == "connector")["shift"].abs().min() > 0
    assert broken(lake) == set()


@pytest.mark.slow
def test_a_decoder_that_looks_across_is_steered_at_its_last_token(
    pictures: Path, family_folder: FamilyFolders, tmp_path: Path
) -> None:
    """Before it has looked all states are the same: such a block is left out unless it is named."""
    lake = Lake.at(tmp_path / "lake")
    layerhouse.datasets.add("pictures", str(pictures), folds=3, lake=lake)
    asked = ExtractRequest(str(family_folder("mllama")), "pictures", device="cpu")
    extract(lake, asked)
    summary = steer(lake, SteerRequest(asked, strengths=(1.0,)))
    assert "only the last token is steered" in " ".join(summary.notes)
    assert set(rows_of(lake)["tokens"]) == {"last"}
    only = ExtractRequest(**{**vars(asked), "modules": ("llm",)})
    with pytest.raises(UsageError, match="holds no image tokens"):
        steer(lake, SteerRequest(only, tokens=("image",)))
    first = ExtractRequest(**{**vars(only), "layers": (0,)})
    with pytest.raises(LayerhouseError, match="the same for all images"):
        steer(lake, SteerRequest(first))


@pytest.mark.slow
def test_a_fault_is_steered_like_any_variant(lake: Lake) -> None:
    faulty = changed(faults=("swap@connector:0.5",))
    asked = SteerRequest(faulty, tokens=("last",), strengths=(1.0,), limit=4)
    assert steer(lake, asked).model_id == "tiny-digits+fault:swap@connector:0.5"


def shifts(lake: Lake, **words: Any) -> pl.Series:
    """What steering brings of a variant that was never extracted before."""
    asked = changed(limit=150, answers=("likelihood",), **words)
    extract(lake, asked)
    done = steer(lake, replace(LAST, receiver=replace(asked, limit=None)))
    found = rows_of(lake, f"FROM steer_effect WHERE model_id = '{done.model_id}'")
    return found.sort("sample_id", "class_index")["shift"]


@pytest.mark.slow
def test_an_adapter_is_steered_as_the_weights_that_it_makes(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="adapters need the peft extra")
    lake, loaded = Lake.at(tmp_path / "lake"), load("tiny-digits")
    torch.manual_seed(0)
    config = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], use_dora=True)
    tuned = peft.get_peft_model(loaded.model, config)
    with torch.no_grad():
        for weight in tuned.parameters():
            if weight.requires_grad:
                weight += 0.05 * torch.randn_like(weight)
    tuned.save_pretrained(tmp_path / "dora")
    tuned.merge_and_unload().save_pretrained(tmp_path / "merged")
    loaded.processor.save_pretrained(tmp_path / "merged")
    adapted = shifts(lake, adapter=tmp_path / "dora")
    whole = shifts(lake, model=str(tmp_path / "merged"))
    assert (adapted - whole).abs().max() < 1e-4
    assert (adapted - shifts(lake)).abs().max() > 1e-3


@pytest.mark.slow
def test_a_repair_that_adds_to_the_classes_alone_moves_no_more_by_steering(tmp_path: Path) -> None:
    """What is added to a class, whatever the image, is gone from the difference that is told."""
    lake = Lake.at(tmp_path / "lake")
    plain = shifts(lake)
    (prior,) = repairs_of(("answer",), ("answer/prior",))
    asked = MendRequest(changed(modules=(), layers=()), tmp_path / "mends", MendRecipe(images=64))
    done = mend(lake, asked, prior)
    assert (shifts(lake, adapter=done.folder) - plain).abs().max() < 1e-4


@pytest.mark.slow
def test_a_repair_that_answers_of_its_heads_is_deaf_to_what_comes_behind_them(
    tmp_path: Path,
) -> None:
    lake = Lake.at(tmp_path / "lake")
    (heads,) = repairs_of(("llm",), ("llm/heads",))
    asked = MendRequest(changed(modules=(), layers=()), tmp_path / "mends", MendRecipe(images=64))
    done = mend(lake, asked, heads)
    assert set(shifts(lake, adapter=done.folder)) == {0.0}
    again = replace(LAST, receiver=changed(adapter=done.folder), limit=5)
    (said,) = [note for note in steer(lake, again).notes if "no state counts" in note]
    assert "layers.3.self_attn.o_proj" in said


@pytest.mark.slow
def test_a_quantised_model_is_steered_like_any_variant(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="quantised weights need the quantization extra")
    lake = Lake.at(tmp_path / "lake")
    moved = (shifts(lake, quantization="4bit") - shifts(lake)).abs()
    assert 0 < moved.mean() < 0.3


@pytest.mark.slow
def test_a_dry_run_says_what_it_takes_and_writes_nothing(lake: Lake) -> None:
    commits = len(list_commits(lake))
    plan = outlook(lake, SteerRequest(DIGITS, tokens=("last",), strengths=(1.0,), limit=10))
    assert (plan.n_samples, plan.n_passes) == (6, 6 * 121)
    assert plan.seconds > 0
    assert len(list_commits(lake)) == commits


def invoked(lake: Lake, words: Sequence[str]) -> str:
    begun = ["steer", "--model", "tiny-digits", "--dataset", "digits", "--device", "cpu"]
    done = CliRunner().invoke(cli, [*begun, "--lake", str(lake.root), *words])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.slow
def test_the_command_prints_what_is_owned(lake: Lake) -> None:
    place = ["--module", "llm", "--layer", "3", "--tokens", "last", "--strength", "1"]
    said = invoked(lake, [*place, "--limit", "4"])
    assert "Nothing to do: effects of means on tiny-digits on digits" in said
    row = next(line.split() for line in said.splitlines() if line.startswith("three"))
    assert row[1:4] == ["yes", "yes", "yes"]
    assert row[-4:] == ["llm.3", "last", "1", "4"]
    assert "owned: writing the class into the states raises" in said
    dry = invoked(lake, [*place, "--limit", "5", "--dry-run"])
    assert "Would find effects of means on tiny-digits on digits on cpu" in dry
    assert "  llm: 3 (last/1)" in dry
