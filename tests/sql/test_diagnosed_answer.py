"""Which answers a diagnosis is about, and that no others change any of its numbers."""

from pathlib import Path
from typing import Any

import pytest

from tests.lakes import Signals, synthetic_lake
from tests.sql.worlds import world
from warehouse.catalogue import connect
from warehouse.catalogue.definitions import Definitions
from warehouse.lake import Lake, RunSpec, RunWriter
from warehouse.schema import SQL_ROOT
from warehouse.vocabulary import GIVEN, IMAGE_CONTROLS, OWN_IMAGE, VECTOR_TABLES

MODEL, DATASET = "alpha", "shapes"
ABOUT_SWEEPS = ("prompts",)
"""The folders of views that are there for what `diagnosed_answer` leaves out."""


def run(number: int, **identity: Any) -> dict[str, Any]:
    import json

    named = {"run_id": f"r{number}", "command": "extract", "model_id": "m", "dataset_id": "d"}
    return {**named, "config": json.dumps({"identity": identity})}


@pytest.mark.exact_rows("diagnosed_answer")
def test_the_prompt_of_the_activations_its_own_order_and_the_samples_own_image(catalogue):
    rows = world(answers={"generate": (0, 0)})
    one = {**rows["answer"][0], "sample_id": "test00", "parsed": True}
    rows["answer"] = [
        {**one, "predicted_class_index": 0},
        {**one, "predicted_class_index": 1, "prompt_id": "letters"},
        {**one, "predicted_class_index": 2, "option_order": "rotated:1"},
        {**one, "predicted_class_index": 3, "image_control": "blank"},
    ]
    imported = {**one, "method": "imported:elsewhere", "predicted_class_index": 2}
    query = "SELECT prompt_id, predicted_class_index FROM diagnosed_answer"
    assert catalogue(rows).sql(query).fetchall() == [("default", 0)]
    rows["run"] = [run(1)]
    assert catalogue(rows).sql(query).fetchall() == [("default", 0)]
    rows["run"] = [run(1, prompt_id="letters"), {**run(2, prompt_id="plain"), "model_id": "n"}]
    assert catalogue(rows).sql(query).fetchall() == [("letters", 1)]
    rows["answer"].append(imported)
    assert ("default", 2) in catalogue(rows).sql(query).fetchall()


@pytest.mark.exact_rows("diagnosed_prompt")
def test_a_run_that_names_no_prompt_took_the_default(catalogue):
    rows = {"run": [run(1), run(2), {**run(3, prompt_id="plain"), "dataset_id": "e"}]}
    query = "SELECT * FROM diagnosed_prompt ORDER BY dataset_id"
    assert catalogue(rows).sql(query).fetchall() == [("m", "d", "default"), ("m", "e", "plain")]


def summed_anyhow(value: Any) -> Any:
    """A number without its last digits, which depend on the order in which threads summed."""
    return float(f"{value:.12g}") if isinstance(value, float) else value


def everything(lake: Lake) -> dict[str, list[Any]]:
    """The rows of every view and mart that is not about sweeps."""
    about = {
        path.stem for folder in ABOUT_SWEEPS for path in (SQL_ROOT / "views" / folder).glob("*.sql")
    }
    names = [*Definitions().views, *Definitions().marts]
    with connect(lake) as wh:
        return {
            name: sorted(
                (
                    tuple(map(summed_anyhow, row))
                    for row in wh.sql(f'SELECT * FROM "{name}"').fetchall()
                ),
                key=repr,
            )
            for name in names
            if name not in about | {*VECTOR_TABLES, "mart_prompt_sensitivity"}
        }


def _outcomes(lake: Lake) -> list[tuple[Any, ...]]:
    """What stands in the mart whether or not controls were asked about."""
    with connect(lake) as wh:
        return wh.sql(
            "SELECT * EXCLUDE (changes_with_image, image_quadrant) FROM mart_sample_outcomes "
            "ORDER BY ALL"
        ).fetchall()


def test_the_mart_says_of_each_sample_whether_its_answer_changes_with_the_image(
    tmp_path: Path,
) -> None:
    """Half of the answers stay where another class is shown, and one sample is not asked about."""
    signals = {MODEL: Signals.losing(llm=0.3)}
    lake = synthetic_lake(tmp_path / "lake", signals, n_samples=48, n_classes=3)
    with connect(lake) as wh:
        own = wh.sql("SELECT * EXCLUDE run_id FROM answer ORDER BY sample_id").pl().to_dicts()
        quadrants = "SELECT answer_knows, changes_with_image, image_quadrant, count(*) "
        quadrants += "FROM mart_sample_outcomes GROUP BY ALL ORDER BY ALL"
        assert {row[1:3] for row in wh.sql(quadrants).fetchall()} == {(None, None)}
    names = sorted({row["sample_id"] for row in own})
    asked = {name: number for number, name in enumerate(names[1:])}
    rows = [
        row | {"image_control": "other", "predicted_class_index": shown, "parsed": True}
        for row in own
        if (number := asked.get(row["sample_id"])) is not None
        for shown in [(row["predicted_class_index"] + (number % 7 < 3)) % 3]
    ]
    spec = RunSpec("extract", MODEL, DATASET, {"identity": {}, "selection": {"sweep": True}})
    with RunWriter(lake, spec) as writer:
        writer.commit({"answer": rows})
        writer.finish()
    with connect(lake) as wh:
        found = wh.sql(quadrants).fetchall()
    words = {
        (True, True): "right, looks",
        (True, False): "right, does not look",
        (False, True): "wrong, looks",
        (False, False): "wrong, does not look",
    }
    asked_about = [row for row in found if row[1] is not None]
    assert {row[:2]: row[2] for row in asked_about} == words
    assert all(row[2] is None for row in found if row[1] is None)


@pytest.mark.slow
def test_sweeps_and_controls_change_no_view_and_no_mart_but_what_says_of_them(
    tmp_path: Path,
) -> None:
    """Planted are answers that are all wrong, under every other prompt, order and image."""
    signals = Signals(methods=("likelihood", "generate"))
    lake = synthetic_lake(tmp_path / "lake", {MODEL: signals}, n_samples=48, n_classes=3)
    with connect(lake) as wh:
        own = wh.sql("SELECT * EXCLUDE run_id FROM answer").pl().to_dicts()
    before, outcomes = everything(lake), _outcomes(lake)
    others = [("letters", GIVEN, OWN_IMAGE), ("default", "rotated:1", OWN_IMAGE)]
    others += [("default", GIVEN, image) for image in IMAGE_CONTROLS]
    planted = [
        {**row, "prompt_id": prompt, "option_order": order, "image_control": image}
        | {"predicted_class_index": None, "parsed": False, "n_tokens": 9, "raw_text": ""}
        | ({"finish_reason": "length", "text": "?"} if row["method"] == "generate" else {})
        for row in own
        for prompt, order, image in others
    ]
    asked = {"template": "{options}?", "system": None, "reply_prefix": None, "synonyms": None}
    asked |= {"max_new_tokens": None}
    asked |= {"option_style": "letters", "option_order": "given", "language": "en"}
    spec = RunSpec("extract", MODEL, DATASET, {"identity": {}, "selection": {"sweep": True}})
    with RunWriter(lake, spec) as writer:
        writer.commit({"answer": planted, "prompt": [{"prompt_id": "letters", **asked}]})
        writer.finish()
    after = everything(lake)
    with connect(lake) as wh:
        assert len(wh.sql("FROM answer")) == len(own) * (1 + len(others))
    of_controls = {"asking_effect", "mart_sample_outcomes"}
    assert {name for name in before if before[name] != after[name]} == of_controls
    assert _outcomes(lake) == outcomes
    assert sum(map(bool, before.values())) > 15
