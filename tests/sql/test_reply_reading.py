"""Where replies were read, and what that lets stand for the language model."""

import pytest

from tests.sql.worlds import NAMES, world

PROBES = {("llm", 1, "last"): (5, 11), ("llm", 1, "reply"): (8, 17), ("llm", 0, "reply"): (9, 18)}


def read(n_named):
    """A row of `reply_place` for every sample; of each split the first few name a class."""
    rows, seen = [], {}
    for sample in world()["sample"]:
        at = seen[sample["split"]] = seen.get(sample["split"], 0) + 1
        named = at <= n_named
        place = {"sample_id": sample["sample_id"], "n_before": 4 if named else 10}
        rows.append({**NAMES, **place, "names_class": named})
    return rows


@pytest.mark.exact_rows("reply_reading")
def test_replies_that_name_no_class_are_counted(catalogue):
    con = catalogue(world() | {"reply_place": read(5)})
    query = "SELECT * FROM reply_reading WHERE split = 'test'"
    assert con.sql(query).fetchall() == [("m", "d", "test", 20, 5, (5 * 4 + 15 * 10) / 20)]


def test_the_language_model_ends_where_it_answers_as_well_as_at_its_last_prompt_token(catalogue):
    con = catalogue(world(PROBES, {"generate": (4, 8)}))
    query = "SELECT layer, readout FROM stage_candidate WHERE stage = 'llm' ORDER BY rank"
    assert con.sql(query).fetchall() == [(1, "reply"), (1, "last"), (None, "generate")]
    held = con.sql("SELECT readout FROM stage_signal WHERE stage = 'vision'").fetchall()
    assert held == [("reply",)]
