"""The tables that agents write, as the migrations define them."""

from __future__ import annotations

import pyarrow as pa
import pytest

from warehouse.errors import UsageError
from warehouse.schema import FACT_KEYS, PARTITIONS, table_key, table_schema, tables


def test_every_table_of_the_design_is_there() -> None:
    assert set(tables()) >= {
        "activation",
        "answer",
        "attribute_label",
        "attribute_shortcut",
        "baseline",
        "baseline_logit",
        "border_fidelity",
        "class",
        "code_length",
        "dataset",
        "dataset_audit",
        "fault_trial",
        "fold_logit",
        "fold_probe",
        "health_interval",
        "image_fact",
        "image_file",
        "layer",
        "locus_geometry",
        "logit_lens",
        "model",
        "model_base",
        "module",
        "near_duplicate",
        "package_readout",
        "pair_interval",
        "mend",
        "patch_effect",
        "steer_effect",
        "probe",
        "probe_coefficient",
        "probe_logit",
        "rejected_sample",
        "removed_run",
        "removed_sample",
        "run",
        "sample",
        "sample_attribute",
        "seen_sample",
        "shortcut",
        "stage_interval",
        "target_probe",
        "token_activation",
    }


def test_schemas_say_types_and_what_may_be_null() -> None:
    answer = table_schema("answer")
    assert answer.field("label_logprobs") == pa.field("label_logprobs", pa.list_(pa.float32()))
    assert answer.field("parsed") == pa.field("parsed", pa.bool_(), nullable=False)
    assert table_schema("run").field("started_at").type == pa.timestamp("us")
    activation = table_schema("activation")
    assert activation.field("vector").type == pa.list_(pa.float32())
    assert not any(field.nullable for field in activation)
    tokens = table_schema("token_activation")
    assert [field.name for field in tokens if field.nullable] == ["row", "column"]


@pytest.mark.parametrize("table", tables())
def test_every_table_has_a_key_and_names_its_run(table: str) -> None:
    names = table_schema(table).names
    assert "run_id" in names
    assert set(table_key(table)) <= set(names)
    assert set(FACT_KEYS.get(table, ())) <= set(names)


def test_only_facts_are_partitioned() -> None:
    assert set(PARTITIONS) == set(FACT_KEYS)


def test_an_unknown_table_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="no table 'sampel'; did you mean sample"):
        table_schema("sampel")
