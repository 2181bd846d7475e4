"""The macros for ad-hoc work."""

import re
import shlex

import numpy as np
import polars as pl
import pytest

from analysis.metrics import exceeds
from warehouse.schema import SQL_ROOT

UNROUNDED = re.compile(
    r"[<>]=? *(threshold\.(?!min_groups)|(margin|healthy_upper)\b(?! [+-]))"
    r"|(threshold\.(?!min_groups)\w+|margin|healthy_upper) *[<>]"
)
"""A limit that is held in another way than by the macro; groups are counted, and what is near a
limit takes too many images to settle."""


@pytest.fixture
def con(catalogue):
    """Three train samples and one test sample at one locus; another locus must not mix in."""
    vectors = {"a": [3.0, 4.0], "b": [6.0, 8.0], "c": [-4.0, 3.0], "t": [0.0, 1.0], "z": [0.0, 0.0]}
    classes = {"a": 0, "b": 0, "c": 1, "t": 1, "z": 1}
    here = {"model_id": "m", "dataset_id": "d", "module": "llm", "layer": 2, "readout": "last"}
    rows = [here | {"sample_id": s, "vector": v} for s, v in vectors.items()]
    return catalogue(
        {
            "activation": rows + [row | {"layer": 1, "vector": [9.0]} for row in rows],
            "sample": [
                {
                    "dataset_id": "d",
                    "sample_id": s,
                    "class_index": c,
                    "split": "train" if s in "abc" else "test",
                    "group_id": s,
                }
                for s, c in classes.items()
            ],
            "class": [
                {"dataset_id": "d", "class_index": i, "label": label}
                for i, label in enumerate(["cat", "dog"])
            ],
        }
    )


LOCUS = "'m', 'd', 'llm', 2, 'last'"


def test_activations_come_with_class_split_and_group(con):
    query = (
        f"SELECT sample_id, class_index, split, group_id, label, vector FROM activations({LOCUS})"
    )
    assert con.sql(f"{query} ORDER BY 1").fetchall()[:2] == [
        ("a", 0, "train", "a", "cat", [3.0, 4.0]),
        ("b", 0, "train", "b", "cat", [6.0, 8.0]),
    ]
    assert len(con.sql(query).fetchall()) == 5


def test_centroids_are_the_mean_vectors_of_a_split(con):
    query = "SELECT class_index, label, n_samples, centroid FROM centroids({}) ORDER BY 1"
    assert con.sql(query.format(LOCUS)).fetchall() == [
        (0, "cat", 2, [4.5, 6.0]),
        (1, "dog", 1, [-4.0, 3.0]),
    ]
    assert con.sql(query.format(f"{LOCUS}, in_split := 'test'")).fetchall() == [
        (1, "dog", 2, [0.0, 0.5])
    ]


def test_nearest_ranks_by_angle_and_leaves_out_the_sample_itself(con):
    query = f"SELECT sample_id, label, split, round(cosine, 6) FROM nearest({LOCUS}, 'a', k := 3)"
    assert con.sql(query).fetchall() == [
        ("b", "cat", "train", 1.0),
        ("t", "dog", "test", 0.8),
        ("c", "dog", "train", 0.0),
    ]
    without_length = f"SELECT sample_id, cosine FROM nearest({LOCUS}, 'a')"
    assert con.sql(without_length).fetchall()[-1] == ("z", None)


def test_length_and_angle(con):
    assert con.sql("SELECT l2_norm([3.0, 4.0]), l2_norm([0.0])").fetchall() == [(5.0, 0.0)]
    query = "SELECT cosine([1.0, 0.0], [0.0, 2.0]), cosine([1.0], [-2.0]), cosine([0.0], [1.0])"
    assert con.sql(query).fetchall() == [(0.0, -1.0, None)]


def test_an_attribute_is_one_column_to_group_by(catalogue):
    rows = [
        {"dataset_id": d, "sample_id": s, "name": name, "value": value}
        for d, s, name, value in (
            ("d", "a", "sex", "F"),
            ("d", "b", "sex", "M"),
            ("d", "c", "sex", None),
            ("d", "a", "view", "front"),
            ("e", "a", "sex", "F"),
        )
    ]
    con = catalogue({"sample_attribute": rows})
    query = "FROM attribute('sex') ORDER BY ALL"
    assert con.sql(query).fetchall() == [("d", "a", "F"), ("d", "b", "M"), ("e", "a", "F")]


@pytest.mark.parametrize(
    "word", ["m", "a+b:c@d/e.f=g,h%i_j-k", "a b", "it's 'so'", "", "ü", "a\nb", "$(x)", "#", "\\"]
)
def test_a_word_of_a_command_is_quoted_as_shells_take_it(con, word):
    assert con.sql("SELECT shell_word($1)", params=[word]).fetchall() == [(shlex.quote(word),)]


def test_wilson_and_newcombe_intervals_hold_the_truth_of_independent_images(con):
    """As docs/method.md has it: of images of one group each, and less surely of unequal classes."""
    rng = np.random.default_rng(0)
    n, n_sets = 60, 4000
    drawn = pl.DataFrame(
        {
            "hits": rng.binomial(n, 0.8, n_sets),
            "own": rng.binomial(n, 0.3, n_sets),
            "other": rng.binomial(n, 0.3, n_sets),
            "balanced": np.mean(
                [
                    rng.binomial(m, p, n_sets) / m
                    for m, p in zip((10, 30, 160), (0.6, 0.8, 0.95), strict=True)
                ],
                axis=0,
            ),
        }
    )
    con.register("drawn", drawn)
    few = 9 / (1 / 10 + 1 / 30 + 1 / 160)
    ((wilson, newcombe, balanced),) = con.sql(
        f"""
        SELECT
            avg((0.8 BETWEEN wilson_lower(hits, {n}) AND wilson_upper(hits, {n}))::INTEGER),
            avg((own / {n} - other / {n} > sqrt(
                (own / {n} - wilson_lower(own, {n})) ^ 2
                + (wilson_upper(other, {n}) - other / {n}) ^ 2
            ))::INTEGER),
            avg((
                {(0.6 + 0.8 + 0.95) / 3}
                BETWEEN wilson_lower(balanced * {few}, {few})
                AND wilson_upper(balanced * {few}, {few})
            )::INTEGER)
        FROM drawn
        """
    ).fetchall()
    assert 0.93 < wilson < 0.97
    assert 0.015 < newcombe < 0.035  # of equal shares one is above the other for certain
    assert 0.9 < balanced < 0.95


@pytest.mark.parametrize(
    ("number", "bound", "is_more"),
    [
        (0.90 - 0.88, 0.02, False),
        (0.02, 0.90 - 0.88, False),
        (0.020000001, 0.02, True),
        (0.1 * 3 - 0.3, 0, False),
        (-0.5, -0.6, True),
        (0.8, 0.8, False),
    ],
)
def test_limits_are_exceeded_to_nine_digits(con, number, bound, is_more):
    assert con.execute("SELECT exceeds(?, ?)", [number, bound]).fetchall() == [(is_more,)]
    assert exceeds([number, bound], [bound, number]).tolist() == [is_more, False]
    assert con.execute("SELECT exceeds(NULL, 1), exceeds(1, NULL)").fetchall() == [(None, None)]


def test_no_view_holds_a_limit_by_a_rule_of_its_own():
    files = [path for folder in ("views", "marts") for path in SQL_ROOT.glob(f"{folder}/**/*.sql")]
    found = {path.stem: UNROUNDED.search(path.read_text("utf-8")) for path in files}
    assert len(found) > 100
    assert {name for name, limit in found.items() if limit} == set()


def test_a_number_is_that_of_the_score_which_a_dataset_rests_on(con):
    for score, number in (("balanced_accuracy", 1), ("accuracy", 2), (None, 2)):
        assert con.execute("SELECT by_score(?, 1, 2)", [score]).fetchall() == [(number,)]
