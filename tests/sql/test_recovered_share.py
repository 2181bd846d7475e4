"""What repairs bring back, and how likelihoods rank samples."""

import math

import pytest

from extract.faults import WeightFault
from extract.faults.kinds import OWN_KINDS
from layerhouse.cli.prescription import found_in, show
from layerhouse.self_test import Prescribed
from tests.sql.worlds import NAMES, world
from warehouse.schema import SQL_ROOT

REPAIRS = {  # right on test with the repair; its stage, parameters, right of 10 on val, control
    "m+mend:answer/label-rows": (12, "answer", "label-rows", 6, 7, "none"),
    "m+mend:connector/finetune": (18, "connector", "finetune", 80, 10, "none"),
    "m+mend:llm/lora": (17, "llm", "lora", 300, 9, "none"),
    "m+mend:vision/lora/shuffled_labels": (10, "vision", "lora", 40, 10, "shuffled_labels"),
}


@pytest.fixture
def con(catalogue):
    """A model that answers 9 of 20, and of which probes read 18 up to the last token."""
    places = (("vision", 1, "mean"), ("connector", 0, "mean"), ("llm", 1, "last"))
    rows = world(dict.fromkeys(places, (9, 18)), {"likelihood": (5, 9)})
    rows["model"] = [
        {"model_id": "m", "name": "m", "variant": "base"},
        *({"model_id": name, "name": "m", "variant": name[2:]} for name in REPAIRS),
    ]
    rows["mend"] = []
    for name, (right, stage, repair, n_parameters, val, control) in REPAIRS.items():
        answers = world({}, {"likelihood": (val, right)})["answer"]
        rows["answer"] += [row | {"model_id": name} for row in answers]
        rows["mend"].append(
            {"model_id": name, "base_model_id": "m", "dataset_id": "d", "stage": stage}
            | {"repair": repair, "control": control, "n_parameters": n_parameters}
            | {"val_score_before": 0.5, "val_score": val / 10, "score": "accuracy"}
        )
    rows["pair_interval"] = [
        {"model_id": "m+mend:connector/finetune", "base_model_id": "m", "dataset_id": "d"}
        | {"stage": stage, "quantity": quantity, "point": point, "lower": lower, "upper": upper}
        for stage, quantity, point, lower, upper in (
            ("answer", "accuracy", 0.45, 0.2, 0.7),
            ("total", "recovered_share", 1.0, 0.8, 1.25),
            ("connector", "recovered_share", 9.0, 5.0, 12.0),  # of a loss that it no longer has
        )
    ]
    # Compared, and too many resamples lack a loss that shares could be of.
    rows["pair_interval"].append(
        {"model_id": "m+mend:answer/label-rows", "base_model_id": "m", "dataset_id": "d"}
        | {"stage": "answer", "quantity": "accuracy", "point": 0.15, "lower": -0.1, "upper": 0.4}
    )
    return catalogue(rows)


@pytest.mark.exact_rows("recovered_share")
def test_the_advised_repair_is_the_smallest_that_is_as_good_as_the_best_on_val(con):
    query = (
        "SELECT model_id, answered_before, answered_after, round(gain, 9), gain_lower, gain_upper, "
        "round(stage_loss, 9), round(total_loss, 9), round(stage_share, 9), round(total_share, 9), "
        "total_share_lower, total_share_upper, round(val_gain, 9), is_sufficient, is_advised "
        "FROM recovered_share ORDER BY model_id"
    )
    no = (None, None)
    rows, connector, llm, shuffled = REPAIRS
    assert con.sql(query).fetchall() == [
        (rows, 0.45, 0.6, 0.15, -0.1, 0.4, 0.45, 0.45, *no, *no, 0.2, False, False),
        (
            *(connector, 0.45, 0.9, 0.45, 0.2, 0.7, 0.0, 0.45, None, 1.0, 0.8, 1.25),
            *(0.5, True, True),
        ),
        # 0.4 is less than 0.9 of 0.5.
        (llm, 0.45, 0.85, 0.4, *no, 0.0, 0.45, None, 0.888888889, *no, 0.4, False, False),
        # A control is never sufficient, whatever it does on val.
        (shuffled, 0.45, 0.5, 0.05, *no, 0.0, 0.45, None, 0.111111111, *no, 0.5, False, False),
    ]


@pytest.mark.exact_rows("repair_choice")
def test_repairs_are_chosen_on_val_of_those_without_a_control(con):
    query = (
        "SELECT stage, repair, control, n_parameters, round(val_gain, 9), is_sufficient, "
        "is_advised, is_best_of_stage FROM repair_choice ORDER BY model_id"
    )
    assert con.sql(query).fetchall() == [
        ("answer", "label-rows", "none", 6, 0.2, False, False, True),
        ("connector", "finetune", "none", 80, 0.5, True, True, True),
        ("llm", "lora", "none", 300, 0.4, False, False, True),
        ("vision", "lora", "shuffled_labels", 40, 0.5, False, False, False),
    ]


def test_nine_tenths_of_the_best_gain_suffice_whatever_binary_makes_of_them(catalogue):
    """0.59 - 0.5 is a little less than nine tenths of 0.6 - 0.5."""
    val = {"m+mend:answer/label-rows": (6, 0.59), "m+mend:llm/lora": (300, 0.6)}
    rows = world({}, {"likelihood": (5, 5)})
    rows["answer"] += [row | {"model_id": name} for row in rows["answer"] for name in val]
    # Val was not asked, so what the training saw counts.
    test = {row["sample_id"] for row in rows["sample"] if row["split"] == "test"}
    rows["answer"] = [row for row in rows["answer"] if row["sample_id"] in test]
    rows["mend"] = [
        {"model_id": name, "base_model_id": "m", "dataset_id": "d", "stage": name[7:].split("/")[0]}
        | {"repair": name.split("/")[1], "control": "none", "n_parameters": n_parameters}
        | {"val_score_before": 0.5, "val_score": val_score, "score": "accuracy"}
        for name, (n_parameters, val_score) in val.items()
    ]
    found = catalogue(rows).sql("SELECT repair FROM repair_choice WHERE is_advised").fetchall()
    assert found == [("label-rows",)]


def test_the_gain_on_val_is_by_the_method_that_is_judged(catalogue):
    """Likelihoods show both repairs mended; of the rows', no reply on val is right."""
    names = {"m": 0, "m+mend:answer/label-rows": 0, "m+mend:llm/lora": 9}
    rows = world({}, {"generate": (0, 0), "likelihood": (2, 2)})
    answers = {name: world({}, {"generate": (right, right)}) for name, right in names.items()}
    rows["model"] = [{"model_id": name, "name": "m", "variant": name[2:]} for name in names]
    rows["answer"] = [
        row | {"model_id": name} for name, world_ in answers.items() for row in world_["answer"]
    ]
    rows["mend"] = [
        {"model_id": f"m+mend:{stage}/{repair}", "base_model_id": "m", "dataset_id": "d"}
        | {"stage": stage, "repair": repair, "control": "none", "n_parameters": n_parameters}
        | {"val_score_before": 0.2, "val_score": 0.95, "score": "accuracy"}
        for stage, repair, n_parameters in (("answer", "label-rows", 6), ("llm", "lora", 300))
    ]
    query = "SELECT repair, round(val_gain, 9), is_advised FROM repair_choice ORDER BY ALL"
    assert catalogue(rows).sql(query).fetchall() == [
        ("label-rows", 0.0, False),
        ("lora", 0.9, True),
    ]


def test_a_repaired_model_is_paired_with_what_was_repaired(con):
    query = "SELECT model_id, base_model_id, pair_kind FROM model_pair ORDER BY ALL"
    assert con.sql(query).fetchall() == [(name, "m", "mend") for name in sorted(REPAIRS)]


def test_a_repair_of_a_damaged_model_is_paired_with_the_damage(catalogue):
    variants = ("base", "fault:damage@llm:1", "mend:llm/lora+fault:damage@llm:1", "mend:llm/lora")
    models = [{"model_id": v, "name": "m", "variant": v} for v in variants]
    query = "SELECT model_id, base_model_id, pair_kind FROM model_pair ORDER BY ALL"
    assert catalogue({"model": models}).sql(query).fetchall() == [
        ("fault:damage@llm:1", "base", "fault"),
        ("mend:llm/lora", "base", "mend"),
        ("mend:llm/lora+fault:damage@llm:1", "fault:damage@llm:1", "mend"),
    ]


def likely(number, share):
    return {**NAMES, "sample_id": f"test{number:02d}", "method": "likelihood"} | {
        "label_logprobs": [math.log(1 - share), math.log(share)]
    }


def ranked(catalogue, shares):
    """AUROC where test00, test02, … are of class 0 and the others of class 1."""
    rows = world()
    rows["answer"] = [likely(number, share) for number, share in enumerate(shares)]
    return catalogue(rows).sql("SELECT split, round(auroc, 9) FROM answer_auroc").fetchall()


@pytest.mark.exact_rows("answer_auroc")
def test_likelihoods_rank_samples_whatever_class_they_favour(catalogue):
    assert ranked(catalogue, (0.1, 0.9, 0.2, 0.8)) == [("test", 1.0)]
    # All named class 1, and ranked as well.
    assert ranked(catalogue, (0.91, 0.99, 0.92, 0.98)) == [("test", 1.0)]
    # Of four pairs one is turned and one is tied: (1 + 1 + 0.5 + 0) / 4.
    assert ranked(catalogue, (0.3, 0.5, 0.5, 0.4)) == [("test", 0.625)]
    # Single precision would call both sure of class 0 alike.
    assert ranked(catalogue, (1e-9, 2e-9)) == [("test", 1.0)]
    assert ranked(catalogue, (0.3,)) == []


@pytest.mark.parametrize(
    ("mended", "compared", "is_calibration"),
    [
        ((0.1, 0.9, 0.2, 0.8), [("accuracy", 0.5, 0.1)], True),
        ((0.1, 0.9, 0.2, 0.8), [("accuracy", 0.5, 0.0)], False),  # nor is any gained for certain
        ((0.1, 0.9, 0.2, 0.8), [("accuracy", 0.5, 0.1), ("auroc", 0.0, 0.001)], False),
        ((0.1, 0.9, 0.2, 0.8), [("accuracy", 0.5, 0.1), ("auroc", 0.3, 0.001)], True),  # outdated
    ],
)
def test_accuracy_that_is_gained_without_rank_is_calibration(
    catalogue, mended, compared, is_calibration
):
    rows = world({("llm", 1, "last"): (9, 18)}, {})
    for name, shares in (("m", (0.91, 0.99, 0.92, 0.98)), ("n", mended)):
        for number, share in enumerate(shares):
            told = {"model_id": name, "predicted_class_index": int(share > 0.5), "parsed": True}
            rows["answer"].append(likely(number, share) | told)
    rows["model"].append({"model_id": "n", "name": "n", "variant": "base"})
    rows["mend"] = [
        {"model_id": "n", "base_model_id": "m", "dataset_id": "d", "stage": "answer"}
        | {"repair": "label-rows", "control": "none", "n_parameters": 6, "score": "accuracy"}
        | {"val_score_before": 0.5, "val_score": 1.0}
    ]
    rows["pair_interval"] = [
        {"model_id": "n", "base_model_id": "m", "dataset_id": "d", "stage": "answer"}
        | {"quantity": quantity, "point": point, "lower": lower, "upper": 0.9}
        for quantity, point, lower in compared
    ]
    query = (
        "SELECT method_before, method_after, gain, auroc_before, auroc_after, auroc_gain, "
        "is_calibration FROM recovered_share"
    )
    asked = ("likelihood", "likelihood")
    assert catalogue(rows).sql(query).fetchall() == [(*asked, 0.5, 1.0, 1.0, 0.0, is_calibration)]


@pytest.mark.parametrize(
    ("with_it", "asked", "expected"),
    [
        # It has no replies: likelihoods without it answer 11 of 20, where replies answer 9.
        ({"likelihood": 15}, ("likelihood", "likelihood"), (0.55, 0.75, 0.2, 0.1, 0.5)),
        (
            {"likelihood": 15, "generate": 13},
            ("generate", "generate"),
            (0.45, 0.65, 0.2, 0.05, 0.5),
        ),
        ({"imported:x": 13}, ("generate", "imported:x"), (0.45, 0.65, 0.2, 0.05, 0.5)),
    ],
)
def test_what_answers_by_one_method_is_held_against_answers_by_the_same(
    catalogue, with_it, asked, expected
):
    """The model loses 8 of 20 by its replies, which stay what the shares are of."""
    rows = world({("llm", 1, "last"): (9, 17)}, {"generate": (5, 9), "likelihood": (6, 11)})
    rows["model"].append({"model_id": "n", "name": "n", "variant": "base"})
    for method, right in with_it.items():
        answers = world({}, {method: (8, right)})["answer"]
        rows["answer"] += [row | {"model_id": "n"} for row in answers]
    rows["mend"] = [
        {"model_id": "n", "base_model_id": "m", "dataset_id": "d", "stage": "answer"}
        | {"repair": "prior", "control": "none", "n_parameters": 2, "score": "accuracy"}
        | {"val_score_before": 0.5, "val_score": 0.7}
    ]
    rows["pair_interval"] = [
        {"model_id": "n", "base_model_id": "m", "dataset_id": "d", "stage": "answer"}
        | {"quantity": quantity, "point": point, "lower": lower, "upper": 0.8}
        for quantity, point, lower in (
            *(("gain", 0.2, 0.1), ("accuracy", 0.2, 0.05)),
            ("recovered_share", 0.5, 0.1),
        )
    ]
    query = (
        "SELECT method_before, method_after, answered_before, answered_after, round(gain, 9), "
        "gain_lower, round(stage_share, 9) FROM recovered_share"
    )
    assert catalogue(rows).sql(query).fetchall() == [(*asked, *expected)]


@pytest.mark.exact_rows("prescription")
def test_a_damage_is_named_where_the_advised_repair_is_of_its_stage(catalogue, capsys):
    """Two damages of a model that answers 18 of 20: one at the llm, one at the connector."""
    rows = world({("llm", 1, "last"): (9, 18)}, {"likelihood": (9, 18)})
    rows["mend"] = []
    answered = {
        "damage@llm:1": (8, *("llm", 300, 16, 8, "answer", 6, 14, 7, "llm", 9, 9, 6)),
        "damage@connector:2": (17, "connector", 80, 18, 9, "answer", 6, 18, 9),
    }
    for damage, (struck, *repairs) in answered.items():
        base = f"m+fault:{damage}"
        models = {base: (5, struck)}
        for number, (stage, size, right, val) in enumerate(zip(*[iter(repairs)] * 4, strict=True)):
            name = f"m+mend:{stage}/x{number}+fault:{damage}"
            models[name] = (val, right)
            rows["mend"].append(
                {"model_id": name, "base_model_id": base, "dataset_id": "d", "stage": stage}
                | {"repair": f"x{number}", "control": "none", "n_parameters": size}
                | {"score": "accuracy", "val_score_before": 0.5, "val_score": val / 10}
            )
        for name, score in models.items():
            rows["model"].append({"model_id": name, "name": "m", "variant": name[2:]})
            answers = world({}, {"likelihood": score})["answer"]
            rows["answer"] += [row | {"model_id": name} for row in answers]
    query = (
        "SELECT damage, stage, round(cost, 9), is_costly, round(injected_share, 9), advised_stage, "
        "is_named, round(advice_share, 9) FROM prescription ORDER BY damage"
    )
    con = catalogue(rows)
    assert con.sql(query).fetchall() == [
        # Both are sufficient, and the answer's is the smaller; it costs less than ten points.
        ("damage@connector:2", "connector", 0.05, False, 1.0, "answer", False, 1.0),
        # 0.2 is less than 0.9 of 0.3 on val: the llm is advised. 8 of 10 points come back.
        ("damage@llm:1", "llm", 0.5, True, 0.8, "llm", True, 1.0),
    ]
    show(Prescribed("m", "d", 2, ()), found_in(con, ["m", "d"]))
    matrix = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["llm", "–", "–", "80%", "60%"] in matrix  # of the llm's two repairs the better one


@pytest.mark.parametrize("view", ["pairs/prescription", "stages/evidence_way"])
def test_views_take_for_damage_what_strikes_weights(view):
    """Another kind of fault of weights belongs in both of them."""
    kinds = "|".join(kind.name for kind in OWN_KINDS if isinstance(kind, WeightFault))
    assert f"fault:({kinds})@" in (SQL_ROOT / "views" / f"{view}.sql").read_text(encoding="utf-8")
