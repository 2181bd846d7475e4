"""Patches: what carries the answer's class, and what of a better model's answers comes back."""

import math

import numpy as np
import pytest

from tests.sql.worlds import class_of, world

DATASET = {"dataset_id": "d", "title": "D", "n_samples": 30, "n_classes": 2, "score": "accuracy"}
ENDS = {"vision": 1, "connector": 0, "llm": 1}


def said(number, right):
    return class_of(number) if right else 1 - class_of(number)


def between_images(control, turned, tokens="image", locus=("llm", 0)):
    """Twenty patches of which the first so many turn to the other class; the last own answer is
    that class anyway, and the last donor is answered wrongly.
    """
    return [
        {"model_id": "m", "donor_model_id": "m", "dataset_id": "d", "sample_id": f"test{i:02d}"}
        | {"module": locus[0], "layer": locus[1], "tokens": tokens, "control": control}
        | {"donor_id": f"test{(i + 1) % 20:02d}", "target_class_index": 1 - class_of(i)}
        | {"predicted_class_index": said(i, i >= turned), "own_class_index": said(i, i < 19)}
        | {"donor_class_index": said(i, i == 19)}
        | {"target_shift": 0.5 if i < turned else 0.0, "label_shift": -0.25 if i < turned else 0.0}
        for i in range(20)
    ]


@pytest.mark.exact_rows("causal_flow")
def test_answers_that_turn_are_counted_beside_the_controls(catalogue):
    rows = world()
    rows["patch_effect"] = [
        *between_images("none", 10),
        *between_images("same_class", 1),
        *between_images("noise", 4),
        *between_images("other_locus", 12),
        *between_images("none", 0, "last"),
        # What is no evidence: a sample that is not scored.
        {**between_images("none", 20)[0], "sample_id": "val00"},
    ]
    found = catalogue(rows).sql("FROM causal_flow ORDER BY tokens, control").fetchall()
    place = ("m", "d", "llm", 0, 4)

    def wilson(hits):
        z, n = 1.959964, 20
        centre, half = (
            hits / n + z**2 / (2 * n),
            z * math.sqrt(hits / n * (1 - hits / n) / n + z**2 / (4 * n**2)),
        )
        return [
            pytest.approx(max((centre + s * half) / (1 + z**2 / n), 0), abs=1e-6) for s in (-1, 1)
        ]

    def told(tokens, control, turned, controls, n_controls=20, donors=0.95):
        # The last sample's own answer is the other class before any patch, and its donor is
        # answered as the sample's own class, as its patch is.
        kept, agree = (19 - turned) / 20, (turned + 1) / 20
        return (
            *(*place, tokens, control, 20, turned / 20, *wilson(turned), 0.05),
            *(controls, n_controls),
            *(kept, agree, 0.95, donors, 0.5 * turned / 20, -0.25 * turned / 20),
        )

    assert found == [
        told("image", "noise", 4, 0.2),
        told("image", "none", 10, 0.2),
        told("image", "other_locus", 12, 0.2),
        told("image", "same_class", 1, 0.2, donors=None),
        told("last", "none", 0, None, None),
    ]


def test_controls_of_fewer_samples_say_so(catalogue):
    """Of two that turn as many of theirs the fewer are told, which say less."""
    of_all, of_ten = between_images("none", 10), between_images("noise", 0)[:10]
    rows = {**world(), "patch_effect": [*of_all, *of_ten, *between_images("same_class", 0)[:3]]}
    query = "SELECT DISTINCT control_share, control_n FROM causal_flow"
    assert catalogue(rows).sql(query).fetchall() == [(0, 3)]
    rows["patch_effect"] = [*of_all, *between_images("noise", 1)[:10], *rows["patch_effect"][30:]]
    assert catalogue(rows).sql(query).fetchall() == [(0.1, 10)]


def between_models(right, own=8, donor=20, ends=True):
    """By stage (and, in the llm, tokens) on how many of twenty the patched answer is right."""
    return [
        {"model_id": "m", "donor_model_id": "h", "dataset_id": "d", "sample_id": f"test{i:02d}"}
        | {"module": module, "layer": ENDS[module], "tokens": tokens, "control": "none"}
        | {"donor_id": f"test{i:02d}", "target_class_index": class_of(i), "ends_stage": ends}
        | {"predicted_class_index": said(i, i < n), "own_class_index": said(i, i < own)}
        | {"donor_class_index": said(i, i < donor)}
        for (module, tokens), n in right.items()
        for i in range(20)
    ]


ALL = {("vision", "image"): 8, ("connector", "image"): 17, ("llm", "both"): 20}


def patched(effects, rows=None, score="accuracy"):
    rows = rows or world()
    return {**rows, "dataset": [{**DATASET, "score": score}], "patch_effect": effects}


@pytest.mark.exact_rows("restored_share")
def test_what_comes_back_is_a_share_of_what_was_lost(catalogue):
    con = catalogue(patched(between_models(ALL)))
    found = con.sql(
        "SELECT module, depth, tokens, ends_stage, score, n, n_groups, own_score, patched_score, "
        "donor_score, gap, gap_lower, gap_upper, restored_share, lower, upper FROM restored_share "
        "ORDER BY depth"
    ).fetchall()
    # 12 of 20 are lost. The gap's deviations are 0.4 twelve times and -0.6 eight times; those of
    # the share 3/4 are 1/4 where one of the lost came back, -3/4 where not.
    gap = 1.959964 * math.sqrt(4.8 * 20 / 19) / 20
    half = 1.959964 * math.sqrt((9 / 16 + 3 * 9 / 16) * 20 / 19) / 12
    about = (20, 20, 0.4)
    of_gap = tuple(map(pytest.approx, (0.6, 0.6 - gap, 0.6 + gap)))
    assert found == [
        ("vision", 1, "image", True, "accuracy", *about, 0.4, 1.0, *of_gap, 0.0, 0.0, 0.0),
        (
            *("connector", 3, "image", True, "accuracy", *about, 0.85, 1.0, *of_gap),
            *map(pytest.approx, (0.75, 0.75 - half, 0.75 + half)),
        ),
        ("llm", 5, "both", True, "accuracy", *about, 1.0, 1.0, *of_gap, 1.0, 1.0, 1.0),
    ]


def test_of_nothing_there_is_no_share(catalogue):
    effects = [
        row | {"donor_model_id": f"right on {donor}"}
        for donor in (8, 6, 9)
        for row in between_models({("vision", "image"): 9}, 8, donor)
    ]
    query = "SELECT gap_lower > 0, restored_share, lower, upper FROM restored_share"
    assert catalogue(patched(effects)).sql(query).fetchall() == [(False, None, None, None)] * 3


@pytest.mark.exact_rows("patched_answer")
def test_under_balanced_accuracy_each_patched_class_weighs_alike(catalogue):
    effects = [
        row
        for row in between_models({("connector", "image"): 17})
        if row["sample_id"] in ("test00", "test02", "test04", "test17", "test01")
    ]
    con = catalogue(patched(effects, score="balanced_accuracy"))
    found = con.sql(
        "SELECT sample_id, group_id, score, patched, own, donor, weight FROM patched_answer "
        "ORDER BY sample_id"
    ).fetchall()
    assert found == [
        (f"test{i:02d}", f"test{i:02d}", "balanced_accuracy", int(i < 17), int(i < 8), 1, weight)
        for i, weight in ((0, 1 / 3), (1, 0.5), (2, 1 / 3), (4, 1 / 3), (17, 0.5))
    ]
    ((own, share),) = con.sql("SELECT own_score, restored_share FROM restored_share").fetchall()
    assert own == pytest.approx(0.75)  # all three of one class, one of two of the other
    assert share is None  # one of five is no gap beyond its interval


def test_intervals_are_those_of_the_bootstrap(catalogue):
    rng = np.random.default_rng(0)
    rows = world(n_groups=20)
    sizes = rng.integers(1, 4, 80)
    rows["sample"] = [
        {"dataset_id": "d", "sample_id": f"{g}-{k}", "class_index": (g + k) % 2, "split": "test"}
        | {"group_id": f"g{g}"}
        for g, size in enumerate(sizes)
        for k in range(size)
    ]
    outcomes = {
        row["sample_id"]: (rng.random() < 0.4, rng.random() < 0.9, rng.random())
        for row in rows["sample"]
    }
    drawn = {name: (o, d, d if u < 0.6 else o) for name, (o, d, u) in outcomes.items()}
    effects = []
    for row in rows["sample"]:
        own, donor, now = drawn[row["sample_id"]]
        truth = row["class_index"]
        effects.append(
            {**between_models({("connector", "image"): 1})[0], "sample_id": row["sample_id"]}
            | {"donor_id": row["sample_id"], "predicted_class_index": truth if now else 1 - truth}
            | {"own_class_index": truth if own else 1 - truth}
            | {"donor_class_index": truth if donor else 1 - truth, "target_class_index": truth}
        )
    con = catalogue(patched(effects, rows))
    ((share, lower, upper),) = con.sql(
        "SELECT restored_share, lower, upper FROM restored_share"
    ).fetchall()
    sums = np.zeros((len(sizes), 2))
    for row in rows["sample"]:
        own, donor, now = map(int, drawn[row["sample_id"]])
        sums[int(row["group_id"][1:])] += (now - own, donor - own)
    picks = rng.integers(0, len(sizes), (4000, len(sizes)))
    resampled = sums[picks].sum(axis=1)
    ratios = resampled[:, 0] / resampled[:, 1]
    assert share == pytest.approx(sums[:, 0].sum() / sums[:, 1].sum())
    assert (lower, upper) == pytest.approx(np.quantile(ratios, [0.025, 0.975]), abs=0.02)


@pytest.mark.exact_rows("stage_restoration")
def test_a_stage_has_what_comes_back_there_and_not_before(catalogue):
    rows = world(
        {("vision", 1, "mean"): (10, 20), ("connector", 0, "mean"): (9, 11)}
        | {("llm", 1, "last"): (8, 8)},
        {"generate": (7, 8)},
    )
    effects = between_models({**ALL, ("llm", "both"): 19, ("llm", "image"): 8})
    found = (
        catalogue(patched(effects, rows))
        .sql(
            "SELECT stage, n_groups, gap, restored, restored_share, loss, extra_loss "
            "FROM stage_restoration ORDER BY stage_order"
        )
        .fetchall()
    )
    shares = [("vision", 0, 0), ("connector", 9, 9), ("llm", 2, 3), ("answer", 1, 0)]
    assert found == [
        (
            *(stage, 20, *map(pytest.approx, (0.6, back / 20, back / 12, loss / 20))),
            None,
        )
        for stage, back, loss in shares
    ]


def test_stages_patched_on_other_samples_weigh_those_that_all_were_patched_on(catalogue):
    """Of an unbalanced set patched at all ends, whatever more of it was patched at one of them."""
    at_all = ("test00", "test02", "test04", "test01", "test17")
    effects = [
        row
        for row in between_models({**ALL, ("connector", "image"): 1, ("vision", "image"): 3}, own=0)
        if row["sample_id"] in at_all or row["module"] == "connector"
    ]
    found = (
        catalogue(patched(effects, score="balanced_accuracy"))
        .sql("SELECT stage, restored FROM stage_restoration ORDER BY stage_order")
        .fetchall()
    )
    # Vision rights two of the three of one class and one of the two of the other.
    vision, connector = (2 / 3 + 1 / 2) / 2, (1 / 3) / 2
    shares = (vision, connector - vision, 1 - connector, 0)
    assert found == [
        (stage, pytest.approx(share))
        for stage, share in zip(("vision", "connector", "llm", "answer"), shares, strict=True)
    ]


@pytest.mark.exact_rows("best_donor")
def test_the_donor_that_speaks_is_the_one_better_by_most_and_no_repair(catalogue):
    donors = {"h": 20, "g": 19, "m+mend:llm/lora": 20}
    effects = [
        row | {"donor_model_id": name}
        for name, right in donors.items()
        for row in between_models(ALL, donor=right)
    ]
    read = {("vision", 1, "mean"): (10, 20), ("connector", 0, "mean"): (10, 20)}
    for probes, is_whole in (({**read, ("llm", 1, "last"): (8, 8)}, True), ({}, False)):
        rows = patched(effects, world(probes, {"generate": (7, 8)}))
        rows["mend"] = [{"model_id": "m+mend:llm/lora", "base_model_id": "m", "dataset_id": "d"}]
        found = catalogue(rows).sql("SELECT * FROM best_donor").fetchall()
        assert found == [("m", "d", "h", is_whole)]


@pytest.mark.exact_rows("restoration_effect")
@pytest.mark.parametrize(
    ("connector", "stage", "note"),
    [
        (8, "llm", None),
        (
            20,
            "connector",
            "patching points elsewhere than probes: with the states of h most of what it answers "
            "better comes back at connector (100%), and at llm, which loses most, 0%",
        ),
    ],
)
def test_a_verdict_is_told_where_patching_points_elsewhere(catalogue, connector, stage, note):
    rows = world(
        {("vision", 1, "mean"): (10, 20), ("connector", 0, "mean"): (10, 20)}
        | {("llm", 1, "last"): (8, 8)},
        {"generate": (7, 8)},
    )
    effects = between_models({**ALL, ("connector", "image"): connector})
    con = catalogue(patched(effects, rows))
    there = 1.0 if stage == "llm" else 0.0
    assert con.sql("SELECT * FROM restoration_effect").fetchall() == [
        ("m", "d", "h", stage, 1.0, "llm", there, note is not None, note)
    ]
    ((told,),) = con.sql("SELECT note FROM verdict_obstacle").fetchall()
    assert (note or "patching") not in told if note is None else note in told
