"""Three kinds of evidence for each failure mode, what each says and what would measure it."""

import re

import pytest

from extract.mending import REPAIR_TITLES
from tests.sql.test_patches import between_models, patched
from tests.sql.worlds import interval, world
from warehouse.catalogue import Definitions
from warehouse.vocabulary import CLAIMS

BROKEN = "fault:damage@connector:2"
READ = {("vision", 1, "mean"): (10, 20), ("connector", 0, "mean"): (5, 9)}
READ |= {("llm", 1, "last"): (5, 9)}
RESTORED = {("vision", "image"): 8, ("connector", "image"): 19, ("llm", "both"): 20}
USELESS = '{"base": "m", "helps": false, "repair": "vision/lora"}'
MEND = "run `layerhouse mend --model tiny --fault damage@connector:2 --dataset d --stage "
PATCH = "run `layerhouse patch --model tiny --fault damage@connector:2 --dataset d --from tiny`"


def losses(**points):
    """Intervals of today's losses; 0.1 to either side where something is lost."""
    rows = [interval(s, p, max(0, p - 0.1), p + 0.1 if p else 0.0) for s, p in points.items()]
    reference = {"quantity": "accuracy", "n_groups": 20}
    return [*rows, interval("total", 1.0, 0.9, 1.0, **reference)]


def broken(effects=(), variant=BROKEN):
    """A model that answers 8 of 20, of which its probes lose 11 at the connector."""
    rows = patched(list(effects), world(READ, {"likelihood": (4, 8)}, {("svm", 0): (10, 20)}))
    rows["model"] = [
        {"model_id": "m", "name": "tiny", "variant": variant},
        {"model_id": "h", "name": "tiny", "variant": "base"},
    ]
    rows["mend"], rows["pair_interval"] = [], []
    points = {"vision": 0.0, "connector": 0.55, "llm": 0.0, "answer": 0.05, "total": 0.6}
    return rows | {"stage_interval": losses(**points)}


def mend(rows, stage, right, size, val=0.9, asked="likelihood", repair="lora"):
    """With this repair of the stage so many of 20 are right; half a point to either side.

    Val was not answered with it, so that the likelihoods of its training say what it gains there.
    """
    name = f"m+mend:{stage}/{repair}"
    rows["model"].append({"model_id": name, "name": "tiny", "variant": f"mend:{stage}/{repair}+f"})
    answers = world({}, {asked: (8, right)})["answer"]
    rows["answer"] += [
        row | {"model_id": name} for row in answers if row["sample_id"].startswith("test")
    ]
    named = {"model_id": name, "base_model_id": "m", "dataset_id": "d"}
    rows["mend"].append(
        {**named, "stage": stage, "repair": repair, "control": "none", "n_parameters": size}
        | {"val_score_before": 0.4, "val_score": val, "score": "accuracy", "seconds": 3.0}
    )
    gain = (right - 8) / 20
    told = {("answer", "accuracy"): gain, ("connector", "recovered_share"): gain / 0.55}
    rows["pair_interval"] += [
        {**named, "stage": at, "quantity": quantity, "score": "accuracy"}
        | {"point": point, "lower": point - 0.1, "upper": point + 0.1}
        for (at, quantity), point in told.items()
    ]
    return rows


def marks(catalogue, rows, columns):
    query = f"SELECT {columns} FROM evidence_mark WHERE model_id = 'm' ORDER BY stage_order"
    return catalogue(rows).sql(query).fetchall()


def ways(catalogue, rows, columns="use, cure"):
    """Of the connector."""
    where = "model_id = 'm' AND stage = 'connector'"
    return catalogue(rows).sql(f"SELECT {columns} FROM evidence_way WHERE {where}").fetchall()


@pytest.mark.exact_rows("evidence_mark")
def test_each_kind_of_evidence_has_a_mark_or_what_would_give_it(catalogue):
    rows = mend(broken(between_models(RESTORED)), "connector", 18, 80)
    rows["run"] = [{"run_id": "r", "command": "mend", "model_id": "m", "dataset_id": "d"}]
    rows["run"][0] |= {"status": "finished", "config": USELESS}
    columns = (
        "stage, is_primary, round(loss, 9), loss_lower, is_lost, information_missing, "
        "donor_model_id, round(donor_gain, 9), round(restored_share * 12, 9), is_caused, "
        "use_missing, tried, repair, n_parameters, round(recovered_share, 9), "
        "round(recovered_lower, 9), is_mended, cure_missing, claim"
    )
    by = ("h", 0.6)
    no_repair = (None,) * 4
    finetuned = ("connector/lora", 80, 0.909090909, 0.809090909)
    both = "caused in and mended by"
    assert marks(catalogue, rows, columns) == [
        # Its repair was tried, and no epoch helped on val.
        (
            *("vision", False, 0.0, 0.0, False, None, *by, 0.0, False, None),
            *("vision/lora", *no_repair, False, None, None),
        ),
        (
            *("connector", True, 0.55, pytest.approx(0.45), True, None, *by, 11.0, True, None),
            "connector/lora",
            *(*finetuned, True, None, both),
        ),
        # One of 20 came back there, from 0 to 3.
        (
            *("llm", False, 0.0, 0.0, False, None, *by, 1.0, None, None, None),
            *(*no_repair, None, f"{MEND}llm`", None),
        ),
        (
            *("answer", False, 0.05, 0.0, None, None, *by, 0.0, False, None, None),
            *(*no_repair, None, f"{MEND}answer`", None),
        ),
    ]


def test_of_a_loss_that_may_be_none_a_repair_brings_back_no_share_that_is_told(catalogue):
    """The gain has its interval, the share has none: too many resamples have no loss there."""
    rows = mend(broken(), "connector", 18, 80)
    rows["pair_interval"] = [r for r in rows["pair_interval"] if r["stage"] == "answer"]
    columns = "stage, recovered_share, round(repair_gain, 9), is_mended, cure_missing"
    compare = "run `layerhouse compare --model m+mend:connector/lora --base m --dataset d`"
    assert marks(catalogue, rows, columns)[1] == ("connector", None, 0.5, None, compare)
    rows["pair_interval"] = []  # not compared yet: the share stands without an interval
    share = "stage, round(recovered_share, 9), repair_gain_lower, is_mended, cure_missing"
    assert marks(catalogue, rows, share)[1] == ("connector", 0.909090909, None, None, compare)


@pytest.mark.parametrize("lower", [0.0, -0.01])
def test_of_a_loss_that_is_not_present_no_comparison_is_asked_for(catalogue, lower):
    """It may have no share however often it is compared."""
    rows = mend(broken(), "connector", 18, 80, repair="finetune")
    rows["pair_interval"] = [r for r in rows["pair_interval"] if r["stage"] == "answer"]
    for row in rows["stage_interval"]:
        if (row["stage"], row["quantity"]) == ("connector", "loss"):
            row["lower"] = lower
    assert marks(catalogue, rows, "is_present, cure_missing")[1] == (False, None)


@pytest.mark.parametrize(
    ("connector", "mended", "claim"),
    [
        (None, None, "no longer readable"),
        (8, 18, "mended by"),
        (19, 13, "caused in"),  # 0.45 of the loss is not undone
    ],
)
def test_the_claim_is_what_the_evidence_bears(catalogue, connector, mended, claim):
    effects = between_models({**RESTORED, ("connector", "image"): connector}) if connector else []
    rows = broken(effects)
    if mended:
        mend(rows, "connector", mended, 80, repair="finetune")
    found = marks(catalogue, rows, "claim, use_missing IS NULL, cure_missing IS NULL")
    assert found[1] == (claim, connector is not None, mended is not None)
    assert [row[0] for row in found if row is not found[1]] == [None] * 3


def test_of_a_stages_repairs_the_advised_one_speaks(catalogue):
    rows = mend(broken(), "connector", 18, 80)
    mend(rows, "connector", 17, 40, val=0.88, repair="finetune")
    (mark,) = marks(catalogue, rows, "repair, n_parameters, is_mended")[1:2]
    assert mark == ("connector/finetune", 40, True)
    # 0.4 is less than 0.9 of the 0.5 that the larger one gains on val, so that one is advised.
    rows["mend"][-1]["val_score"] = 0.8
    (mark,) = marks(catalogue, rows, "repair, n_parameters, is_mended")[1:2]
    assert mark == ("connector/lora", 80, True)


def in_vain(*titles):
    """Runs that say of these repairs that no epoch was better on val than none."""
    run = {"command": "mend", "model_id": "m", "dataset_id": "d", "status": "finished"}
    return [
        {**run, "run_id": title, "config": USELESS.replace("vision/lora", title)}
        for title in titles
    ]


ANSWERS = ("answer/prior", "answer/probe", "answer/label-rows")


@pytest.mark.parametrize(
    ("tried", "is_mended", "left"),
    [
        (ANSWERS[:1], None, "answer/probe, answer/label-rows are untried; "),
        (ANSWERS[:2], None, "answer/label-rows is untried; "),
        (ANSWERS, False, None),
    ],
)
def test_a_stage_is_not_given_up_before_all_of_its_repairs_were_tried(
    catalogue, tried, is_mended, left
):
    rows = broken() | {"run": in_vain(*tried)}
    found = marks(catalogue, rows, "tried, repair, is_mended, cure_missing")[3]
    way = None if left is None else f"{left}{MEND}answer`"
    assert found == (", ".join(tried), None, is_mended, way)


def test_a_repair_that_brings_too_little_leaves_the_stage_open_for_others(catalogue):
    """Of 0.05 at the answer nothing can be told; of the connector 9 of 20 are 0.09 of its loss."""
    rows = mend(broken(), "connector", 9, 80)
    columns = "tried, repair, is_mended, cure_missing"
    left = f"connector/finetune is untried; {MEND}connector`"
    assert marks(catalogue, rows, columns)[1] == (*["connector/lora"] * 2, None, left)
    rows["run"] = in_vain("connector/finetune")
    both = "connector/finetune, connector/lora"
    assert marks(catalogue, rows, columns)[1] == (both, "connector/lora", False, None)


def test_of_what_cannot_be_mended_no_untried_repair_is_told(catalogue):
    rows = broken(variant="quantization:4bit") | {"run": in_vain(*ANSWERS[:1])}
    assert marks(catalogue, rows, "tried, is_mended, cure_missing")[3] == (ANSWERS[0], None, None)


@pytest.mark.exact_rows("tried_repair")
def test_what_was_tried_stands_beside_what_was_not(catalogue):
    rows = mend(broken(), "llm", 9, 80) | {
        "run": in_vain("answer/probe", "answer/prior", "llm/lora")
    }
    found = catalogue(rows).sql("SELECT * FROM tried_repair ORDER BY stage").fetchall()
    assert found == [
        ("m", "d", "answer", "answer/prior, answer/probe", True, "answer/label-rows", 1),
        ("m", "d", "llm", "llm/lora", False, "llm/heads", 1),
    ]


@pytest.mark.exact_rows("repair_kind")
def test_the_repairs_are_those_that_mend_brings_in_its_order(catalogue):
    rows = catalogue({}).sql("SELECT stage, repair, number FROM repair_kind ORDER BY number")
    told = [(*title.split("/"), number) for number, title in enumerate(REPAIR_TITLES)]
    assert rows.fetchall() == told


def test_a_gain_that_is_not_the_repairs_alone_undoes_nothing(catalogue):
    rows = mend(broken(), "connector", 18, 80, asked="generate")
    found = marks(catalogue, rows, "repair, is_mended, claim")
    assert found[1] == ("connector/lora", None, "no longer readable")


@pytest.mark.parametrize(
    ("variant", "use", "cure"),
    [
        (BROKEN, PATCH, f"{MEND}connector`"),
        (
            "fault:swap@connector:0.5",
            "run `layerhouse patch --model tiny --fault swap@connector:0.5 --dataset d "
            "--from tiny`",
            "repairs are trained on whole weights, without adapters, quantisation or faults of "
            "activations, and not on untrained ones",
        ),
        (
            "random:3",
            "no variant of this model is known that answers better",
            "repairs are trained on whole weights, without adapters, quantisation or faults of "
            "activations, and not on untrained ones",
        ),
        ("mend:llm/lora", *["what a repair brings is told beside the model without it"] * 2),
    ],
)
def test_what_is_not_measured_names_the_command_or_why_there_is_none(catalogue, variant, use, cure):
    assert ways(catalogue, broken(variant=variant)) == [(use, cure)]


def test_what_answers_alone_keep_from_being_measured_is_said(catalogue):
    rows = broken(variant="base") | {"layer": [], "probe": [], "stage_interval": []}
    known = "nothing but answers from elsewhere is known of this model"
    ((lost, *others), *_) = marks(catalogue, rows, "information_missing, use_missing, cure_missing")
    assert lost.startswith("only answers are known of this model")
    assert others == [known, known]


@pytest.mark.exact_rows("evidence_way")
def test_the_ways_are_told_of_what_is_measured_too(catalogue):
    rows = broken(between_models(RESTORED))
    found = catalogue(rows).sql(
        "SELECT stage, information, use, cure FROM evidence_way WHERE model_id = 'm' ORDER BY stage"
    )
    diagnose = "run `layerhouse diagnose --model m --dataset d`"
    assert found.fetchall() == [
        (stage, diagnose, PATCH, f"{MEND}{stage}`")
        for stage in ("answer", "connector", "llm", "vision")
    ]


def test_the_claims_are_those_of_the_vocabulary():
    text = Definitions().views["evidence_mark"]
    claims = re.findall(r"(?:THEN|ELSE) '([^']+)'", text[text.index("WHEN NOT is_present") :])
    assert sorted(claims) == sorted(CLAIMS)


@pytest.mark.exact_rows("patch_donor")
def test_the_donor_is_the_best_variant_that_is_no_repair(catalogue):
    rows = world({}, {})
    right = {"base": 9, "adapter:a --b": 14, "mend:llm/lora": 19, "random:1": 12}
    right |= {"fault:swap@llm": 5, "adapter:a --b+fault:swap@llm": 14, "quantization:4bit": 9}
    rows["model"] = [{"model_id": v, "name": "tiny", "variant": v} for v in right]
    for variant, n in right.items():
        answers = world({}, {"likelihood": (5, n)})["answer"]
        rows["answer"] += [row | {"model_id": variant} for row in answers]
    found = catalogue(rows).sql("SELECT * FROM patch_donor ORDER BY model_id").fetchall()
    adapted = " --from tiny --from-adapter 'a --b'"
    assert found == [
        # None answers better, but it has a fault.
        ("adapter:a --b+fault:swap@llm", "d", adapted),
        ("base", "d", adapted),
        ("fault:swap@llm", "d", adapted),
        ("quantization:4bit", "d", adapted),
    ]


def test_a_relative_may_be_the_donor_and_a_stranger_may_not(catalogue):
    rows = world({}, {})
    right = {"tiny": 9, "parent": 14, "stranger": 19}
    rows["model"] = [{"model_id": name, "name": name, "variant": "base"} for name in right]
    rows["model_base"] = [{"name": "tiny", "base_name": "parent"}]
    for name, n in right.items():
        answers = world({}, {"likelihood": (5, n)})["answer"]
        rows["answer"] += [row | {"model_id": name} for row in answers]
    found = catalogue(rows).sql("SELECT * FROM patch_donor").fetchall()
    assert found == [("tiny", "d", " --from parent")]


@pytest.mark.exact_rows("repair_effect")
def test_a_verdict_is_told_where_the_cheapest_repair_lies_elsewhere(catalogue):
    rows = mend(broken(), "answer", 17, 6, val=0.88, repair="label-rows")
    query = "SELECT * FROM repair_effect"
    note = (
        "repairs point elsewhere than probes: the cheapest that suffices on val is "
        "answer/label-rows, which gains 48 points on val, and at connector, which loses most, "
    )
    found = catalogue(rows).sql(query).fetchall()
    advised = ("m", "d", "answer", "label-rows", pytest.approx(0.48), "connector")
    lacking = f"{note}no repair is known that gains"
    assert found == [(*advised, None, None, True, lacking)]
    rows["mend"][-1]["val_score"] = 0.42  # no more than the margin: it points nowhere
    ((gain, note),) = catalogue(rows).sql("SELECT advised_gain, note FROM repair_effect").fetchall()
    assert (gain, note) == (pytest.approx(0.02), None)


def test_the_note_stands_in_the_verdict_and_names_the_repair_that_is_not_advised(catalogue):
    rows = mend(mend(broken(), "answer", 17, 6, val=0.88), "connector", 18, 80)
    con = catalogue(rows)
    ((note,),) = con.sql("SELECT note FROM repair_effect").fetchall()
    assert note.endswith("at connector, which loses most, connector/lora gains 50")
    reasons = con.sql("SELECT DISTINCT reason FROM failure_mode WHERE model_id = 'm'").fetchall()
    assert reasons == [(note,)]


def test_of_one_stage_there_is_nothing_to_note(catalogue):
    rows = mend(mend(broken(), "answer", 9, 6, val=0.45), "connector", 18, 80)
    found = catalogue(rows).sql("SELECT disagrees, note FROM repair_effect").fetchall()
    assert found == [(False, None)]
