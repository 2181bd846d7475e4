"""What other views share: the words of the vocabulary, and what models and datasets are called."""

import datetime
import re

import pytest

from tests.sql.worlds import world
from warehouse import vocabulary as words
from warehouse.schema import SQL_ROOT


@pytest.mark.exact_rows("stage")
def test_the_stages_are_those_of_the_vocabulary(catalogue):
    modules = dict(zip(words.MODULES, words.MODULES, strict=True))
    rows = catalogue({}).sql("SELECT * FROM stage ORDER BY stage_order").fetchall()
    assert rows == [
        (stage, order, words.FAILURE_MODES[stage], modules.get(stage))
        for order, stage in enumerate(words.STAGES)
    ]


@pytest.mark.exact_rows("readout")
def test_the_readouts_are_those_of_the_vocabulary(catalogue):
    rows = catalogue({}).sql("SELECT * FROM readout ORDER BY name").fetchall()
    assert rows == sorted(
        (facts.name, facts.reads, facts.slots, facts.everywhere, facts.is_evidence)
        for facts in words.READOUTS.values()
    )


@pytest.mark.exact_rows("probe_kind")
def test_the_probe_kinds_are_those_of_the_vocabulary_in_its_order(catalogue):
    rows = catalogue({}).sql("SELECT * FROM probe_kind ORDER BY preference").fetchall()
    assert rows == [(name, order) for order, name in enumerate(words.PROBE_KINDS)]


@pytest.mark.exact_rows("threshold")
def test_the_thresholds_are_those_of_the_vocabulary(catalogue):
    relation = catalogue({}).sql("SELECT * FROM threshold")
    thresholds = {
        "margin": words.MARGIN,
        "healthy_upper": words.HEALTHY_UPPER,
        "min_groups": words.MIN_GROUPS,
        "most_truncated": words.MOST_TRUNCATED,
        "longer_budget": words.LONGER_BUDGET,
        "costly": words.COSTLY,
        "cheap": words.CHEAP,
        "shortcut": words.SHORTCUT,
        "ranking_gain": words.RANKING_GAIN,
        "undone": words.UNDONE,
    }
    assert relation.columns == list(thresholds)
    assert relation.fetchall() == [tuple(thresholds.values())]


@pytest.mark.parametrize(
    ("of_d", "seen"),
    [
        ("accuracy", [("mine", "accuracy"), ("plain", "accuracy")]),
        # Of m's mlp probes none was fitted for the score, so those for another stand in.
        ("balanced_accuracy", [("even", "balanced_accuracy"), ("mine", "accuracy")]),
    ],
)
@pytest.mark.exact_rows("scored_probe", "probe_fit")
def test_probes_for_the_datasets_score_are_evidence_else_those_for_another(catalogue, of_d, seen):
    names = {"model_id": "m", "dataset_id": "d"}
    found = [("plain", "linear", "accuracy"), ("even", "linear", "balanced_accuracy")]
    rows = [
        {**names, "probe_id": name, "kind": kind, "score": score}
        for name, kind, score in [*found, ("mine", "mlp", "accuracy")]
    ]
    lake = {"probe": rows, "dataset": [{"dataset_id": "d", "score": of_d}]}
    query = "SELECT probe_id, score FROM scored_probe ORDER BY probe_id"
    con = catalogue(lake)
    assert con.sql(query).fetchall() == seen
    assert con.sql("FROM probe_fit").fetchall() == [("m", "d", "accuracy")]


@pytest.mark.parametrize(
    ("refitted", "seen"),
    [
        ([], {"accuracy": 4}),
        ([("vision", "none")], {"accuracy": 4}),
        ([("vision", "none"), ("llm", "shuffled_labels")], {"accuracy": 4}),
        ([("vision", "none"), ("llm", "none")], {"balanced_accuracy": 2}),
        # A cell more, which nobody has probed for the other score, takes nothing away.
        ([("vision", "none"), ("connector", "none"), ("llm", "none")], {"balanced_accuracy": 3}),
    ],
)
def test_probes_for_another_score_are_evidence_until_every_cell_has_its_own(
    catalogue, refitted, seen
):
    fitted = [(module, control) for module in ("vision", "llm") for control in words.PROBE_CONTROLS]
    rows = [
        {"probe_id": f"{score} {module} {control}", "model_id": "m", "dataset_id": "d"}
        | {"module": module, "layer": 0, "readout": "mean", "kind": "linear"}
        | {"control": control, "score": score}
        for score, made in [("accuracy", fitted), ("balanced_accuracy", refitted)]
        for module, control in made
    ]
    lake = {"probe": rows, "dataset": [{"dataset_id": "d", "score": "balanced_accuracy"}]}
    query = "SELECT score, count(*) FROM scored_probe GROUP BY score"
    assert dict(catalogue(lake).sql(query).fetchall()) == seen


@pytest.mark.exact_rows("scored_baseline")
def test_baselines_for_the_datasets_score_are_evidence_else_those_for_another(catalogue):
    rows = [
        {"baseline_id": f"{of} {architecture} {score}", "dataset_id": of, **made}
        for of, architecture, score in [
            ("d", "pixels", "accuracy"),
            ("d", "pixels", "balanced_accuracy"),
            ("d", "texture", "accuracy"),
            ("unknown", "pixels", "accuracy"),
            ("unknown", "pixels", "balanced_accuracy"),
        ]
        for made in [{"architecture": architecture, "score": score}]
    ]
    lake = {"baseline": rows, "dataset": [{"dataset_id": "d", "score": "balanced_accuracy"}]}
    query = "SELECT baseline_id FROM scored_baseline ORDER BY baseline_id"
    assert catalogue(lake).sql(query).fetchall() == [
        ("d pixels balanced_accuracy",),
        ("d texture accuracy",),
        ("unknown pixels accuracy",),
    ]


@pytest.mark.exact_rows("examination")
def test_an_examination_names_the_model_and_the_dataset_where_they_are_known(catalogue):
    rows = world({("vision", 0, "mean"): (5, 10)}, {"generate": (5, 10)})
    rows["model"] = [{"model_id": "m", "name": "plain", "variant": "base", "n_parameters": 7}]
    rows["answer"].append({**rows["answer"][0], "model_id": "stranger"})
    con = catalogue(rows)
    con.execute(
        "INSERT INTO commit_record "
        "VALUES ('c', 'r', 0, 'x', NULL, NULL, '2026-01-02 03:04', 'h', NULL)"
    )
    con.execute(
        "INSERT INTO dataset (dataset_id, title, n_samples, n_classes, run_id) "
        "VALUES ('d', 'Shapes', 30, 2, 'r')"
    )
    day = datetime.date(2026, 1, 2)
    assert con.sql("SELECT * FROM examination ORDER BY model_id").fetchall() == [
        ("m", "plain", "base", "d", "Shapes", 7, day),
        ("stranger", None, None, "d", "Shapes", None, day),
    ]


@pytest.mark.parametrize(
    ("check", "known"),
    [
        ("answer/asked_as_known", (words.DEFAULT_PROMPT, words.OWN_IMAGE, *words.IMAGE_CONTROLS)),
        ("answer/finish_known", (*words.FINISHES, words.LIKELIHOOD)),
        ("answer/method_known", words.METHODS),
        ("fault_trial/stage_known", (words.HEALTHY, words.UNDETERMINED)),
        ("probe/control_known", words.PROBE_CONTROLS),
        (
            "prompt/option_style_known",
            (*words.OPTION_STYLES, *words.OPTION_ORDERS, words.NO_OPTIONS),
        ),
        ("sample/split_known", words.SPLITS),
    ],
)
def test_checks_that_list_words_list_those_of_the_vocabulary(check, known):
    text = (SQL_ROOT / "checks" / f"{check}.sql").read_text(encoding="utf-8")
    assert re.findall(r"'(\w+)'", text) == list(known)
