"""Where in an image a class is readable: what the probe says of each token, drawn in its place."""

from __future__ import annotations

import base64
import io
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from analysis.probes import probe
from analysis.probes.kinds.attentive import AttentiveProbe
from analysis.report.evidence import AGAINST, FOR, STRONGEST, evidence_maps
from analysis.report.reading import image_tokens, read_table
from tests.analysis.activation_lake import DATASET, MODEL, add_activations, add_tokens, dataset_lake
from tests.analysis.probes.test_attentive import CLASSES, SPLITS, planted
from tests.analysis.report_lake import HEALTHY
from tests.analysis.test_folds import deal_to_folds
from warehouse.catalogue import connect
from warehouse.errors import LayerhouseError

SAMPLES = """
SELECT sample_id, class_index, width, height, fold FROM sample
LEFT JOIN (FROM sample_fold WHERE repetition = 0) USING (dataset_id, sample_id)
WHERE split = 'test' ORDER BY sample_id
"""
LOGITS = """
SELECT sample_id, logits FROM probe_logit JOIN probe USING (probe_id)
WHERE kind = 'attentive' AND control = 'none' AND seed = 0 AND split = 'test' ORDER BY sample_id
"""
READERS = """
SELECT control, seed, contains(hyperparameters, 'queries') FROM probe ORDER BY ALL
"""


def test_what_the_tokens_say_adds_up_to_what_the_fold_s_own_probe_says(tmp_path: Path) -> None:
    """That of a split's only probe does as well: tests/layerhouse/test_planted_mark.py."""
    tokens = planted(CLASSES)
    lake = dataset_lake(tmp_path / "lake", CLASSES, SPLITS)
    deal_to_folds(lake)
    add_activations(lake, {("vision", 1, "mean"): np.stack([one.mean(axis=0) for one in tokens])})
    add_tokens(lake, {("vision", 1): tokens})
    probe(lake, MODEL, DATASET, kind=AttentiveProbe(epochs=40), seeds=2)
    names = {"model": MODEL, "dataset": DATASET}
    with connect(lake) as wh:
        samples = wh.sql(SAMPLES).pl().to_dicts()
        others = [{**row, "class_index": 1 - row["class_index"]} for row in samples]
        readers = read_table(wh, "evidence_readers", **names).rows
        own, other = (
            evidence_maps(readers, asked, partial(image_tokens, wh, names))
            for asked in (samples, others)
        )
        stored = dict(wh.sql(LOGITS).fetchall())
        kept = {row[:2]: row[2] for row in wh.sql(READERS).fetchall()}
    assert len(kept) == 4
    assert [key for key, is_reader in kept.items() if is_reader] == [("none", 0)]
    assert (own.places, own.placeless, len(samples)) == (["vision 1"], [], 120)
    on_mark, elsewhere = 0, 0
    for row in samples:
        name, label = row["sample_id"], row["class_index"]
        (found,), (absent,) = own.of[name], other.of[name]
        logits = stored[name]
        assert found.evidence.sum() == pytest.approx(logits[label] - logits[1 - label], abs=1e-3)
        assert found.is_read == (np.argmax(logits) == label)
        mark = 1, 1 + int(tokens[int(name.removeprefix("image-"))][:, label].argmax())
        on_mark += found.peak == mark
        elsewhere += absent.peak != mark
    assert min(on_mark, elsewhere) > 0.9 * len(samples)


def test_strong_tokens_are_opaque_in_the_colour_of_their_side_and_lie_where_they_belong() -> None:
    """Class 0 is read off the first number alone, since all tokens weigh the same."""
    zeros = [[0.0, 0.0]] * 2
    reader = {"classes": [0, 1], "queries": zeros, "values": [[1.0, 0.0], [0.0, 0.0]]}
    row = {"module": "vision", "layer": 3, "chosen": '{"reader": ' + _json(reader) + "}"}
    tokens = pl.DataFrame(
        {
            "sample_id": ["a"] * 4 + ["b"] * 5,
            "row": [0, 0, 1, 1, 0, 0, 0, 0, None],
            "column": [0, 1, 0, 1, 0, 1, 2, 3, None],
            "vector": [[4.0, 0], [0.0, 0], [-2.0, 0], [1.0, 0], *[[2.0, 0]] * 5],
        },
        schema_overrides={"vector": pl.List(pl.Float32)},
    )
    about = {"class_index": 0, "fold": None, "width": 20, "height": 20}
    samples = [{**about, "sample_id": name} for name in ("a", "b", "without tokens")]
    samples.append({**about, "sample_id": "b", "class_index": 2})
    maps = evidence_maps([row], samples[:3], lambda *_: tokens)
    (a,), (b,), none = maps.of.values()
    assert a.evidence.tolist() == [[1.0, 0.0], [-0.5, 0.25]]
    assert (a.strongest, b.strongest, a.fits, b.fits) == (1.0, 1.0, True, False)
    assert b.evidence.tolist() == [[0.4] * 4]  # the fifth counts, and has no place
    assert none == []
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(a.picture.partition(",")[2]))))
    assert pixels[..., 3].tolist() == [[STRONGEST, 0], [STRONGEST // 2, 48]]
    assert [tuple(pixels[at][:3]) for at in ((0, 0), (1, 0), (1, 1))] == [FOR, AGAINST, FOR]
    unseen = evidence_maps([row], samples[3:], lambda *_: tokens)
    assert list(unseen.of.values()) == [[]]
    dealt = [{**samples[0], "fold": 0}]  # the probe of a split may have been trained on it
    assert list(evidence_maps([row], dealt, lambda *_: tokens).of.values()) == [[]]
    queries = tokens.with_columns(pl.lit(None, pl.Int32).alias("row"))
    assert evidence_maps([row], samples[:1], lambda *_: queries).placeless == ["vision 3"]


@pytest.mark.parametrize("place", [-1, 10**9])
def test_places_that_cannot_be_are_named_and_take_no_memory(place: int) -> None:
    reader = {"classes": [0, 1], "queries": [[0.0]] * 2, "values": [[0.0]] * 2}
    row = {"module": "vision", "layer": 3, "chosen": '{"reader": ' + _json(reader) + "}"}
    sample = {"sample_id": "a", "class_index": 0, "fold": None, "width": 1, "height": 1}
    tokens = pl.DataFrame({"sample_id": "a", "row": [place], "column": [0], "vector": [[1.0]]})
    with pytest.raises(LayerhouseError, match="kept at vision 3, or the attentive probe"):
        evidence_maps([row], [sample], lambda *_: tokens)
    with pytest.raises(LayerhouseError, match="layerhouse validate"):
        evidence_maps([{**row, "chosen": '{"reader": 7}'}], [sample], lambda *_: tokens)


def _json(reader: dict[str, Any]) -> str:
    return str({**reader, "intercepts": [0.0, 0.0]}).replace("'", '"')


def test_the_report_draws_them_or_says_why_not(figure_report: Path) -> None:
    text = figure_report.read_text("utf-8")
    own, *_ = text.split('<article id="d0m0"')[1].split("<article ")
    assert f">{HEALTHY}</h3>" in own
    lost = own.split('<section class="lost"')[1].split("</section>")[0]
    images = lost.count('class="truth"')
    assert images > 0
    maps = re.findall(r'<svg class="map" role="img" aria-label="Evidence for (.*?)" viewBox', lost)
    assert len(maps) == 2 * images
    assert re.fullmatch(
        r"\w+ in image-\d+ at vision 4: most in row \d of 2, column \d of 3", maps[0]
    )
    assert "readable at vision 4 and connector 0" in lost
    assert "The image tokens of llm 5 have no place in the image" in lost
    others = text.replace(own, "")
    assert "--fault swap@connector:0.5 --dataset shapes --readout tokens</code>" in others
    assert 'aria-label="Evidence' not in others
