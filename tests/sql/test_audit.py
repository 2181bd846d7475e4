"""What an audit found, seen through the samples as they are now."""

import pytest

from tests.sql.worlds import world

NEW, OLD = "audit-new", "audit-old"


def _sample(name, class_index=0, split="train", group=None):
    return {
        "dataset_id": "d",
        "sample_id": name,
        "class_index": class_index,
        "split": split,
        "group_id": group or name,
    }


def _pair(first, second, kind="near", run=NEW, cluster="a"):
    return {
        "dataset_id": "d",
        "sample_id": first,
        "other_sample_id": second,
        "cluster": cluster,
        "kind": kind,
        "correlation": 0.99,
        "own_correlation": 0.9,
        "run_id": run,
    }


def _audited(**tables):
    audit = {"dataset_id": "d", "n_samples": 4, "n_compared": 4, "run_id": NEW}
    return {"dataset_audit": [audit], **tables}


def _many(split, n, group=None):
    return [_sample(f"{split}{i}", i % 2, split, group) for i in range(n)]


@pytest.mark.exact_rows("near_duplicate_pair")
def test_pairs_of_the_newest_audit_show_both_samples_as_they_are_now(catalogue):
    con = catalogue(
        _audited(
            sample=[_sample("a", 0, "train", "g"), _sample("b", 1, "test"), _sample("c")],
            near_duplicate=[_pair("a", "b"), _pair("a", "c", run=OLD)],
        )
    )
    assert con.sql("SELECT * FROM near_duplicate_pair").fetchall() == [
        ("d", "a", "a", "b", "near", 0.99, 0.9, "train", "test", "g", "b", 0, 1)
    ]


@pytest.mark.exact_rows("audit_finding")
def test_findings_count_the_images_of_the_clusters_they_are_about(catalogue):
    """a-b-c is one cluster over two splits, e-f one under two labels, g-h one inside a group."""
    enough = [*_many("val", 62), *_many("test", 62)]
    members = [
        _sample("a"),
        _sample("b"),
        _sample("c", 0, "test"),
        _sample("e", 0, "train", "g1"),
        _sample("f", 1, "train", "g1"),
        _sample("g", 0, "train", "g2"),
        _sample("h", 0, "train", "g2"),
    ]
    fact = {"dataset_id": "d", "chance": 0.5, "balanced_accuracy": 0.7, "upper": 0.8}
    con = catalogue(
        _audited(
            sample=enough + members,
            near_duplicate=[
                _pair("a", "b"),
                _pair("b", "c"),
                _pair("e", "f", cluster="e"),
                _pair("g", "h", cluster="g"),
            ],
            image_fact=[
                {"dataset_id": "d", "sample_id": "g", "is_blank": True, "run_id": NEW},
                {"dataset_id": "d", "sample_id": "h", "is_blank": True, "run_id": OLD},
            ],
            shortcut=[
                {**fact, "fact": "size", "lower": 0.551, "run_id": NEW},
                {**fact, "fact": "aspect", "lower": 0.549, "run_id": NEW},
                {**fact, "fact": "border", "lower": 0.6, "run_id": OLD},
            ],
        )
    )
    found = con.sql("SELECT * FROM audit_finding ORDER BY finding").fetchall()
    nothing = (None, None, None, None)
    assert found == [
        ("d", "blank_images", None, 1, "g", None, *nothing),
        ("d", "copies_across_groups", None, 3, "a", "b", *nothing),
        ("d", "copies_across_splits", None, 3, "b", "c", *nothing),
        ("d", "copies_under_two_labels", None, 2, "e", "f", *nothing),
        ("d", "shortcut", "size", None, None, None, 0.7, 0.5, 0.551, 0.8),
    ]


def test_a_split_of_few_groups_is_small_however_many_images_it_has(catalogue):
    con = catalogue(_audited(sample=[*_many("val", 80, group="one"), *_many("test", 61)]))
    query = "SELECT finding, subject, n FROM audit_finding ORDER BY subject"
    assert con.sql(query).fetchall() == [("small_split", "test", 61), ("small_split", "val", 1)]


def test_a_dataset_that_was_not_audited_has_no_findings(catalogue):
    con = catalogue({"sample": _many("val", 3), "near_duplicate": [_pair("val0", "val1")]})
    assert con.sql("SELECT * FROM audit_finding").fetchall() == []


PROBES = {("vision", 1, "mean"): (10, 18), ("connector", 0, "mean"): (9, 18)}


@pytest.mark.exact_rows("label_suspect")
def test_a_label_is_suspect_where_everybody_names_the_same_other_class(catalogue):
    """Probes are wrong from the 19th test sample on, the answer from the 17th, the baseline on the
    last one: two probes, the answer and the baseline agree on that one."""
    rows = world(PROBES, {"likelihood": (8, 16)}, {("pixels", 0): (10, 19)})
    rows["class"] = [
        {"dataset_id": "d", "class_index": i, "label": label} for i, label in enumerate("xy")
    ]
    con = catalogue(rows)
    assert con.sql("SELECT * FROM label_suspect").fetchall() == [
        ("d", "test19", 1, "y", 0, "x", 2, 1, 1)
    ]


@pytest.mark.parametrize(
    "voters",
    [
        pytest.param((PROBES, {"likelihood": (8, 16)}, None), id="no baseline"),
        pytest.param((PROBES, None, {("pixels", 0): (10, 19)}), id="no answer"),
        pytest.param((None, {"likelihood": (8, 16)}, {("pixels", 0): (10, 19)}), id="no probe"),
    ],
)
def test_no_label_is_suspect_before_probes_answers_and_baselines_are_there(catalogue, voters):
    con = catalogue(world(*voters))
    assert con.sql("SELECT * FROM label_suspect").fetchall() == []


def test_one_right_voter_saves_the_label(catalogue):
    con = catalogue(world(PROBES, {"likelihood": (8, 16)}, {("pixels", 0): (10, 20)}))
    assert con.sql("SELECT * FROM label_suspect").fetchall() == []
