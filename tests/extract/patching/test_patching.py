"""Patches through the ordinary agent: into a lake, resumed, refused; and what people ask for."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

import layerhouse
from extract.anatomy import Locus
from extract.patching import PatchRequest, opening, outlook, patch, patching
from extract.patching.donations import ImageDonors
from extract.patching.job import look_up_patch, refuse_other_structure
from extract.running import extract
from extract.sharing import ExtractRequest
from layerhouse.cli import layerhouse as cli
from tests.checks import broken
from tests.extract.conftest import FamilyFolders
from warehouse.catalogue import connect
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import Lake, find_runs, list_commits, remove, remove_samples
from warehouse.status.commands import again

DIGITS = ExtractRequest("tiny-digits", "digits", device="cpu", modules=("llm",), layers=(3,))
FAULTY = ExtractRequest("tiny-digits", "digits", device="cpu", faults=("swap@connector",))
BASE = ExtractRequest("tiny-digits", "digits", device="cpu")
IMAGES, MODELS = PatchRequest(DIGITS, limit=6), PatchRequest(FAULTY, BASE, limit=6)
FAULTED = "tiny-digits+fault:swap@connector:1"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Six digits patched with other images at one block, and from the healthy model at all ends;
    nothing was extracted.
    """
    place = Lake.at(tmp_path_factory.mktemp("patching") / "lake")
    for request in (IMAGES, MODELS):
        assert patch(place, request).added
    return place


@pytest.fixture
def lake(done: Lake, tmp_path: Path) -> Lake:
    return Lake.at(shutil.copytree(done.root, tmp_path / "lake"))


def effects(lake: Lake, query: str = "FROM patch_effect") -> pl.DataFrame:
    with connect(lake) as wh:
        return wh.sql(query).pl()


def test_every_place_has_a_row_per_sample(done: Lake) -> None:
    rows = effects(done)
    counts = rows.group_by("donor_model_id", "model_id", "tokens", "control").len()
    between = counts.filter(pl.col("model_id") == pl.col("donor_model_id"))
    assert len(between) == 3 * 4  # tokens, controls
    assert set(between["len"]) == {6}
    ends = rows.filter(pl.col("model_id") == FAULTED)
    assert set(ends.select("module", "layer", "tokens", "ends_stage").unique().iter_rows()) == {
        ("vision", 2, "image", True),
        ("connector", 0, "image", True),
        *(("llm", 3, tokens, True) for tokens in ("image", "last", "both")),
    }
    assert (ends["donor_id"] == ends["sample_id"]).all()
    assert broken(done) == set()


def test_the_last_token_of_the_last_block_says_what_the_donor_says(done: Lake) -> None:
    rows = effects(done).filter(pl.col("model_id") == "tiny-digits")
    for tokens, same in (("last", "donor"), ("both", "donor"), ("image", "own")):
        here = rows.filter((pl.col("tokens") == tokens) & (pl.col("control") == "none"))
        assert (here["predicted_class_index"] == here[f"{same}_class_index"]).all()
    kept = rows.filter((pl.col("tokens") == "image") & (pl.col("control") == "none"))
    assert (kept["target_shift"].abs() < 1e-5).all()
    classes = effects(done, "SELECT sample_id, class_index FROM sample")
    known = dict(classes.iter_rows())
    for row in rows.iter_rows(named=True):
        is_alike = row["control"] == "same_class"
        assert (known[row["sample_id"]] == known[row["donor_id"]]) == is_alike
        assert (known[row["donor_id"]] == row["target_class_index"]) != is_alike


def test_behind_a_destroying_fault_all_comes_back_and_before_it_nothing(done: Lake) -> None:
    query = "SELECT module, tokens, restored_share FROM restored_share WHERE gap > 0"
    found = {(m, t): share for m, t, share in effects(done, query).iter_rows()}
    assert found == {
        ("vision", "image"): 0,
        ("connector", "image"): 1,
        ("llm", "image"): 0,
        ("llm", "last"): 1,
        ("llm", "both"): 1,
    }


def test_what_is_done_is_not_done_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patching, "opened", None)  # no model is needed to know
    for request in (IMAGES, MODELS):
        assert not patch(lake, request).added


def test_what_is_unfinished_is_gone_on_with_as_it_was_asked_for(done: Lake) -> None:
    images, models = find_runs(done, "patch")
    base = {"model_name": "tiny-digits", "variant": "base"}
    faulty = {"model_name": "tiny-digits", "variant": "fault:swap@connector:1"}
    begun = "layerhouse patch --model tiny-digits --dataset digits"
    assert again({**images, **base}) == f"{begun} --module llm --layer 3 --limit 6"
    assert again({**models, **faulty}) == (
        f"{begun} --fault swap@connector:1 --limit 6 --from tiny-digits"
    )


@pytest.mark.slow
def test_more_samples_are_added_to_those_there(lake: Lake) -> None:
    before = effects(lake)
    more = PatchRequest(DIGITS, tokens=("last",), controls=False, limit=8)
    assert patch(lake, more).n_passes == 2 * (2 + 1)  # the others have these rows already
    after = effects(lake)
    assert len(after) == len(before) + 2
    assert after.join(before, on=before.columns, how="semi").height == len(before)


@pytest.mark.slow
def test_whoever_was_interrupted_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ranges, the second of which fails; all rows are those of an undisturbed run."""
    request = PatchRequest(DIGITS, tokens=("last",), limit=70)
    whole, cut = (Lake.at(tmp_path / name) for name in ("whole", "cut"))
    assert patch(whole, request).n_samples == 70
    made = opening.effect_table

    def once(*given: Any) -> Any:
        monkeypatch.setattr(opening, "effect_table", fail)
        return made(*given)

    def fail(*_: Any) -> Any:
        raise KeyboardInterrupt

    request_cut = PatchRequest(
        ExtractRequest(**{**vars(DIGITS), "batch_size": 64}), tokens=("last",), limit=70
    )
    monkeypatch.setattr(opening, "effect_table", once)
    with pytest.raises(KeyboardInterrupt):
        patch(cut, request_cut)
    assert effects(cut).height
    monkeypatch.setattr(opening, "effect_table", made)
    assert patch(cut, request_cut).added
    key = ["tokens", "control", "sample_id"]
    found, expected = (effects(one).sort(key) for one in (cut, whole))
    exact = [c for c in found.columns if c not in ("run_id", "target_shift", "label_shift")]
    assert found.select(exact).equals(expected.select(exact))
    assert (found["target_shift"] - expected["target_shift"]).abs().max() < 1e-3


@pytest.mark.slow
def test_samples_and_models_that_are_removed_take_their_patches_along(lake: Lake) -> None:
    rows = effects(lake)
    name = rows.filter(pl.col("control") == "none")["donor_id"][0]
    named = (pl.col("sample_id") == name) | (pl.col("donor_id") == name)
    remove_samples(lake, "digits", samples=[name])
    left = effects(lake)
    assert left.height == rows.filter(~named).height < rows.height
    assert not patch(lake, MODELS).added
    extract(lake, ExtractRequest(**{**vars(BASE), "limit": 4, "answers": ("likelihood",)}))
    with pytest.raises(LayerhouseError, match="1 run rests on the model tiny-digits"):
        remove(lake, "model", "tiny-digits")
    remove(lake, "model", "tiny-digits", with_dependents=True)
    assert effects(lake).is_empty()
    assert broken(lake) == {"nothing_left"}  # until space is freed, files hold the sample


def refused(lake: Lake, receiver: ExtractRequest = BASE, **words: Any) -> str:
    with pytest.raises((UsageError, LayerhouseError)) as error:
        look_up_patch(lake, PatchRequest(receiver, **words))
    return str(error.value)


def changed(**words: Any) -> ExtractRequest:
    return ExtractRequest(**{**vars(BASE), **words})


def test_what_cannot_be_meant_is_refused_before_a_model_is_opened(lake: Lake) -> None:
    assert "did you mean tiny-digits" in refused(lake, donor=changed(model="tiny-digit"))
    assert "would get its own states" in refused(lake, donor=BASE)
    assert "did you mean last" in refused(lake, tokens=("lst",))
    assert "at least 1" in refused(lake, limit=0)
    with pytest.raises(UsageError, match="name it with --from"):
        layerhouse.patch("tiny-digits", "digits", from_fault="noise@llm", lake=lake)


def test_one_lake_holds_patches_of_one_configuration(lake: Lake) -> None:
    prompted = refused(lake, changed(prompts=("paper",)))
    assert "under another configuration" in prompted
    assert "prompt_id" in prompted
    weights = refused(lake, FAULTY, donor=changed(dtype="bfloat16"))
    assert "under another configuration" in weights
    with pytest.raises(LayerhouseError, match="holds tiny-digits on digits under another"):
        extract(lake, changed(dtype="bfloat16"))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake without patches."""
    return Lake.at(tmp_path_factory.mktemp("fresh") / "lake")


@pytest.mark.slow
def test_a_prompt_that_was_extracted_with_is_patched_with(fresh: Lake) -> None:
    job = look_up_patch(fresh, PatchRequest(changed(prompts=("paper",))))
    assert job.receiver.own.way.prompt_id == "paper"
    assert job.spec.config["identity"]["prompt_id"] == "paper"


@pytest.mark.slow
def test_what_a_model_saw_is_not_patched(fresh: Lake, tmp_path: Path) -> None:
    names = look_up_patch(fresh, MODELS).sample_ids
    file = tmp_path / "seen.txt"
    file.write_text("\n".join(names[:2]))
    job = look_up_patch(fresh, PatchRequest(changed(trained_on=(str(file),)), limit=4))
    assert job.sample_ids == names[2:6]
    by_donor = PatchRequest(FAULTY, changed(trained_on=(str(file),)), limit=4)
    assert look_up_patch(fresh, by_donor).sample_ids == names[2:6]


def test_a_class_of_one_sample_has_no_donor_of_its_own() -> None:
    rows = [("a", 0, "g1"), ("b", 0, "g2"), ("c", 1, "g3")]
    donors = ImageDonors.among(rows)
    assert donors.other.keys() == {"a", "b", "c"}
    assert donors.same == {"a": "b", "b": "a"}
    assert donors.shown()["same_class"]["c"] == donors.other["c"]
    with pytest.raises(LayerhouseError, match="all scored samples are of one"):
        ImageDonors.among(rows[:2])


def test_models_of_other_loci_do_not_fit(lake: Lake) -> None:
    def loci(width: int, n: int) -> Sequence[Locus]:
        return [Locus("llm", layer, "block", f"m.{layer}", layer, width) for layer in range(n)]

    job = look_up_patch(lake, MODELS)
    refuse_other_structure(job, loci(64, 4), loci(64, 4))
    said = r"built differently \(llm 4 loci of width 64; llm 6 loci of width 96\)"
    with pytest.raises(UsageError, match=said):
        refuse_other_structure(job, loci(64, 4), loci(96, 6))


@pytest.mark.slow
def test_images_of_several_sizes_are_patched_by_donors_of_theirs(
    pictures: Path, family_folder: FamilyFolders, tmp_path: Path
) -> None:
    """A layout that depends on the image: a donor takes the size of the one it stands in for."""
    lake = Lake.at(tmp_path / "lake")
    layerhouse.datasets.add("pictures", str(pictures), folds=3, lake=lake)
    model = str(family_folder("qwen2_vl"))
    asked = ExtractRequest(model, "pictures", device="cpu", modules=("connector",))
    assert patch(lake, PatchRequest(asked)).added
    rows = effects(lake).filter(pl.col("control") == "none")
    assert (rows["predicted_class_index"] == rows["donor_class_index"]).all()


@pytest.mark.slow
def test_a_decoder_that_looks_across_has_no_image_tokens(
    pictures: Path, family_folder: FamilyFolders, tmp_path: Path
) -> None:
    lake = Lake.at(tmp_path / "lake")
    layerhouse.datasets.add("pictures", str(pictures), folds=3, lake=lake)
    asked = ExtractRequest(str(family_folder("mllama")), "pictures", device="cpu", layers=(-1,))
    summary = patch(lake, PatchRequest(asked, controls=False))
    assert "only the last token is patched" in " ".join(summary.notes)
    found = effects(lake, "SELECT DISTINCT module, tokens FROM patch_effect")
    assert ("llm", "last") in set(found.iter_rows())
    assert not {("llm", "image"), ("llm", "both")} & set(found.iter_rows())
    only = ExtractRequest(**{**vars(asked), "modules": ("llm",)})
    with pytest.raises(UsageError, match="holds no image tokens"):
        patch(lake, PatchRequest(only, tokens=("image",)))


@pytest.mark.slow
def test_a_dry_run_says_what_it_takes_and_writes_nothing(lake: Lake) -> None:
    commits = len(list_commits(lake))
    plan = outlook(lake, PatchRequest(DIGITS, limit=10))
    assert (plan.n_samples, plan.n_passes) == (4, 4 * (1 + 2 + 12))
    assert plan.seconds > 0
    assert len(list_commits(lake)) == commits


@pytest.mark.slow
def test_the_command_prints_what_comes_back(lake: Lake) -> None:
    words = ["patch", "--model", "tiny-digits", "--dataset", "digits", "--limit", "6"]
    words += ["--device", "cpu", "--lake", str(lake.root)]
    done = CliRunner().invoke(cli, [*words, "--fault", "swap@connector", "--from", "tiny-digits"])
    assert done.exit_code == 0, done.output
    assert "Nothing to do: states of tiny-digits into" in done.output
    assert "connector.0" in done.output
    done = CliRunner().invoke(cli, [*words, "--module", "llm", "--layer", "3", "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "Nothing to do: states of other images into tiny-digits" in done.output
