"""A class that stands in one small mark somewhere in the image: averaged tokens hide it, so that
the tower looks guilty of losing what it holds; what looks among all tokens finds it and clears it.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from analysis.logits import logit_rows
from analysis.report.evidence import evidence_maps
from analysis.report.reading import image_tokens, read_table
from extract.models import GivenModel
from extract.running import extract
from extract.sharing import ExtractRequest
from layerhouse.cli import layerhouse as cli
from tests.extract import tiny_families
from warehouse.catalogue import connect
from warehouse.lake import Lake, RunSpec, RunWriter

pytestmark = pytest.mark.slow
CLASSES = ("across", "upright")
N, CELLS, PATCH = 480, 8, 14
SIDE = CELLS * PATCH
MARK, NOISE = 90.0, 15.0
STRIPES = np.where(np.arange(PATCH) // 2 % 2, 1.0, -1.0)
PATTERNS = np.stack([np.tile(STRIPES[:, None], PATCH), np.tile(STRIPES, (PATCH, 1))])
"""Of each class the stripes of its mark."""

LOSSES = """
SELECT
    max(loss) FILTER (WHERE stage = 'vision'),
    max(loss) FILTER (WHERE stage = 'connector')
FROM stage_loss
"""
SAMPLES = """
SELECT sample_id, uri, class_index, width, height, NULL AS fold FROM sample WHERE split = 'test'
"""
LOGITS = """
SELECT concat(module, ' ', layer), sample_id, logits FROM probe_logit JOIN probe USING (probe_id)
WHERE kind = 'attentive' AND control = 'none' AND seed = 0 AND split = 'test'
"""
READ = """
SELECT module, readout, test_accuracy, control_accuracy FROM signal_flow
WHERE readout IN ('tokens', 'mean') AND (module = 'connector' OR module = 'vision' AND layer = 1)
"""


def marked(one: int, rng: np.random.Generator) -> Image.Image:
    """Every patch has faint stripes of both kinds; one has strong ones of the class."""
    amounts = NOISE * rng.standard_normal((CELLS, CELLS, 2))
    amounts[rng.integers(CELLS), rng.integers(CELLS), one] = MARK
    grey = 128 + np.einsum("ijk,kab->iajb", amounts, PATTERNS).reshape(SIDE, SIDE)
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8)).convert("RGB")


def stripes(path: str) -> np.ndarray:
    """How strong the stripes of each class are in each patch, [classes, CELLS, CELLS]."""
    grey = np.asarray(Image.open(path).convert("L"), dtype=float) - 128
    patches = grey.reshape(CELLS, PATCH, CELLS, PATCH)
    return np.asarray(np.einsum("iajb,kab->kij", patches, PATTERNS) / PATCH**2)


def seen_by_filter(path: str) -> list[float]:
    """How strong the strongest stripes of each class are: all that there is to see."""
    return stripes(path).max(axis=(1, 2)).tolist()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The images, a classifier that reads them, and an untrained model that was run on them."""
    folder, rng = tmp_path_factory.mktemp("marks"), np.random.default_rng(0)
    for number in range(N):
        path = folder / "images" / CLASSES[number % 2] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        marked(number % 2, rng).save(path)
    lake = Lake.at(folder / "lake")
    run(lake, "datasets", "add", "marks", str(folder / "images"))
    add_filter(lake)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tiny_families, "SIDE", SIDE)
        torch.manual_seed(0)
        model, processor = tiny_families.FAMILIES["llava"]()
        images = processor.image_processor
        images.size, images.crop_size = {"shortest_edge": SIDE}, tiny_families.square(SIDE)
    given = GivenModel("untrained", tiny_families.sharpen(model), processor)
    for readouts in ((), ("tokens",)):
        asked = {"answers": ("likelihood",), "readouts": readouts, "preparers": 0}
        extract(lake, ExtractRequest(given, "marks", **asked))
    return lake


def run(lake: Lake, *arguments: str) -> str:
    found = CliRunner().invoke(cli, [*arguments, "--lake", str(lake.root)], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def add_filter(lake: Lake) -> None:
    with connect(lake) as wh:
        rows = wh.sql("SELECT split, sample_id, uri FROM sample ORDER BY ALL").fetchall()
    parts, of = [], "filter-0"
    for split in ("val", "test"):
        named = [(name, uri) for each, name, uri in rows if each == split]
        logits = np.array([seen_by_filter(uri) for _, uri in named], dtype=np.float32)
        ids = np.array([name for name, _ in named], dtype=object)
        parts.append(logit_rows("baseline_id", of, ids, split, logits))
    splits = [row[0] for row in rows]
    about = {"baseline_id": of, "dataset_id": "marks", "architecture": "filter", "kind": "svm"}
    about |= {"seed": 0, "hyperparameters": {}, "fit_seconds": 0.0}
    about |= {f"n_{split}": splits.count(split) for split in ("train", "val", "test")}
    with RunWriter(lake, RunSpec("baseline", None, "marks", {"architecture": "filter"})) as writer:
        for part in parts:
            writer.commit({"baseline": [about], "baseline_logit": part})
        writer.finish()


def test_the_verdict_turns_from_the_tower_to_what_comes_after(lake: Lake) -> None:
    about = ("--model", "untrained", "--dataset", "marks")
    run(lake, "probe", *about, "--seeds", "2")
    assert "Verdict: vision_quality" in run(lake, "diagnose", *about)
    with connect(lake) as wh:
        (blamed,) = wh.sql(LOSSES).fetchall()
    run(lake, "probe", *about, "--kind", "attentive", "--seeds", "2")
    said = run(lake, "diagnose", *about)
    assert "Verdict: llm_comprehension" in said
    assert "vision at vision 1 (tokens), connector at connector 0 (tokens)" in said
    with connect(lake) as wh:
        (cleared,) = wh.sql(LOSSES).fetchall()
        read = {row[:2]: row[2:] for row in wh.sql(READ).fetchall()}
    print(f"marks: {blamed} became {cleared}; {read}")  # noqa: T201 - figures for the note
    assert blamed[0] > 0.15
    assert cleared[0] < 0.05
    assert cleared[1] < 0.12
    assert read["vision", "tokens"][0] > 0.9 > 0.8 > read["vision", "mean"][0]
    assert max(control for _, control in read.values()) < 0.65


def test_the_maps_of_a_class_point_at_its_mark_and_those_of_the_other_do_not(
    lake: Lake, tmp_path: Path
) -> None:
    about = {"model": "untrained", "dataset": "marks"}
    options = [part for name, value in about.items() for part in (f"--{name}", value)]
    run(lake, "probe", *options, "--kind", "attentive", "--seeds", "2")
    with connect(lake) as wh:
        samples = wh.sql(SAMPLES).pl().to_dicts()
        readers = read_table(wh, "evidence_readers", **about).rows
        stored = {(place, name): logits for place, name, logits in wh.sql(LOGITS).fetchall()}
        own, other = (
            evidence_maps(
                readers,
                [{**row, "class_index": (row["class_index"] + turn) % 2} for row in samples],
                partial(image_tokens, wh, about),
            ).of
            for turn in (0, 1)
        )
    hits: dict[tuple[str, str, int], list[bool]] = {}
    for row in samples:
        label = row["class_index"]
        mark = divmod(int(stripes(row["uri"])[label].argmax()), CELLS)
        for which, maps in (("own", own), ("other", other)):
            for found in maps[row["sample_id"]]:
                peak = tuple(place - 1 for place in found.peak)
                hits.setdefault((which, found.place, label), []).append(peak == mark)
        for found in own[row["sample_id"]]:
            logits = stored[found.place, row["sample_id"]]
            margin = logits[label] - logits[1 - label]
            assert (found.evidence.sum(), found.fits) == (pytest.approx(margin, abs=1e-3), True)
    shares = {key: float(np.mean(found)) for key, found in hits.items()}
    print(f"peaks on the mark: {shares}")  # noqa: T201 - figures for the note
    assert min(shares["own", "vision 1", label] for label in (0, 1)) > 0.9
    # The probe behind the connector looks for one class, and reads the other from its absence.
    assert max(shares["own", "connector 0", label] for label in (0, 1)) > 0.9
    assert max(share for (which, *_), share in shares.items() if which == "other") < 0.05
    run(lake, "diagnose", *options)
    run(lake, "report", "--out", str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "readable at vision 1 and connector 0" in page
    over = re.findall(r'aria-label="Evidence for [^>]*><use href="#(.*?)"', page)
    assert {f'<image id="{key}"' in page for key in over} == {True}
    assert len(over) == 2 * len(set(over)) > 0
