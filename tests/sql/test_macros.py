"""The macros for ad-hoc work."""

import shlex

import pytest


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
