-- Grain: one row per (model, dataset, probe kind): probes on true labels, the cells (locus and
-- readout) they stand at, and the controls.
WITH cells AS (
    SELECT
        model_id,
        dataset_id,
        kind,
        module,
        layer,
        readout,
        count(*) FILTER (WHERE control = 'none') AS n_probes,
        count(*) FILTER (WHERE control <> 'none') AS n_controls
    FROM probe
    GROUP BY model_id, dataset_id, kind, module, layer, readout
)

SELECT
    model_id,
    dataset_id,
    kind,
    cast(sum(n_probes) AS BIGINT) AS n_probes,
    cast(sum(n_controls) AS BIGINT) AS n_controls,
    count(*) FILTER (WHERE n_probes > 0) AS n_cells
FROM cells
GROUP BY model_id, dataset_id, kind
ORDER BY model_id, dataset_id, kind
