"""Classes written into a model's states: how far answers follow, and whose directions do more than
random ones."""

import math

import numpy as np
import pytest

from tests.sql.worlds import world

CLASSES = [{"dataset_id": "d", "class_index": i, "label": label} for i, label in enumerate("xyz")]
PLACE = {"dataset_id": "d", "module": "llm", "layer": 1, "tokens": "last", "direction": "means"}


def written(class_index, shifts, randoms, sham=0.0, **more):
    """Test samples from the first whose shifts these are; they say the class from the third on."""
    return [
        {**PLACE, "model_id": "m", "sample_id": f"test{i:02d}", "class_index": class_index}
        | {"strength": 1.0, "shift": shift, "sham_shift": sham, "random_shifts": randoms}
        | {"predicted_class_index": class_index if i > 1 else 2, "own_class_index": i % 2}
        | more
        for i, shift in enumerate(shifts)
    ]


@pytest.fixture
def steered(catalogue):
    rows = {**world(), "class": CLASSES}
    rows["steer_effect"] = [
        *written(0, [3, 3, 5, 5], [1, -1, 2, -2], sham=0.5),
        *written(1, [1, 1, 1, 1], [-1, 1, -2, 2]),
        # What is no evidence: a sample that is not scored.
        {**written(1, [9], [9, 9, 9, 9])[0], "sample_id": "val00"},
    ]
    return catalogue(rows)


@pytest.mark.exact_rows("steered_direction")
def test_every_direction_of_a_place_is_put_among_all(steered):
    found = steered.sql(
        "SELECT class_index, number, effect, z, n_random FROM steered_direction ORDER BY ALL"
    ).fetchall()
    zero, one = math.sqrt(4.56), math.sqrt(2.16)  # of 4, 1, -1, 2, -2 about 0.8; 1, -1, 1, -2, 2
    assert found == [
        *((0, n, e, pytest.approx((e - 0.8) / zero), 4) for n, e in enumerate([4, 1, -1, 2, -2])),
        *((1, n, e, pytest.approx((e - 0.2) / one), 4) for n, e in enumerate([1, -1, 1, -2, 2])),
    ]


@pytest.mark.exact_rows("steer_flow")
def test_the_furthest_of_each_draw_is_what_an_effect_must_reach(steered):
    """Of four draws the furthest z are 1.22, -0.82, 0.56 and -1.31: that of class 0, 1.50, is
    reached by none, that of class 1, 0.54, by two.
    """
    found = steered.sql("FROM steer_flow ORDER BY class_index").fetchall()
    place = ("m", "d", "means", "llm", 1, 5, "last", 1.0)
    half = 1.959964 * math.sqrt(4 * 4 / 3) / 4
    spread = pytest.approx(math.sqrt(10 / 3))
    assert found == [
        (
            *(*place, 0, "x", 4, 4, 4, pytest.approx(4 - half), pytest.approx(4 + half)),
            *(0.5, 0.5, 0.5, 4, 0, spread, 2, pytest.approx(3.2 / math.sqrt(4.56)), 0.2, False),
        ),
        (
            *(*place, 1, "y", 4, 4, 1, 1, 1, 0.5, 0.5, 0.0, 4, 0, spread, 2),
            *(pytest.approx(0.8 / math.sqrt(2.16)), 0.6, False),
        ),
    ]


def test_groups_widen_an_interval_and_one_has_none(catalogue):
    rows = {**world(n_groups=2), "class": CLASSES}
    rows["steer_effect"] = written(0, [3, 5, 3, 5], [0, 1])
    half = 1.959964 * math.sqrt((2 * 2**2) * 2) / 4  # two groups, 2 below and 2 above
    found = catalogue(rows).sql("SELECT n_groups, lower, upper FROM steer_flow").fetchall()
    assert found == [(2, pytest.approx(4 - half), pytest.approx(4 + half))]
    rows = {**world(n_groups=1), "class": CLASSES, "steer_effect": rows["steer_effect"]}
    found = catalogue(rows).sql("SELECT n_groups, lower, upper FROM steer_flow").fetchall()
    assert found == [(1, None, None)]


def test_where_nothing_moves_nothing_is_owned(catalogue):
    rows = {**world(), "class": CLASSES}
    rows["steer_effect"] = written(0, [0.0] * 4, [0.0] * 40)
    found = catalogue(rows).sql("SELECT z, p_value, is_owned FROM class_ownership").fetchall()
    assert found == [(0, 1, False)]


PROBES = {
    ("llm", 1, "last"): (9, 18),
    ("llm", 1, "last", 0, "linear", "shuffled_labels"): (5, 10),
    ("llm", 1, "last", 1, "linear", "shuffled_labels"): (5, 12),
    ("llm", 1, "last", 0, "mlp"): (5, 10),
    ("llm", 0, "last"): (5, 10),
}


@pytest.mark.exact_rows("class_informedness")
def test_a_class_is_told_from_all_others(catalogue):
    rows = {**world(PROBES, {"likelihood": (9, 15)}), "class": CLASSES[:2]}
    found = (
        catalogue(rows)
        .sql(
            "SELECT source, layer, readout, control, class_index, n_own, n_other, hit_share, "
            "false_share, informedness, lower, upper FROM class_informedness WHERE layer = 1 AND "
            "kind = 'linear' OR source = 'answer' ORDER BY ALL"
        )
        .fetchall()
    )

    def told(hit, false, class_index, *place):
        def wilson(share):
            z, n = 1.959964, 10
            centre, half = (
                share + z**2 / (2 * n),
                z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)),
            )
            return [min(max((centre + s * half) / (1 + z**2 / n), 0), 1) for s in (-1, 1)]

        (l1, u1), (l2, u2) = wilson(hit), wilson(false)
        lower = hit - false - math.hypot(hit - l1, u2 - false)
        upper = hit - false + math.hypot(u1 - hit, false - l2)
        numbers = (10, 10, hit, false, hit - false, lower, upper)
        return (*place, class_index, *(pytest.approx(number) for number in numbers))

    answer, probe = ("answer", None, None, None), ("probe", 1, "last")
    assert found == [
        told(0.8, 0.3, 0, *answer),  # of 15 right answers the first 8 and the last 7
        told(0.7, 0.2, 1, *answer),
        told(0.9, 0.1, 0, *probe, "none"),
        told(0.9, 0.1, 1, *probe, "none"),
        told(0.55, 0.45, 0, *probe, "shuffled_labels"),  # the mean of two seeds
        told(0.55, 0.45, 1, *probe, "shuffled_labels"),
    ]


@pytest.mark.exact_rows("class_ownership")
def test_read_answered_and_owned_stand_side_by_side(catalogue):
    """Class 0 is moved furthest at block 1, and more than all of 39 random directions; class 1 as
    far as its sham; class 2 no further than they, and no sample shows it."""
    wide = [math.sin(i) for i in range(1, 40)]
    rows = {**world(PROBES, {"likelihood": (9, 19)}), "class": CLASSES}
    rows["steer_effect"] = [
        *written(0, [9.0] * 4, wide),
        *written(0, [2.0] * 4, wide, layer=0),
        *written(1, [9.0] * 4, wide, sham=9.5),
        *written(2, [0.0] * 4, wide),
    ]
    built = catalogue(rows)
    found = built.sql(
        "SELECT label, n_family, layer, readout, is_read, is_answered, is_owned, effect, "
        "round(p_value, 3) FROM class_ownership ORDER BY class_index"
    ).fetchall()
    assert found == [
        ("x", 4, 1, "last", True, True, True, 9, 0.025),
        ("y", 4, 1, "last", True, True, False, 9, 0.025),
        ("z", 4, 1, "last", None, None, False, 0, found[2][-1]),
    ]
    assert found[2][-1] > 0.5
    places = built.sql("SELECT label, layer, is_beyond FROM steer_flow ORDER BY label, layer")
    assert places.fetchall() == [
        *(("x", layer, True) for layer in (0, 1)),
        *((label, 1, False) for label in "yz"),
    ]
    mart = built.sql("SELECT model_name, label, is_owned FROM mart_class_ownership ORDER BY ALL")
    assert mart.fetchall() == [("m", "x", True), ("m", "y", False), ("m", "z", False)]
    few = {**rows, "probe": [row for row in rows["probe"] if row["control"] == "none"]}
    unread = catalogue(few).sql("SELECT is_read FROM class_ownership").fetchall()
    assert unread == [(None,)] * 3  # without a control nobody knows what to be above of


def test_a_probe_no_better_than_chance_reads_no_class(catalogue):
    """Half of the answers are right; on shuffled labels two of twenty, which is below chance."""
    shuffled = ("llm", 1, "last", 0, "linear", "shuffled_labels")
    rows = {**world({("llm", 1, "last"): (5, 10), shuffled: (2, 2)}), "class": CLASSES[:2]}
    rows["steer_effect"] = written(0, [9.0] * 4, [math.sin(i) for i in range(1, 40)])
    query = (
        "SELECT is_read, read_informedness, control_informedness, read_lower FROM class_ownership"
    )
    ((is_read, told, control, lower),) = catalogue(rows).sql(query).fetchall()
    assert (told, control) == (0, pytest.approx(-0.8))
    assert control < lower < 0
    assert is_read is False


def test_labels_shuffled_to_less_than_chance_are_no_lower_bar(catalogue):
    """Nine in ten right: read, since above chance for certain, however low the control is."""
    shuffled = ("llm", 1, "last", 0, "linear", "shuffled_labels")
    rows = {**world({("llm", 1, "last"): (9, 18), shuffled: (2, 2)}), "class": CLASSES[:2]}
    rows["steer_effect"] = written(0, [9.0] * 4, [math.sin(i) for i in range(1, 40)])
    ((is_read, lower),) = (
        catalogue(rows).sql("SELECT is_read, read_lower FROM class_ownership").fetchall()
    )
    assert (is_read, 0 < lower < 1) == (True, True)


def test_directions_without_meaning_are_owned_as_seldom_as_is_said(catalogue):
    """Two hundred models whose classes have random directions too, alike at two strengths: in a
    twentieth of them any class may be owned."""
    rng = np.random.default_rng(0)
    effects = []
    for model in range(200):
        for index in range(3):
            drawn = rng.standard_normal(100)
            for strength in (1.0, 2.0):
                own, *others = strength * drawn + 0.1 * rng.standard_normal(100)
                (row,) = written(index, [own], others, sham=-9.0, model_id=f"m{model}")
                effects.append(row | {"strength": strength})
    rows = {**world(), "class": CLASSES, "steer_effect": effects}
    rows["layer"] = [{**rows["layer"][-1], "model_id": f"m{model}"} for model in range(200)]
    ((n, found),) = (
        catalogue(rows)
        .sql(
            "SELECT count(*), count(*) FILTER (WHERE any_owned) FROM (SELECT model_id, "
            "bool_or(is_owned) AS any_owned FROM class_ownership GROUP BY model_id)"
        )
        .fetchall()
    )
    assert n == 200
    assert 3 <= found <= 18  # 10 expected, three standard errors around
