-- Grain: one row per (model, dataset) with a probe of the image tokens at the llm's end: what they
-- still hold there, by the probe that is best on val.
WITH llm_ends AS (
    SELECT
        model_id,
        max(depth) AS end_depth
    FROM layer
    WHERE on_path AND module = 'llm'
    GROUP BY model_id
)

SELECT
    signal_flow.model_id,
    signal_flow.dataset_id,
    signal_flow.score,
    signal_flow.test_accuracy
FROM signal_flow
INNER JOIN llm_ends
    ON signal_flow.model_id = llm_ends.model_id AND signal_flow.depth = llm_ends.end_depth
INNER JOIN readout ON signal_flow.readout = readout.name
LEFT JOIN probe_kind ON signal_flow.kind = probe_kind.name
WHERE
    signal_flow.on_path
    AND signal_flow.module = 'llm'
    AND readout.reads = 'image'
    AND signal_flow.test_accuracy IS NOT NULL
QUALIFY row_number() OVER (
    PARTITION BY signal_flow.model_id, signal_flow.dataset_id
    ORDER BY
        round(signal_flow.val_accuracy, 9) DESC NULLS LAST,
        signal_flow.readout ASC,
        probe_kind.preference ASC NULLS LAST,
        signal_flow.kind ASC
) = 1
