"""Who may stand for a stage, how it is chosen on val, and the running maximum over stages."""

import pytest

from tests.sql.worlds import world
from warehouse.vocabulary import SEEN_IN_TRAINING

FULL = {
    ("vision", 0, "grid"): (9, 19),
    ("vision", 1, "mean"): (6, 12),
    ("vision", 1, "grid"): (8, 16),
    ("connector", 0, "grid"): (7, 14),
    ("llm", 0, "last"): (5, 11),
    ("llm", 1, "mean"): (6, 13),
    ("llm", 1, "last"): (6, 12),
}


def candidates(con, stage):
    return con.sql(
        f"SELECT module, layer, readout FROM stage_candidate WHERE stage = '{stage}' ORDER BY rank"
    ).fetchall()


def signals(con, columns="stage, test_accuracy, available_accuracy"):
    return con.sql(f"SELECT {columns} FROM stage_signal ORDER BY stage_order").fetchall()


@pytest.mark.exact_rows("stage_candidate")
def test_candidates_lie_at_or_after_the_stages_end(catalogue):
    con = catalogue(world(FULL, {"likelihood": (4, 8)}))
    after_connector = [
        ("connector", 0, "grid"),
        ("llm", 1, "last"),
        ("llm", 1, "mean"),
        ("llm", 0, "last"),
        ("answer", None, "likelihood"),
    ]
    assert candidates(con, "connector") == after_connector
    assert candidates(con, "vision") == [
        ("vision", 1, "grid"),
        ("connector", 0, "grid"),
        ("llm", 1, "last"),
        ("llm", 1, "mean"),
        ("vision", 1, "mean"),
        ("llm", 0, "last"),
        ("answer", None, "likelihood"),
    ]
    assert candidates(con, "llm") == [("llm", 1, "last"), ("answer", None, "likelihood")]
    assert candidates(con, "answer") == [("answer", None, "likelihood")]


def test_class_tokens_controls_and_loci_off_the_path_are_no_candidates(catalogue):
    probes = {
        ("vision", 1, "mean"): (5, 10),
        ("vision", 1, "cls"): (10, 20),
        ("vision", 2, "mean"): (10, 20),
        ("vision", 1, "grid", 0, "linear", "shuffled_labels"): (10, 20),
    }
    con = catalogue(world(probes))
    assert candidates(con, "vision") == [("vision", 1, "mean")]


@pytest.mark.exact_rows("stage_signal")
def test_signal_never_rises_from_one_stage_to_the_next(catalogue):
    probes = FULL | {("llm", 1, "last"): (6, 17), ("connector", 0, "grid"): (7, 10)}
    con = catalogue(world(probes, {"likelihood": (4, 8)}))
    assert signals(con) == [
        ("vision", 0.8, 0.85),
        ("connector", 0.5, 0.85),
        ("llm", 0.85, 0.85),
        ("answer", 0.4, 0.4),
    ]


def test_signal_is_corrected_for_chance(catalogue):
    con = catalogue(world(FULL, {"likelihood": (4, 8)}))
    got = signals(con, "chance, signal, n_test")
    assert got == [
        (0.5, pytest.approx(0.6), 20),
        (0.5, pytest.approx(0.4), 20),
        (0.5, pytest.approx(0.2), 20),
        (0.5, pytest.approx(-0.2), 20),
    ]


def test_ties_on_val_go_to_the_later_locus_then_the_readout_then_the_kind(catalogue):
    """Kinds of ours in their order of preference, then those of packages by name."""
    probes = {
        ("connector", 0, "grid"): (7, 20),
        ("llm", 0, "mean", 0, "nearest"): (7, 15),
        ("llm", 0, "mean", 0, "centroid"): (7, 14),
        ("llm", 0, "mean", 0, "mlp"): (7, 18),
        ("llm", 0, "mean", 0, "linear"): (7, 17),
        ("llm", 0, "grid"): (7, 16),
    }
    con = catalogue(world(probes))
    ranked = con.sql(
        "SELECT module, readout, kind FROM stage_candidate WHERE stage = 'connector' ORDER BY rank"
    ).fetchall()
    assert ranked == [
        ("llm", "grid", "linear"),
        ("llm", "mean", "linear"),
        ("llm", "mean", "mlp"),
        ("llm", "mean", "centroid"),
        ("llm", "mean", "nearest"),
        ("connector", "grid", "linear"),
    ]


def test_seeds_are_averaged_before_the_choice(catalogue):
    probes = {
        ("vision", 1, "mean", 0): (10, 20),
        ("vision", 1, "mean", 1): (4, 10),
        ("vision", 1, "grid"): (8, 12),
    }
    con = catalogue(world(probes))
    assert con.sql(
        "SELECT readout, val_accuracy, test_accuracy, rank FROM stage_candidate "
        "WHERE stage = 'vision' ORDER BY rank"
    ).fetchall() == [("grid", 0.8, 0.6, 1), ("mean", 0.7, 0.75, 2)]


@pytest.mark.parametrize(
    ("methods", "answered", "spoken"),
    [
        pytest.param(("generate", "likelihood"), 20, "generate", id="complete"),
        pytest.param(("generate", "likelihood"), 19, "likelihood", id="one reply missing"),
        pytest.param(("likelihood",), 20, "likelihood", id="never generated"),
        pytest.param(("generate",), 19, "generate", id="nothing else"),
    ],
)
def test_generated_text_is_the_answer_if_it_covers_the_test_split(
    catalogue, methods, answered, spoken
):
    rows = world(answers=dict.fromkeys(methods, (5, 10)))
    rows["answer"] = [
        row
        for row in rows["answer"]
        if row["method"] == "likelihood" or row["sample_id"] < f"test{answered:02d}"
    ]
    con = catalogue(rows)
    assert signals(con, "stage, readout") == [("answer", spoken)]


@pytest.mark.parametrize(
    ("reason", "spoken"), [(SEEN_IN_TRAINING, "generate"), ("cannot be decoded", "likelihood")]
)
def test_what_a_model_learned_need_not_be_generated(catalogue, reason, spoken):
    """One rejected twice, by a run that was given again, is one sample."""
    rows = world(answers={"generate": (5, 10), "likelihood": (5, 10)})
    rows["answer"] = [
        row
        for row in rows["answer"]
        if row["method"] == "likelihood" or row["sample_id"] < "test19"
    ]
    runs = ("r1", "r2")
    rows["run"] = [
        {"run_id": run, "command": "extract", "model_id": "m", "dataset_id": "d"} for run in runs
    ]
    rows["rejected_sample"] = [
        {"run_id": run, "dataset_id": "d", "sample_id": "test19", "reason": reason} for run in runs
    ]
    assert signals(catalogue(rows), "stage, readout") == [("answer", spoken)]


def test_without_answers_the_answer_stage_has_no_signal(catalogue):
    con = catalogue(world(FULL))
    assert [stage for stage, *_ in signals(con)] == ["vision", "connector", "llm"]


@pytest.mark.exact_rows("baseline_candidate")
def test_baselines_are_averaged_over_seeds_and_chosen_on_val(catalogue):
    baselines = {
        ("texture-svm", 0): (8, 12),
        ("texture-svm", 1): (6, 14),
        ("pixels-logistic", 0): (6, 18),
    }
    con = catalogue(world(baselines=baselines))
    got = con.sql(
        "SELECT architecture, n_seeds, n_test, val_accuracy, test_accuracy, rank "
        "FROM baseline_candidate ORDER BY rank"
    ).fetchall()
    assert got == [
        ("texture-svm", 2, 20, pytest.approx(0.7), pytest.approx(0.65), 1),
        ("pixels-logistic", 1, 20, 0.6, 0.9, 2),
    ]


@pytest.mark.exact_rows("stage_probe")
def test_the_probes_of_a_candidate_are_ordered_by_their_seeds(catalogue):
    probes = {
        ("llm", 1, "last", 4): (6, 12),
        ("llm", 1, "last", 2): (6, 12),
        ("llm", 1, "last", 2, "linear", "shuffled_labels"): (5, 10),
    }
    con = catalogue(world(probes, {"likelihood": (7, 14)}))
    rows = con.sql(
        "SELECT p.rank, q.seed, p.n_seeds, p.seed_rank FROM stage_probe AS p "
        "JOIN probe AS q USING (probe_id) WHERE p.stage = 'llm' ORDER BY p.seed_rank"
    ).fetchall()
    # The answer has rank 1, and no probe.
    assert rows == [(2, 2, 2, 1), (2, 4, 2, 2)]
