"""Every check is proven by a catalogue that breaks its rule, and by one that does not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from tests.warehouse.full_lake import full_lake
from warehouse.catalogue.reading import open_catalogue, set_vector_shards
from warehouse.lake.lake import Lake
from warehouse.lake.standing import list_commits
from warehouse.schema import SQL_ROOT, tables
from warehouse.validation import running
from warehouse.validation.checks import Check, all_checks
from warehouse.validation.running import prepare
from warehouse.vocabulary import BLIND, VECTOR_TABLES

PICTURE = Path(__file__).parents[3] / "docs" / "bi-superset.png"

# What to do to a sound catalogue so that exactly this rule, perhaps among others, is broken.
PLANTED = {
    "activation.key_unique": "INSERT INTO activation FROM activation LIMIT 1",
    "activation.sample_known": "UPDATE activation SET sample_id = 'x' WHERE sample_id LIKE '%7'",
    "activation.layer_known": "DELETE FROM layer WHERE module = 'connector'",
    "activation.width_matches_layer": "UPDATE layer SET width = 31 WHERE module = 'llm'",
    "activation.values_finite": [
        "UPDATE activation SET vector = list_concat(['nan'::FLOAT], vector[2:]) WHERE layer = 0",
        "UPDATE activation SET vector = list_concat(['-inf'::FLOAT], vector[2:]) WHERE layer = 0",
        "UPDATE activation SET vector = list_concat([NULL], vector[2:]) WHERE layer = 0",
        "UPDATE activation SET vector = [] WHERE layer = 0",
    ],
    "activation.vectors_vary": "UPDATE activation SET vector = list_resize([1.0], 32, 0)"
    " WHERE module = 'connector' AND readout = 'mean'",
    "activation.samples_complete": "DELETE FROM activation WHERE sample_id LIKE '%7' AND layer = 1",
    "activation.run_id_known": "UPDATE activation SET run_id = 'nobody' WHERE layer = 0",
    "token_activation.key_unique": "INSERT INTO token_activation FROM token_activation LIMIT 1",
    "token_activation.tokens_contiguous": "DELETE FROM token_activation WHERE token = 1",
    "token_activation.places_differ": [
        'UPDATE token_activation SET row = 0, "column" = 0 WHERE token = 3',
        "UPDATE token_activation SET row = NULL WHERE token = 3",
        'UPDATE token_activation SET "column" = -1 WHERE token = 3',
    ],
    "token_activation.sample_known": "UPDATE token_activation SET sample_id = 'x'"
    " WHERE sample_id LIKE '%7'",
    "token_activation.layer_known": "UPDATE token_activation SET layer = 99",
    "token_activation.width_matches_layer": "UPDATE layer SET width = 31"
    " WHERE module = 'connector'",
    "token_activation.values_finite": [
        "UPDATE token_activation SET vector = list_concat(['nan'::FLOAT], vector[2:])",
        "UPDATE token_activation SET vector = list_concat([NULL], vector[2:])",
        "UPDATE token_activation SET vector = []",
    ],
    "token_activation.samples_complete": "DELETE FROM token_activation WHERE sample_id LIKE '%7'",
    "token_activation.run_id_known": "UPDATE token_activation SET run_id = 'nobody'",
    "shard.file_intact": [
        "UPDATE shard SET n_bytes = n_bytes + 1 WHERE table_name = 'answer'",
        "UPDATE shard SET n_rows = n_rows + 1 WHERE table_name = 'model'",
        "UPDATE shard SET path = 'answer/gone.parquet' WHERE table_name = 'answer'",
    ],
    "shard.bytes_as_committed": "UPDATE shard SET checksum = repeat('0', 64)",
    "removed_sample.nothing_left": "INSERT INTO removed_sample "
    "SELECT run_id, dataset_id, sha256(sample_id), 0 FROM sample LIMIT 1",
    "unbuilt_view.none": "INSERT INTO unbuilt_view VALUES ('mart_leaderboard', 'rows')",
    "shard.rows_all_loaded": [
        "DELETE FROM answer WHERE sample_id LIKE '%7'",
        "DELETE FROM probe_logit WHERE sample_id LIKE '%7'",
        "DELETE FROM activation WHERE sample_id LIKE '%7'",
        "DELETE FROM token_activation WHERE sample_id LIKE '%7'",
        "DELETE FROM probe",
        "INSERT INTO class FROM class; INSERT INTO class FROM class",
        "DELETE FROM shard WHERE table_name = 'dataset'",
    ],
    "answer.method_known": "UPDATE answer SET method = 'guess' WHERE method = 'generate'",
    "answer.finish_known": [
        "UPDATE answer SET finish_reason = 'tired' WHERE method = 'generate'",
        "UPDATE answer SET finish_reason = 'stop', n_tokens = NULL, raw_text = 'a'",
        "UPDATE answer SET finish_reason = 'stop', n_tokens = 3, raw_text = NULL",
        "UPDATE answer SET finish_reason = 'stop', n_tokens = 3, raw_text = 'a'"
        " WHERE method = 'likelihood'",
    ],
    "answer.draws_kept": [
        "DELETE FROM reply_draw WHERE draw = 1",
        "DELETE FROM reply_draw",
        "UPDATE reply_draw SET predicted_class_index = NULL",
        "UPDATE reply_draw SET predicted_class_index = 0 WHERE draw = 0",
    ],
    "answer.logprobs_as_long_as_classes": [
        "UPDATE answer SET label_logprobs = label_logprobs[:2]",
        "UPDATE answer SET label_logprobs = NULL",
    ],
    "answer.logprobs_finite": [
        "UPDATE answer SET label_logprobs = ['-inf'::FLOAT, -1, -1] WHERE method = 'likelihood'",
        "UPDATE answer SET label_logprobs = [NULL, -1, -1] WHERE method = 'likelihood'",
        "UPDATE answer SET label_logprobs = [0.5, -1, -1] WHERE method = 'likelihood'",
    ],
    "answer.probabilities_sum_to_one": [
        "UPDATE answer SET label_logprobs = ['nan'::FLOAT, -1, -1] WHERE method = 'likelihood'",
        "UPDATE answer SET label_logprobs = list_resize([]::FLOAT[], 3, '-inf')"
        " WHERE method = 'likelihood'",
        "UPDATE answer SET label_logprobs = [] WHERE method = 'likelihood'",
    ],
    "answer.likelihood_names_most_likely": "UPDATE answer SET predicted_class_index ="
    " (predicted_class_index + 1) % 3",
    "answer.parsed_names_a_class": [
        "UPDATE answer SET parsed = FALSE",
        "UPDATE answer SET predicted_class_index = NULL",
    ],
    "answer.generated_text_kept": "UPDATE answer SET text = NULL",
    "answer.samples_complete": [
        "DELETE FROM answer WHERE sample_id LIKE '%7'",
        "UPDATE answer SET option_order = 'rotated:1' WHERE sample_id LIKE '%7'",
    ],
    "answer.corrections_fit": [
        "UPDATE answer SET end_token = NULL WHERE sample_id LIKE '%7'",
        "UPDATE answer SET end_token = '' WHERE method = 'generate'",
        "UPDATE answer SET label_logprobs_per_token = label_logprobs_per_token[:2]",
        "UPDATE answer SET label_logprobs_per_token = [-1e-3, -1e-3, -1.37e-3]",
        "UPDATE answer SET label_pmi = label_pmi[:2] WHERE sample_id LIKE '%7'",
        "UPDATE answer SET label_pmi = label_logprobs WHERE sample_id LIKE '%7'",
        "UPDATE answer SET label_pmi = ['nan'::FLOAT, -1, -1] WHERE sample_id LIKE '%7'",
    ],
    "answer.asked_as_known": [
        "UPDATE answer SET prompt_id = 'nobody'",
        "UPDATE answer SET option_order = 'rotated'",
        "UPDATE answer SET option_order = 'rotated:0'",
        "UPDATE answer SET image_control = 'upside_down'",
    ],
    "prompt.option_style_known": [
        "UPDATE prompt SET option_style = 'table'",
        "UPDATE prompt SET option_order = 'mixed'",
        "UPDATE prompt SET template = 'What is it?'",
    ],
    "logit_lens.probabilities_sum_to_one": [
        "UPDATE logit_lens SET label_logprobs = label_logprobs[:2]",
        "UPDATE logit_lens SET label_logprobs = ['nan'::FLOAT, -1, -1]",
        "UPDATE logit_lens SET label_logprobs = [0, -1, -1]",
    ],
    "logit_lens.names_most_likely": "UPDATE logit_lens SET predicted_class_index ="
    " (predicted_class_index + 1) % 3",
    "logit_lens.layer_known": "UPDATE logit_lens SET layer = 99",
    "logits.key_unique": "INSERT INTO {logit} FROM {logit} LIMIT 1",
    "logits.classifier_known": "DELETE FROM {classifier} WHERE seed = 0",
    "logits.sample_known": "UPDATE {logit} SET sample_id = 'x' WHERE sample_id LIKE '%7'",
    "logits.only_val_and_test": "UPDATE {logit} SET split = 'train' WHERE sample_id LIKE '%7'",
    "logits.split_is_the_samples": "UPDATE sample SET split = 'train' WHERE sample_id LIKE '%7'",
    "logits.as_long_as_classes": "UPDATE {logit} SET logits = logits[:2]",
    "logits.values_finite": [
        "UPDATE {logit} SET logits = ['nan'::FLOAT, 0, 0]",
        "UPDATE {logit} SET logits = ['inf'::FLOAT, 0, 0]",
        "UPDATE {logit} SET logits = [NULL, 0, 0]",
    ],
    "logits.prediction_in_range": [
        "UPDATE {logit} SET predicted_class_index = 3 WHERE sample_id LIKE '%7'",
        "UPDATE {logit} SET predicted_class_index = -1 WHERE sample_id LIKE '%7'",
    ],
    "logits.prediction_is_largest": "UPDATE {logit} SET predicted_class_index ="
    " (predicted_class_index + 1) % 3",
    "logits.run_id_known": "UPDATE {logit} SET run_id = 'nobody'",
    "probe.scores_complete": [
        "DELETE FROM probe_logit WHERE sample_id LIKE '%7'",
        "UPDATE probe SET n_val = n_val - 1",
        "DELETE FROM probe_logit",
    ],
    "baseline.scores_complete": "DELETE FROM baseline_logit WHERE split = 'val'",
    "probe.trained_within_train": [
        "UPDATE probe SET n_train = n_train + n_test",
        "UPDATE probe SET n_train = 0",
    ],
    "baseline.trained_within_train": "UPDATE sample SET split = 'test' WHERE split = 'train'",
    "probe.control_known": "UPDATE probe SET control = 'random' WHERE control <> 'none'",
    "probe.score_known": "UPDATE probe SET score = 'precision'",
    "baseline.score_known": "UPDATE baseline SET score = 'precision'",
    "sample.split_known": "UPDATE sample SET split = 'dev' WHERE split = 'val'",
    "sample.group_in_one_split": "UPDATE sample SET group_id = 'one'",
    "dataset.score_known": "UPDATE dataset SET score = 'precision'",
    "sample.class_in_train": "UPDATE sample SET split = 'val' WHERE class_index = 2"
    " AND split = 'train'",
    "seen_sample.scored_nowhere": "UPDATE sample SET sha256 = 'same';"
    " UPDATE run SET dataset_id = 'dealt' WHERE command = 'extract'",
    "sample_fold.hold_groups": [
        "UPDATE sample_fold SET fold = (fold + 1) % 3 WHERE sample_id = 'dealt-3'",
        "DELETE FROM sample_fold WHERE sample_id = 'dealt-3' AND repetition = 1",
        "DELETE FROM sample_fold WHERE sample_id IN ('dealt-2', 'dealt-3') AND repetition = 1",
    ],
    "sample.class_in_test": "UPDATE sample SET split = 'train' WHERE class_index = 2"
    " AND split = 'test'",
    "sample.labels_balanced": "UPDATE sample SET class_index = if(sample_id = 'image-00000', 2, 0)"
    " WHERE split = 'train'",
    "sample.image_unchanged": f"UPDATE sample SET uri = '{PICTURE}' WHERE sample_id LIKE '%7'",
    "sample.image_in_one_split": "UPDATE sample SET sha256 = repeat('a', 64)",
    "sample.image_in_one_class": "UPDATE sample SET sha256 = repeat('a', 64)",
    "sample.image_described": [
        "UPDATE sample SET sha256 = '' WHERE split = 'val'",
        "UPDATE sample SET width = 0 WHERE split = 'val'",
    ],
    "dataset.samples_counted": [
        "DELETE FROM sample WHERE sample_id LIKE '%7'",
        "DELETE FROM class WHERE class_index = 2",
        "DELETE FROM sample",
    ],
    "class.indexes_contiguous": "UPDATE class SET class_index = 5 WHERE class_index = 2",
    "class.phrases_differ": [
        "UPDATE class SET label = 'same'",
        "UPDATE class SET phrase = upper(class.phrase[1:1]) WHERE class_index > 0",
    ],
    "model.id_names_variant": "UPDATE model SET variant = 'adapter:x'",
    "module.stage_known": [
        "UPDATE module SET module = 'audio' WHERE module = 'llm'",
        "UPDATE module SET module_order = 2 - module_order",
    ],
    "layer.depth_follows_pipeline": "UPDATE layer SET depth = depth + 1 WHERE module = 'llm'",
    "layer.width_positive": "UPDATE layer SET width = 0 WHERE module = 'llm'",
    "layer.module_reaches_answer": "UPDATE layer SET on_path = FALSE WHERE module = 'vision'",
    "run.status_consistent": [
        "UPDATE run SET status = 'lost'",
        "UPDATE run SET finished_at = NULL",
        "UPDATE run SET finished_at = started_at - INTERVAL 1 SECOND",
    ],
    "run.finished": "UPDATE run SET status = 'running', finished_at = NULL WHERE command = 'probe'",
    "stage_interval.bounds_ordered": [
        "UPDATE stage_interval SET lower = 1, upper = 0",
        "UPDATE stage_interval SET lower = 'nan'",
    ],
    "stage_interval.losses_add_up": "UPDATE stage_interval SET point = 0.3 WHERE stage = 'llm'",
    "health_interval.bounds_ordered": "UPDATE health_interval SET lower = 1, upper = 0",
    "pair_interval.bounds_ordered": [
        "UPDATE pair_interval SET lower = 1, upper = 0",
        "UPDATE pair_interval SET point = 'inf'",
    ],
    "mend.of_one_kind": [
        "UPDATE mend SET stage = 'tower'",
        "UPDATE mend SET control = 'blank'",
        "UPDATE mend SET base_model_id = model_id",
        "UPDATE mend SET n_parameters = 0",
        "UPDATE mend SET best_epoch = 9",
        "UPDATE mend SET val_score = 1.5",
        "UPDATE mend SET val_loss = 'nan'",
    ],
    "steer_effect.of_one_kind": [
        "UPDATE steer_effect SET tokens = 'first'",
        "UPDATE steer_effect SET module = 'vision'",
        "UPDATE steer_effect SET direction = 'guess'",
        "UPDATE steer_effect SET strength = 0",
        "UPDATE steer_effect SET shift = 'nan'",
        "UPDATE steer_effect SET random_shifts = [1, 'nan'::FLOAT] WHERE class_index = 0",
        "UPDATE steer_effect SET random_shifts = [1] WHERE class_index = 0",
    ],
    "patch_effect.of_one_kind": [
        "UPDATE patch_effect SET tokens = 'first'",
        "UPDATE patch_effect SET control = 'blank'",
        "UPDATE patch_effect SET donor_id = sample_id",
        "UPDATE patch_effect SET donor_model_id = 'other', control = 'noise'",
        "UPDATE patch_effect SET module = 'vision', tokens = 'last'",
        "UPDATE patch_effect SET target_shift = 'nan'",
    ],
    "fault_trial.stage_known": [
        "UPDATE fault_trial SET stage = 'middle'",
        "UPDATE fault_trial SET verdict = 'broken'",
    ],
    "mart_failure_modes.losses_add_up": [
        "UPDATE mart_failure_modes SET loss = loss + 0.1 WHERE stage = 'llm'",
        "DELETE FROM mart_failure_modes WHERE stage = 'connector'",
    ],
    "mart_failure_modes.parts_add_up": [
        "UPDATE mart_failure_modes SET comprehension_loss = 1",
        "UPDATE mart_failure_modes SET wrong_loss = 1",
    ],
    "mart_failure_modes.losses_not_negative": "UPDATE mart_failure_modes SET loss = -0.1",
    "mart_failure_modes.verdict_follows_primary": [
        "UPDATE mart_failure_modes SET is_primary = TRUE",
        "UPDATE mart_failure_modes SET verdict = 'healthy' WHERE stage = 'llm'",
        "UPDATE mart_failure_modes SET is_primary = FALSE, verdict = 'vision_quality'",
        "UPDATE mart_failure_modes SET is_primary = (stage = 'llm'), verdict = 'vision_quality'",
    ],
    "mart_signal_flow.interval_holds_accuracy": "UPDATE mart_signal_flow SET wilson_upper = 0",
    "mart_signal_flow.probes_all_shown": "DELETE FROM mart_signal_flow WHERE module = 'llm'",
    "mart_leaderboard.answers_all_shown": "DELETE FROM mart_leaderboard WHERE variant = 'base'",
    "mart_sample_outcomes.only_test_samples": "UPDATE sample SET split = 'val'",
    "mart_sample_outcomes.answer_matches_prediction": "UPDATE mart_sample_outcomes"
    " SET answer_knows = NOT answer_knows",
}

MARTS = {path.stem for path in (SQL_ROOT / "marts").glob("*.sql")}
SHARES = MARTS - {"mart_sample_outcomes", "mart_model_pairs", "mart_evidence"}  # these hold none
LOGITS = {"probe_logit": "probe", "baseline_logit": "baseline"}


def _cases() -> Iterator[tuple[str, str, str]]:
    for name, statements in PLANTED.items():
        folder, check = name.split(".")
        for statement in [statements] if isinstance(statements, str) else statements:
            if folder != "logits":
                yield folder, check, statement
                continue
            for logit, classifier in LOGITS.items():
                yield logit, check, statement.format(logit=logit, classifier=classifier)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return full_lake(tmp_path_factory.mktemp("validation") / "lake")


@pytest.fixture(scope="module")
def sound(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The catalogue with plain tables instead of keys, constraints and views: anything goes in."""
    path = tmp_path_factory.mktemp("sound") / "catalog.duckdb"
    shutil.copyfile(lake.catalogue, path)
    with duckdb.connect(str(path)) as con:
        set_vector_shards(con, lake)
        for table in {*tables(), "shard"}:
            what = "VIEW" if table in VECTOR_TABLES else "TABLE"
            con.execute(f'CREATE TABLE loose AS FROM "{table}"; DROP {what} "{table}"')
            con.execute(f'ALTER TABLE loose RENAME TO "{table}"')
    return path


@pytest.fixture(scope="module")
def opened(sound: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(sound)) as con:
        yield con


@pytest.fixture
def planted(opened: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The sound catalogue, of which each test leaves as it was whatever it does to it."""
    opened.begin()
    yield opened
    opened.rollback()


@pytest.fixture(scope="module")
def made_for_checks(opened: duckdb.DuckDBPyConnection, lake: Lake) -> frozenset[str]:
    """The tables that `prepare` makes."""
    opened.begin()
    prepare(opened, lake)
    found = opened.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall()
    opened.rollback()
    return frozenset(name for (name,) in found)


def _check(table: str, name: str) -> Check:
    (check,) = [c for c in all_checks() if (c.table, c.name) == (table, name)]
    return check


def _unexpected(con: duckdb.DuckDBPyConnection, table: str, name: str) -> int:
    row = con.execute(f"SELECT count(*) FROM ({_check(table, name).sql})").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize(("table", "name", "statement"), list(_cases()))
def test_a_planted_violation_is_found(
    planted: duckdb.DuckDBPyConnection,
    lake: Lake,
    made_for_checks: frozenset[str],
    table: str,
    name: str,
    statement: str,
) -> None:
    planted.execute(statement)
    if any(made in _check(table, name).sql for made in made_for_checks):
        prepare(planted, lake)
    assert _unexpected(planted, table, name) > 0


def test_a_sound_lake_breaks_no_rule(planted: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    assert prepare(planted, lake) == {}
    found = {(c.table, c.name): _unexpected(planted, c.table, c.name) for c in all_checks()}
    assert {key for key, n in found.items() if n} == set()


def test_doubled_rows_break_every_key(planted: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    keyed = [check for check in all_checks() if check.name == "key_unique"]
    assert {check.table for check in keyed} > {"activation", "probe", "probe_logit", *MARTS}
    for check in keyed:
        planted.execute(f'INSERT INTO "{check.table}" FROM "{check.table}"')
    prepare(planted, lake)
    assert [c.table for c in keyed if not _unexpected(planted, c.table, c.name)] == []


def test_unknown_ids_break_every_reference(opened: duckdb.DuckDBPyConnection) -> None:
    references = [c for c in all_checks() if "AS child\nANTI JOIN" in c.sql]
    missed = []
    for check in references:
        column = check.name.removesuffix("_known")
        opened.begin()
        kind = opened.execute(
            "SELECT data_type FROM duckdb_columns() WHERE table_name = ? AND column_name = ?",
            [check.table, column],
        ).fetchone()
        assert kind is not None, check
        value = "99" if kind[0] == "INTEGER" else "'nowhere'"
        opened.execute(f'UPDATE "{check.table}" SET "{column}" = {value}')
        if not _unexpected(opened, check.table, check.name):
            missed.append((check.table, check.name))
        opened.rollback()
    assert len(references) > 30
    assert missed == []


def test_shares_above_one_are_found_in_every_mart(planted: duckdb.DuckDBPyConnection) -> None:
    checks = [check for check in all_checks() if check.name == "shares_in_range"]
    assert {check.table for check in checks} == SHARES
    for check in checks:
        own = ("chance", "p_end", "signal_before", "p_value", "own_accuracy", "answered_before")
        (column,) = [c for c in own if f'"{c}"' in check.sql]
        planted.execute(f'UPDATE "{check.table}" SET "{column}" = 1.5')
        assert _unexpected(planted, check.table, check.name) > 0, check.table


def test_arrays_are_found_in_every_mart(planted: duckdb.DuckDBPyConnection) -> None:
    checks = [check for check in all_checks() if check.name == "columns_flat"]
    assert {check.table for check in checks} == MARTS
    for check in checks:
        planted.execute(f'ALTER TABLE "{check.table}" ADD COLUMN extra FLOAT[]')
        assert _unexpected(planted, check.table, check.name) == 1, check.table


def test_every_check_has_a_planted_violation() -> None:
    planted = {(table, name) for table, name, _ in _cases()}
    generic = {"key_unique", "shares_in_range", "columns_flat"}
    left = [
        (check.table, check.name)
        for check in all_checks()
        if (check.table, check.name) not in planted
        and check.name not in generic
        and "AS child\nANTI JOIN" not in check.sql
    ]
    assert left == []


def test_every_table_and_mart_has_checks(lake: Lake) -> None:
    with open_catalogue(lake) as con:
        marts = con.execute(
            "SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'mart_%'"
        ).fetchall()
    checked = {check.table for check in all_checks()}
    assert checked >= {*tables(), *(name for (name,) in marts)}


def test_a_limited_run_is_complete_with_its_limit(
    planted: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    planted.execute("DELETE FROM activation WHERE sample_id > 'image-00020'")
    planted.execute('UPDATE run SET config = \'{"selection": {"limit": 21}}\'')
    prepare(planted, lake)
    assert _unexpected(planted, "activation", "samples_complete") == 0


def test_likelihoods_from_before_ends_counted_are_no_violation(
    planted: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    planted.execute(
        "UPDATE answer SET end_token = NULL, label_logprobs_per_token = NULL, label_pmi = NULL"
    )
    prepare(planted, lake)
    assert _unexpected(planted, "answer", "corrections_fit") == 0
    assert planted.execute("FROM answer WHERE label_logprobs IS NOT NULL LIMIT 1").fetchall()


@pytest.mark.parametrize("table", ["activation", "answer"])
@pytest.mark.parametrize(("place", "missing"), [(3, 0), (40, 1)], ids=["within", "beyond"])
def test_a_limit_counts_the_places_of_removed_samples(
    planted: duckdb.DuckDBPyConnection, lake: Lake, place: int, missing: int, table: str
) -> None:
    """Within the limit its own sample is not missed; beyond it, one is missing."""
    kept = {"activation": 19, "answer": 20}[table]  # vectors have a rejected image besides
    planted.execute(f"DELETE FROM {table} WHERE sample_id >= 'image-{kept:05}'")
    planted.execute('UPDATE run SET config = \'{"selection": {"limit": 21}}\'')
    planted.execute(
        "INSERT INTO removed_sample SELECT DISTINCT 'remove-1', dataset_id, 'mark', $1 FROM sample",
        [place],
    )
    prepare(planted, lake)
    assert (_unexpected(planted, table, "samples_complete") > 0) == bool(missing)


@pytest.mark.parametrize("table", ["activation", "answer"])
def test_a_sample_its_run_rejected_is_not_missing(
    planted: duckdb.DuckDBPyConnection, lake: Lake, table: str
) -> None:
    """Without the row of rejected_sample it would be: see the planted violations."""
    gone = "model_id = 'alpha' AND sample_id = 'image-00003'"
    planted.execute(
        "INSERT INTO rejected_sample "
        f"SELECT DISTINCT run_id, dataset_id, sample_id, 'damaged' FROM {table} WHERE {gone}"
    )
    planted.execute(f"DELETE FROM {table} WHERE {gone}")
    prepare(planted, lake)
    assert _unexpected(planted, table, "samples_complete") == 0


@pytest.mark.parametrize(
    ("constant", "accused"),
    [
        ("layer = 0", 0),  # as in gemma3, whose first layer looks back a window
        ("layer <= 2", 0),  # as in mllama, before its first cross-attention
        ("layer = 1", 1),
        ("layer IN (0, 2)", 1),
        ("TRUE", 6),
    ],
)
def test_the_last_token_may_see_the_image_later(
    planted: duckdb.DuckDBPyConnection, lake: Lake, constant: str, accused: int
) -> None:
    planted.execute(
        "UPDATE activation SET vector = list_resize([1.0], 32, 0) "
        f"WHERE module = 'llm' AND readout = 'last' AND ({constant})"
    )
    prepare(planted, lake)
    assert _unexpected(planted, "activation", "vectors_vary") == accused


@pytest.mark.parametrize(
    ("constant", "blind", "accused"),
    [
        ("layer = 0", ["llm.0"], 0),
        ("layer <= 2", ["llm.0", "llm.1", "llm.2"], 0),
        ("layer <= 2", ["llm.0"], 2),
        ("layer = 0", [], 1),  # the self-check saw it differ there
        ("TRUE", ["llm.0"], 5),
    ],
)
def test_where_the_self_check_looked_nothing_else_is_excused(
    planted: duckdb.DuckDBPyConnection,
    lake: Lake,
    monkeypatch: pytest.MonkeyPatch,
    constant: str,
    blind: list[str],
    accused: int,
) -> None:
    planted.execute(
        "UPDATE activation SET vector = list_resize([1.0], 32, 0) "
        f"WHERE module = 'llm' AND readout = 'last' AND ({constant})"
    )
    told = [replace(one, notes={**one.notes, BLIND: blind}) for one in list_commits(lake)]
    monkeypatch.setattr(running, "list_commits", lambda _: told)
    prepare(planted, lake)
    assert _unexpected(planted, "activation", "vectors_vary") == accused


def test_a_fault_may_leave_vectors_constant(planted: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    planted.execute(PLANTED["activation.vectors_vary"])
    planted.execute("UPDATE model SET variant = 'fault:block@llm' WHERE model_id = 'alpha'")
    prepare(planted, lake)
    assert _unexpected(planted, "activation", "vectors_vary") == 0
