"""Vectors on a plane: where they stand, what is left out, and what colours and legends say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.projection import Projection, Values, cell_named, lay_out, name_of, project
from analysis.projection.colours import _attribute
from analysis.projection.laying import Layout
from analysis.report import pointed_out, projection, write_projection
from analysis.report.figures.projection import HUES, grouped
from tests.conftest import Demo
from warehouse.catalogue import connect
from warehouse.errors import LayerhouseError, UsageError

FAULTY = "tiny-digits+fault:swap@connector:0.5"


def clusters(n: int = 60, width: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Three classes far from each other, and which is which."""
    rng = np.random.default_rng(0)
    classes = np.arange(n) % 3
    centres = 20 * rng.standard_normal((3, width))
    return (centres[classes] + rng.standard_normal((n, width))).astype(np.float32), classes


def nearest_agree(places: np.ndarray, classes: np.ndarray) -> float:
    """How often the nearest other sample has the same class."""
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    return float((classes[apart.argmin(axis=1)] == classes).mean())


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_clusters_stay_apart_and_the_same_vectors_get_the_same_places(method):
    vectors, classes = clusters()
    layout = lay_out(vectors, method)
    assert layout.places.shape == (60, 2)
    assert nearest_agree(layout.places, classes) == 1
    assert lay_out(vectors.copy(), method).places.tobytes() == layout.places.tobytes()


def test_explained_shares_are_those_of_the_scaled_features():
    vectors, _ = clusters()
    vectors[:, 0] *= 1000  # of another unit: scaled, it is one feature among sixteen
    scaled = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    variances = np.linalg.eigvalsh(np.cov(scaled, rowvar=False))[::-1]
    layout = lay_out(vectors)
    assert layout.explained == pytest.approx(variances[:2] / variances.sum(), rel=1e-4)
    assert layout.places.var(axis=0, ddof=1) == pytest.approx(variances[:2], rel=1e-4)


def test_of_many_a_seeded_few_are_drawn():
    vectors, _ = clusters(500)
    layout = lay_out(vectors, most=100)
    assert layout.is_drawn
    assert (len(layout.rows), layout.n_given) == (100, 500)
    assert (np.diff(layout.rows) > 0).all()
    assert (layout.rows == lay_out(vectors, most=100).rows).all()
    assert (layout.rows != lay_out(vectors, most=100, seed=1).rows).any()


def test_vectors_that_are_no_numbers_are_left_out_and_counted():
    vectors, _ = clusters()
    vectors[3, 2], vectors[7, 0] = np.nan, np.inf
    layout = lay_out(vectors)
    assert layout.n_unfit == 2
    assert not {3, 7} & set(layout.rows)
    assert np.isfinite(layout.places).all()


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_equal_vectors_are_nothing_to_look_at(method):
    same = np.full((20, 8), 0.1, dtype=np.float32)
    with pytest.raises(LayerhouseError, match="all 20 vectors are the same here"):
        lay_out(same, method)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_constant_features_and_copies_do_no_harm(method):
    vectors = np.full((30, 8), 5, dtype=np.float32)
    vectors[:15, 3] = np.arange(15)
    vectors[15:] = vectors[:15]
    places = lay_out(vectors, method).places
    assert np.isfinite(places).all()
    if method == "pca":
        assert (places[:, 1] == 0).all(), "a line"


@pytest.mark.parametrize(
    ("n", "method", "said"),
    [
        (0, "pca", "a plane takes at least 2 samples with vectors, and here are 0"),
        (1, "pca", "here is 1"),
        (3, "tsne", "t-SNE takes at least 4 samples with vectors, and here are 3; --method pca"),
    ],
)
def test_too_few_samples_are_told(n, method, said):
    with pytest.raises(LayerhouseError, match=said):
        lay_out(np.eye(4, dtype=np.float32)[:n], method)


def test_two_samples_stand_at_both_ends():
    layout = lay_out(np.eye(4, dtype=np.float32)[:2])
    assert layout.explained == pytest.approx((1, 0))
    assert layout.places[0] == pytest.approx(-layout.places[1])


@pytest.mark.parametrize("n", [4, 10, 40, 200])
def test_perplexity_stays_below_the_number_of_samples(n):
    vectors, _ = clusters(n)
    layout = lay_out(vectors, "tsne")
    assert 1 <= layout.perplexity < n
    assert layout.perplexity <= 30


def test_an_unknown_method_is_told():
    with pytest.raises(UsageError, match="unknown method 'umap'; known are pca, tsne"):
        lay_out(clusters()[0], "umap")


@pytest.mark.parametrize("text", ["llm.4/mean", "a.b.12/reply-x", "vision.0/grid"])
def test_a_place_is_called_as_it_is_read(text):
    assert name_of(cell_named(text)) == text


def shown(values: Values, n: int = 60) -> Projection:
    import polars as pl

    vectors, _ = clusters(n)
    samples = pl.DataFrame({"sample_id": [f"s{i}" for i in range(n)]}).with_columns(
        label=pl.lit("<b>a</b>"), split=pl.lit("test")
    )
    return Projection("m", "d", cell_named("llm.3/mean"), lay_out(vectors), samples, values)


def coloured(n_values: int, n: int = 120) -> Values:
    """Value 0 has the most samples, the last the fewest; the last sample has none."""
    of = {f"s{i}": f"v{min(i % n_values, (i * 7) % n_values):02}" for i in range(n - 1)}
    return Values("class", of, tuple(f"v{i:02}" for i in range(n_values)), "no label")


def test_of_sixty_values_nine_are_named_and_the_others_counted():
    groups = grouped(shown(coloured(60), 120))
    present = set(coloured(60).of.values())
    assert len(groups) == len(HUES) + 1
    assert groups[-2].name == f"{len(present) - 9} others"
    assert groups[-1].name == "no label"
    assert sum(len(group.rows) for group in groups) == 120
    named = [len(group.rows) for group in groups[:9]]
    sizes = map(list(coloured(60).of.values()).count, present)
    assert sorted(named) == sorted(sizes)[-9:]
    assert len({group.role for group in groups}) == len(groups)
    assert len({group.marker for group in groups}) == len(groups)


def test_ten_values_are_all_named():
    order = tuple(f"v{i}" for i in range(10))
    values = Values("class", {f"s{i}": f"v{i % 10}" for i in range(60)}, order, "no label")
    assert [group.name for group in grouped(shown(values))] == list(order)


def test_many_numbers_become_ranges_in_their_order():
    held = {f"s{i}": str(age) for i, age in enumerate([*range(20, 60), 60, 60, 60])}
    values = _attribute("age", held)
    assert values.order[0].startswith("20 to ")
    assert values.order[-1].endswith("60")
    assert len(values.order) == 5
    assert set(values.of) == set(held)
    few = _attribute("n", {"a": "10", "b": "9", "c": "x"})
    assert few.order == ("10", "9", "x")
    assert _attribute("n", {"a": "10", "b": "9"}).order == ("9", "10")


def test_every_point_says_what_it_is_once_in_each_drawing():
    with pointed_out():
        svg = str(projection(shown(coloured(3))).__html__())
    assert svg.count('class="point"') == 2 * 60
    assert svg.count('data-key="s7"') == 2
    assert "<b>" not in svg
    assert "&lt;b&gt;a&lt;/b&gt;, test" in svg
    assert 'class="point"' not in str(projection(shown(coloured(3))).__html__())


def test_the_caption_says_what_the_plane_is_worth():
    said = projection(shown(coloured(3))).description
    assert "first two principal components" in said
    assert "% of the variance" in said
    tsne = shown(coloured(3))
    layout = Layout("tsne", tsne.layout.rows, tsne.layout.places, 90_000, 2, perplexity=30.0)
    told = projection(
        Projection("m", "d", tsne.cell, layout, tsne.samples, tsne.values)
    ).description
    assert "distances between clusters and their sizes mean nothing" in told
    assert "60 samples, drawn at random of 90,000" in told
    assert "2 without finite vectors are left out" in told


def test_a_file_is_the_same_every_time_and_of_the_form_of_its_name(tmp_path: Path):
    heads = {"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG"}
    for form, head in heads.items():
        for name in ("a", "b"):
            write_projection(shown(coloured(3)), tmp_path / f"{name}.{form}")
        written = (tmp_path / f"a.{form}").read_bytes()
        assert written.startswith(head)
        assert written == (tmp_path / f"b.{form}").read_bytes()
    with pytest.raises(UsageError, match=r"end its name in one of \.pdf, \.svg, \.png"):
        write_projection(shown(coloured(3)), tmp_path / "a.jpg")


def test_a_lake_s_cell_is_coloured_by_class_answer_or_attribute(demo: Demo):
    cell = cell_named("llm.4/last")
    with connect(demo.lake) as wh:
        frames = {
            colour: project(wh, FAULTY, "digits", cell, colour=colour).frame
            for colour in ("class", "answer")
        }
        answered = dict(
            wh.sql(
                "SELECT sample_id, predicted_label FROM mart_sample_outcomes WHERE model_id = $1",
                [FAULTY],
            ).fetchall()
        )
        with pytest.raises(UsageError, match="no colour 'clas'; did you mean class"):
            project(wh, FAULTY, "digits", cell, colour="clas")
    assert frames["class"]["class"].to_list() == frames["class"]["label"].to_list()
    assert frames["class"].height == 1797
    told = dict(frames["answer"].select("sample_id", "answer").iter_rows())
    assert {sample: told[sample] for sample in answered} == answered
