"""Losses add up to reference - answer, and are split as the design says."""

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.sql.worlds import N_TEST, N_VAL, ended, world

CHAIN = {
    ("vision", 1, "grid"): (9, 18),
    ("connector", 0, "grid"): (8, 16),
    ("llm", 1, "mean"): (7, 13),
    ("llm", 1, "last"): (6, 11),
}
ANSWER = {"likelihood": (4, 8)}


def losses(con, columns="failure_mode, before, after, loss"):
    return con.sql(f"SELECT {columns} FROM stage_loss ORDER BY stage_order").fetchall()


@pytest.mark.exact_rows("stage_loss")
def test_every_stage_is_charged_with_what_it_loses(catalogue):
    con = catalogue(world(CHAIN, ANSWER))
    assert losses(con) == [
        ("vision_quality", 0.9, 0.9, 0.0),
        ("connector_fidelity", 0.9, 0.8, pytest.approx(0.1)),
        ("llm_comprehension", 0.8, 0.55, pytest.approx(0.25)),
        ("semantic_mapping", 0.55, 0.4, pytest.approx(0.15)),
    ]


@pytest.mark.parametrize(
    ("baselines", "reference", "source"),
    [
        ({("svm", 0): (9, 19)}, 0.95, "baseline"),
        ({("svm", 0): (9, 10)}, 0.9, "vision"),
        ({("svm", 0): (9, 18)}, 0.9, "vision"),
        ({}, 0.9, "vision"),
    ],
)
def test_reference_is_the_better_of_baseline_and_vision(catalogue, baselines, reference, source):
    con = catalogue(world(CHAIN, ANSWER, baselines))
    assert losses(con, "before, reference_source")[0] == (reference, source)
    assert losses(con)[0][-1] == pytest.approx(reference - 0.9)


SCORE = st.tuples(st.integers(0, N_VAL), st.integers(0, N_TEST))
PLACES = (
    ("vision", 0, "mean"),
    ("vision", 1, "mean"),
    ("vision", 1, "grid"),
    ("connector", 0, "grid"),
    ("llm", 0, "last"),
    ("llm", 1, "grid"),
    ("llm", 1, "last"),
)


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(probes=st.fixed_dictionaries(dict.fromkeys(PLACES, SCORE)), answer=SCORE, baseline=SCORE)
def test_losses_add_up_and_none_is_negative_whatever_the_accuracies(
    catalogue, probes, answer, baseline
):
    con = catalogue(world(probes, {"likelihood": answer}, {("svm", 0): baseline}))
    rows = losses(con, "loss, before, after, comprehension_loss, utilisation_loss")
    assert sum(row[0] for row in rows) == pytest.approx(rows[0][1] - answer[1] / N_TEST, abs=1e-9)
    assert min(row[0] for row in rows) >= 0
    loss, _, _, comprehension, utilisation = rows[2]
    assert comprehension + utilisation == pytest.approx(loss, abs=1e-9)
    assert min(comprehension, utilisation) >= 0


@pytest.mark.parametrize(
    ("image_tokens", "comprehension", "utilisation"),
    [
        pytest.param(13, 0.15, 0.10, id="the image tokens lose part of it"),
        pytest.param(19, 0.00, 0.25, id="they read better than the connector"),
        pytest.param(5, 0.25, 0.00, id="they read worse than the last token"),
    ],
)
def test_llm_loss_is_split_at_the_image_tokens(catalogue, image_tokens, comprehension, utilisation):
    con = catalogue(world(CHAIN | {("llm", 1, "mean"): (7, image_tokens)}, ANSWER))
    assert losses(con, "comprehension_loss, utilisation_loss") == [
        (None, None),
        (None, None),
        (pytest.approx(comprehension), pytest.approx(utilisation)),
        (None, None),
    ]


def test_image_token_readout_of_the_split_is_chosen_on_val(catalogue):
    con = catalogue(world(CHAIN | {("llm", 1, "grid"): (6, 16)}, ANSWER))
    assert losses(con, "comprehension_loss")[2] == (pytest.approx(0.15),)


def test_llm_loss_is_not_split_without_a_probe_on_image_tokens(catalogue):
    probes = {place: score for place, score in CHAIN.items() if place[2] != "mean"}
    con = catalogue(world(probes, ANSWER))
    assert losses(con, "comprehension_loss, utilisation_loss")[2] == (None, None)


def test_semantic_loss_is_split_into_unparsed_and_wrong_replies(catalogue):
    # The last token knows samples 0-14, two seeds agree; 0-7 are answered right and 8-10 and 17
    # get no parsable reply: three of the seven lost ones.
    probes = CHAIN | {("llm", 1, "last", seed): (6, 15) for seed in (0, 1)}
    del probes["llm", 1, "last"]
    con = catalogue(world(probes, {"generate": (4, 8)}, unparsed=(8, 9, 10, 17)))
    assert losses(con, "loss, unparsed_loss, wrong_loss")[3] == (
        pytest.approx(0.35),
        pytest.approx(0.15),
        pytest.approx(0.20),
    )


def test_cut_replies_are_told_apart_from_unparsed_ones(catalogue):
    probes = CHAIN | {("llm", 1, "last"): (6, 15)}
    rows = world(probes, {"generate": (4, 8)}, unparsed=(8, 9, 10, 17))
    con = catalogue(ended(rows, cut=(0, 9, 10, 17)))
    assert losses(con, "loss, unparsed_loss, truncated_loss, wrong_loss")[3] == (
        pytest.approx(0.35),
        pytest.approx(0.05),
        pytest.approx(0.10),
        pytest.approx(0.20),
    )


def test_unparsed_loss_never_exceeds_the_loss(catalogue):
    # The answer is right on 0-11 (0.6), but 0-5 are unparsed, so it scores 0.3; the last token
    # knows 0-7 (0.4) and would be charged 0.3 for a loss of 0.1.
    probes = CHAIN | {("llm", 1, "last"): (6, 8)}
    con = catalogue(world(probes, {"generate": (4, 12)}, unparsed=range(6)))
    assert losses(con, "loss, unparsed_loss, wrong_loss")[3] == (
        pytest.approx(0.1),
        pytest.approx(0.1),
        pytest.approx(0.0),
    )


def test_an_answer_that_stands_for_the_llm_knows_nothing_it_did_not_say(catalogue):
    con = catalogue(world(CHAIN, {"generate": (9, 16)}, unparsed=(0, 1)))
    assert losses(con, "loss, unparsed_loss, wrong_loss")[3] == (0.0, 0.0, 0.0)


def test_without_answers_only_the_semantic_loss_is_unknown(catalogue):
    con = catalogue(world(CHAIN))
    known = [loss is not None for (loss,) in losses(con, "loss")]
    assert known == [True, True, True, False]
    assert losses(con, "unparsed_loss, wrong_loss")[3] == (None, None)


def test_with_vision_alone_nothing_later_is_known(catalogue):
    con = catalogue(world({("vision", 1, "mean"): (5, 10)}, baselines={("svm", 0): (8, 16)}))
    assert losses(con) == [
        ("vision_quality", 0.8, 0.5, pytest.approx(0.3)),
        ("connector_fidelity", 0.5, None, None),
        ("llm_comprehension", None, None, None),
        ("semantic_mapping", None, None, None),
    ]
