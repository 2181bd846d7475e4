"""States of other programs become a model's activations, or are refused in one sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import layerhouse
from extract.sharing.identities import refuse_brought
from extract.states import importing
from layerhouse.cli import main
from tests.extract.states.folders import (
    CELLS,
    SAMPLES,
    WIDTH,
    bring,
    drawn,
    held,
    manifest,
    pooled,
    requests,
    small_lake,
)
from tests.warehouse.small_lakes import DATASET, add_extraction, rows
from warehouse.errors import LayerhouseError, UsageError
from warehouse.lake import find_runs, list_commits, remove_samples
from warehouse.lake.lake import Lake
from warehouse.validation.running import validate


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return small_lake(tmp_path_factory.mktemp("states") / "lake")


@pytest.fixture
def lake(registered: Lake, tmp_path: Path) -> Lake:
    return Lake.at(shutil.copytree(registered.root, tmp_path / "lake"))


@pytest.mark.parametrize(
    "dtype",
    [
        torch.bfloat16,
        pytest.param(torch.float32, marks=pytest.mark.slow),
        pytest.param(torch.float16, marks=pytest.mark.slow),
    ],
)
def test_pooled_states_are_kept_as_they_are(lake: Lake, tmp_path: Path, dtype: torch.dtype) -> None:
    order = ["s2", "s0", "s3", "s1"]
    pooled(tmp_path / "states", order, dtype)
    done = bring(lake, tmp_path / "states")
    assert (done.added, done.n_samples, done.n_cells, done.n_missing) == (True, 4, 5, 0)
    found = held(lake)
    assert set(found) == set(CELLS)
    for cell, (names, vectors) in found.items():
        assert names == list(SAMPLES)
        assert vectors.tobytes() == drawn(SAMPLES, cell).tobytes()
    layers = [row[1:5] + row[6:8] for row in rows(lake, "layer")]
    assert sorted(layers, key=lambda row: row[2]) == [
        ("vision", 0, 0, "block", WIDTH, True),
        ("connector", 0, 1, "block", WIDTH, True),
        ("llm", 0, 2, "block", WIDTH, True),
        ("llm", 7, 3, "block", WIDTH, True),
    ]
    again = bring(lake, tmp_path / "states")
    assert (again.added, again.run_id) == (False, done.run_id)


def test_sequences_of_vllm_are_pooled_as_our_readouts_are(lake: Lake, tmp_path: Path) -> None:
    requests(tmp_path / "states", layers=(8, 1))
    bring(lake, tmp_path / "states")
    found = held(lake)
    assert set(found) == {("llm", n, name) for n in (0, 7) for name in ("last", "mean")}
    for (_, layer, readout), (names, vectors) in found.items():
        assert names == list(SAMPLES)
        tokens = [n + 2 if readout == "last" else (n + 2) / 2 for n in range(4)]
        assert vectors.tolist() == [[layer + 1, at, n] for n, at in enumerate(tokens)]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param({"image_token_id": None}, None, marks=pytest.mark.slow),
        ({"image_token_id": None, "mean_over": "all"}, 1.0),
    ],
)
def test_a_mean_is_over_what_the_manifest_says_and_of_nothing_else(
    lake: Lake, tmp_path: Path, said: dict[str, Any], expected: float | None
) -> None:
    requests(tmp_path / "states", **said)
    bring(lake, tmp_path / "states")
    found = held(lake).get(("llm", 0, "mean"))
    assert (None if found is None else found[1][0, 1]) == expected


def test_a_manifest_may_be_toml_and_samples_a_file(lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "states"
    said = pooled(folder)
    (folder / "manifest.json").unlink()
    (folder / "ids.txt").write_text("\n".join(SAMPLES) + "\n", encoding="utf-8-sig")
    loci = "\n".join(
        "[[loci]]\n" + "\n".join(f"{name} = {json.dumps(value)}" for name, value in one.items())
        for one in said["loci"]
    )
    (folder / "manifest.toml").write_text(
        f'samples = "ids.txt"\ntitle = "A friend"\n{loci}\n', encoding="utf-8-sig", newline="\r\n"
    )
    bring(lake, folder)
    assert held(lake)["llm", 7, "last"][1].tolist() == drawn(SAMPLES, ("llm", 7, "last")).tolist()
    assert "A friend" in rows(lake, "model")[0]


def change(**said: Any) -> Callable[[Path], None]:
    """What a manifest says instead; None leaves it out."""

    def changed(folder: Path) -> None:
        before = json.loads((folder / "manifest.json").read_text())
        after = {k: v for k, v in {**before, **said}.items() if v is not None}
        (folder / "manifest.json").write_text(json.dumps(after))

    return changed


def locus(**said: Any) -> Callable[[Path], None]:
    """What it says of its last locus instead."""

    def changed(folder: Path) -> None:
        before = json.loads((folder / "manifest.json").read_text())
        before["loci"][-1] |= said
        (folder / "manifest.json").write_text(json.dumps(before))

    return changed


def tensor(values: torch.Tensor) -> Callable[[Path], None]:
    """Other states of the last locus."""

    def changed(folder: Path) -> None:
        save_file({"7-last": values}, folder / "other.safetensors")
        locus(file="other.safetensors")(folder)

    return changed


def file(name: str, content: bytes = b"") -> Callable[[Path], None]:
    """Its last locus in a file of that name."""

    def changed(folder: Path) -> None:
        (folder / name).write_bytes(content)
        locus(file=name)(folder)

    return changed


def cut(folder: Path) -> None:
    whole = (folder / "llm.safetensors").read_bytes()
    (folder / "llm.safetensors").write_bytes(whole[:-7])


def longer(folder: Path) -> None:
    with (folder / "llm.safetensors").open("ab") as end:
        end.write(b"more")


def link(folder: Path) -> None:
    (folder / "llm.safetensors").rename(folder.parent / "llm.safetensors")
    (folder / "llm.safetensors").symlink_to(folder.parent / "llm.safetensors")


def pickled(folder: Path) -> None:
    np.save(folder / "llm.npy", np.array([{}] * 4, dtype=object), allow_pickle=True)
    locus(file="llm.npy")(folder)


def no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def two_manifests(folder: Path) -> None:
    (folder / "manifest.toml").write_text("")


def only_a_pickle(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "states.pt").write_bytes(b"")


def broken(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


def another_width(folder: Path) -> None:
    tensor(torch.ones(4, 5))(folder)
    locus(module="vision", layer=0, readout="cls")(folder)


NAN = torch.tensor([[1.0, 2.0, 3.0]] * 3 + [[1.0, float("nan"), 3.0]])
WRONG = {
    "no manifest": (no_manifest, "write one for connector.safetensors"),
    "two manifests": (two_manifests, "has both manifest.json and manifest.toml"),
    "only a pickle": (only_a_pickle, "may be a pickle, which runs what it holds"),
    "no JSON": (broken, "it is no JSON within bounds"),
    "a newer form": (change(kind="layerhouse-states", version=2), "version is 2 and not 1"),
    "neither loci nor vllm": (change(loci=None), "either loci or vllm"),
    "no samples": (change(samples=None), "names no samples"),
    "a sample twice": (change(samples=["s0", "s1", "s1", "s2"]), "names the sample 's1' twice"),
    "a sample by two names": (change(samples=["s0", "s1", "s2", "x/s2"]), "are both the sample s2"),
    "a sample of no dataset": (change(samples=["s0", "s1", "s2", "t9"]), "--skip-unknown"),
    "all of another dataset": (change(samples=["a", "b", "c", "d"]), "name the right --dataset"),
    "a locus twice": (locus(layer=0), "names llm layer 0, readout last twice"),
    "an unknown module": (locus(module="tower"), "tower"),
    "an unknown readout": (locus(readout="max"), "max"),
    "tokens": (locus(readout="tokens"), "tokens"),
    "no tensor of that name": (locus(tensor="8-last"), "has no tensor '8-last'; it has 0-last"),
    "no name of a tensor": (locus(tensor=None), "tensor"),
    "off the path": (locus(module="connector", layer=1, on_path="no"), "on_path"),
    "a torch file": (file("llm.pt"), "torch.load(FILE, weights_only=True)"),
    "arrays in a zip": (file("llm.npz"), "numpy.save"),
    "compressed": (file("llm.safetensors.zst"), "zstd -d"),
    "a file that is not there": (
        locus(file="no.safetensors"),
        "which is not there",
    ),
    "a file outside": (locus(file="../llm.safetensors"), "leads out of"),
    "a link": (link, "leads out of"),
    "cut off": (cut, "it may be cut off"),
    "too long": (longer, "it may be cut off"),
    "empty": (file("e.safetensors"), "it may be cut off"),
    "a pickled array": (pickled, "cannot be read"),
    "whole numbers": (tensor(torch.ones(4, WIDTH, dtype=torch.int64)), "holds I64"),
    "double precision": (tensor(torch.ones(4, WIDTH, dtype=torch.float64)), "holds F64"),
    "eight bits": (tensor(torch.ones(4, WIDTH).to(torch.float8_e4m3fn)), "holds F8_E4M3"),
    "too few rows": (tensor(torch.ones(3, WIDTH)), "names 4 samples"),
    "sequences": (tensor(torch.ones(4, 5, WIDTH)), "have to be pooled first"),
    "no width": (tensor(torch.ones(4, 0)), "0 numbers"),
    "NaN": (tensor(NAN), "llm layer 7, readout last of"),
    "not four quarters": (locus(module="vision", layer=1, readout="grid"), "not 4 equal parts"),
    "another width than it says": (locus(width=4), "have 4 numbers, and 7-last of"),
    "another length than it says": (locus(length=1), "have 1 numbers, and 7-last of"),
    "one tensor for two loci": (locus(tensor="0-last"), "both llm layer 0, readout last and llm"),
    "a readout of elsewhere": (
        locus(module="vision"),
        "of vision are mean, cls, grid",
    ),
    "a class token of the llm": (locus(readout="cls"), "of llm are mean, last, grid, reply"),
    "no layer of any model": (locus(layer=10000), "not a whole number from 0 to 9999"),
    "two widths": (another_width, "are of one locus and say that it has 3 and 5 numbers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_pooled_states_is_told_in_one_sentence(
    registered: Lake, tmp_path: Path, case: str
) -> None:
    wrong, said = WRONG[case]
    pooled(tmp_path / "states")
    wrong(tmp_path / "states")
    before = registered.store.commit_names()
    with pytest.raises(LayerhouseError) as refused:
        bring(registered, tmp_path / "states")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert registered.store.commit_names() == before


def request(**tensors: torch.Tensor) -> Callable[[Path], None]:
    """Another file of the last sample."""

    def changed(folder: Path) -> None:
        before = {
            "hidden_states": torch.ones(3, 2, WIDTH, dtype=torch.bfloat16),
            "token_ids": torch.tensor([1, 9, 2]),
        }
        save_file(before | tensors, folder / "cmpl-3.safetensors")

    return changed


def vllm(**said: Any) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        before = json.loads((folder / "manifest.json").read_text())
        before["vllm"] |= said
        (folder / "manifest.json").write_text(json.dumps(before))

    return changed


def mistaken(folder: Path) -> None:
    save_file({"states": torch.ones(3, 2, WIDTH)}, folder / "cmpl-3.safetensors")


WRONG_REQUESTS = {
    "what enters the model": (vllm(layers=[0, 8]), "names 0, what goes into the first block"),
    "a layer twice": (vllm(layers=[8, 8]), "a list of different layer ids"),
    "another number of layers": (vllm(layers=[1, 2, 8]), "[tokens, 3 layers, width] is meant"),
    "layers first": (request(hidden_states=torch.ones(2, 3, WIDTH)), "[tokens, 2 layers, width]"),
    "fewer tokens than states": (request(token_ids=torch.tensor([1, 9])), "with [2] tokens"),
    "no token": (
        request(
            hidden_states=torch.ones(0, 2, WIDTH), token_ids=torch.tensor([], dtype=torch.int64)
        ),
        "the states of no token",
    ),
    "no image": (request(token_ids=torch.tensor([1, 3, 2])), "has no token 9"),
    "another width": (request(hidden_states=torch.ones(3, 2, 5)), "they are of two models"),
    "other tensors": (mistaken, "it lacks hidden_states or token_ids"),
    "whole numbers": (request(hidden_states=torch.ones(3, 2, WIDTH).int()), "holds I32"),
    "two means": (vllm(mean_over="all"), "both image_token_id and that means are over all"),
    "one sample for two files": (
        vllm(requests={f"cmpl-{n}.safetensors": "s0" for n in range(4)}),
        "names the sample 's0' twice",
    ),
    "NaN": (
        request(hidden_states=torch.full((3, 2, WIDTH), torch.inf)),
        "NaN or Inf for the sample s3",
    ),
}


@pytest.mark.parametrize("case", WRONG_REQUESTS)
def test_what_is_wrong_with_requests_is_told_in_one_sentence(
    registered: Lake, tmp_path: Path, case: str
) -> None:
    wrong, said = WRONG_REQUESTS[case]
    requests(tmp_path / "states")
    wrong(tmp_path / "states")
    with pytest.raises(LayerhouseError) as refused:
        bring(registered, tmp_path / "states")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_missing_samples_are_accepted_when_that_is_said(lake: Lake, tmp_path: Path) -> None:
    pooled(tmp_path / "states", ["s0", "s1", "s2"])
    with pytest.raises(LayerhouseError, match=r"no states of 1 of 4 samples.*first s3; --partial"):
        bring(lake, tmp_path / "states")
    assert bring(lake, tmp_path / "states", partial=True).n_missing == 1
    assert rows(lake, "rejected_sample")[0][2:] == ("s3", "no states were brought of it")


@pytest.mark.slow
def test_unknown_samples_are_left_out_when_that_is_said(lake: Lake, tmp_path: Path) -> None:
    said = pooled(tmp_path / "states", [*SAMPLES, "s7"])
    done = bring(lake, tmp_path / "states", skip_unknown=True)
    assert done.notes == ("1 rows that name no sample were left out",)
    assert held(lake)["llm", 0, "last"][0] == list(SAMPLES)
    assert said["samples"][-1] == "s7"


@pytest.mark.slow
def test_samples_that_were_removed_stay_out(lake: Lake, tmp_path: Path) -> None:
    remove_samples(lake, DATASET, ["s1"])
    pooled(tmp_path / "states")
    assert bring(lake, tmp_path / "states").notes == ("1 samples that were removed were left out",)
    assert held(lake)["llm", 0, "last"][0] == ["s0", "s2", "s3"]


def test_a_name_stands_for_one_model(lake: Lake, tmp_path: Path) -> None:
    pooled(tmp_path / "states")
    with pytest.raises(UsageError, match="is a model of the registry"):
        bring(lake, tmp_path / "states", "tiny-digits")
    add_extraction(lake, "mine")
    with pytest.raises(UsageError, match=r"the lake's own extraction.*--model mine-brought"):
        bring(lake, tmp_path / "states", "mine")
    done = bring(lake, tmp_path / "states")
    with pytest.raises(UsageError, match=f"runs remove {done.run_id}"):
        refuse_brought(lake, "friend")
    requests(tmp_path / "others")
    with pytest.raises(LayerhouseError, match="4 loci of friend and the folder brings 2"):
        bring(lake, tmp_path / "others")
    pooled(tmp_path / "newer", dtype=torch.float16)
    with pytest.raises(LayerhouseError, match=r"holds states of friend.*already, from states"):
        bring(lake, tmp_path / "newer")
    with pytest.raises(LayerhouseError, match="what was said once holds: leave out --trained-on"):
        bring(lake, tmp_path / "states", trained_on=["val"])
    with pytest.raises(UsageError, match="too long for one"):
        bring(lake, tmp_path / "states", "ü" * 70)
    with pytest.raises(UsageError, match="known by its states alone"):
        layerhouse.patch("friend", DATASET, lake=lake)
    with pytest.raises(UsageError, match="the lake holds no dataset"):
        layerhouse.import_(tmp_path / "states", "a", "digit", lake=lake)


def test_stopped_anywhere_it_goes_on_to_the_same_end(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "RANGE", 1)
    monkeypatch.setattr(importing, "RANGE_BYTES", 1)
    pooled(tmp_path / "states")
    done = 0

    def stop(_done: int, total: int, _note: str = "") -> None:
        nonlocal done
        assert total == 4
        done += 1
        if done in (2, 3):
            raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            layerhouse.import_(tmp_path / "states", "friend", DATASET, lake=lake, progress=stop)
    assert len(find_runs(lake, "import")) == 1
    assert len(list_commits(lake, command="import")) == 2
    pooled(tmp_path / "changed", dtype=torch.float16)
    with pytest.raises(LayerhouseError, match="of an import that was stopped, from states with"):
        bring(lake, tmp_path / "changed")
    assert layerhouse.import_(tmp_path / "states", "friend", DATASET, lake=lake).added
    for cell, (found, vectors) in held(lake).items():
        assert found == list(SAMPLES)
        assert vectors.tobytes() == drawn(SAMPLES, cell).tobytes()


@pytest.mark.slow
def test_what_was_brought_goes_through_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*arguments: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = capsys.readouterr()
        assert (ended.value.code or 0) == code, said
        return said.out + said.err

    names = [f"s{n}" for n in range(60)]
    lake = small_lake(tmp_path / "lake", 60)
    monkeypatch.setenv("LAYERHOUSE_LAKE", str(lake.root))
    pooled(tmp_path / "states", names[:-1])
    asked = ("import", str(tmp_path / "states"), "--model", "friend", "--dataset", DATASET)
    assert "--partial accepts that" in run(*asked, code=1)
    said = run(*asked, "--partial", "--title", "A friend's")
    assert "Imported 5 readouts for 59 samples of digits as friend" in said
    assert "1 sample has none" in said
    assert "Nothing to do" in run(*asked, "--partial")
    named = ("--model", "friend", "--dataset", DATASET)
    said = run("status")
    assert "Next: layerhouse probe --model friend" in said
    (row,) = [line.split() for line in said.splitlines() if line.startswith("friend ")]
    assert row[-1] == "none"  # the view has a verdict, and nobody diagnosed anything
    said = run("diagnose", *named, code=1)
    assert f"run `layerhouse probe {' '.join(named)}`" in said
    assert "extract" not in said
    run("probe", *named, "--seeds", "1")
    assert f"Next: layerhouse answers import FILE {' '.join(named)}" in run("status")
    said = run("diagnose", *named)
    assert f"bring them with `layerhouse answers import FILE {' '.join(named)}`" in said
    replies = [{"sample_id": name, "reply": "one"} for name in names]
    (tmp_path / "replies.json").write_text(json.dumps(replies))
    run("answers", "import", str(tmp_path / "replies.json"), *named)
    assert "Verdict" in run("diagnose", *named)
    assert validate(lake).passed


def test_a_folder_that_is_none_is_wrong_usage(
    lake: Lake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in (tmp_path / "none", lake.catalogue):
        with pytest.raises(SystemExit) as ended:
            main(["import", str(place), "--model", "a", "--dataset", DATASET, "--lake", str(lake)])
        assert ended.value.code == 2
        assert "name a folder with a manifest.json" in capsys.readouterr().err
    manifest(tmp_path, {"format": "hf", "loci": []})
    with pytest.raises(LayerhouseError, match="for Hugging Face; export safetensors or npy"):
        bring(lake, tmp_path)
