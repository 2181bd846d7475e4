-- Of every layer on the path the readout that val chose, and what it shows on test.
WITH flow AS (
    SELECT *
    FROM mart_signal_flow
    WHERE
        dataset_id = $dataset
        AND list_contains($models, model_id)
        AND on_path
        AND test_accuracy IS NOT NULL
),

-- The preferred kind where there are several, so that one curve never mixes two.
one_kind AS (
    SELECT flow.*
    FROM flow
    LEFT JOIN probe_kind ON flow.probe_kind = probe_kind.name
    QUALIFY
        rank() OVER (
            PARTITION BY flow.model_id, flow.readout
            ORDER BY probe_kind.preference ASC NULLS LAST, flow.probe_kind ASC
        ) = 1
)

SELECT
    model_id,
    depth,
    module,
    module_order,
    layer,
    readout,
    probe_kind,
    test_accuracy,
    chance
FROM one_kind
QUALIFY
    row_number() OVER (
        PARTITION BY model_id, depth
        ORDER BY val_accuracy DESC NULLS LAST, readout ASC
    ) = 1
ORDER BY model_id, depth
