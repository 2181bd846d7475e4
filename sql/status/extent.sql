-- Grain: one row per (model, dataset, module) with activations: how much of the module they cover,
-- in loci and samples, and how many cells (one readout of one locus) no probe has read that was
-- fitted for the dataset's score.
WITH probed AS (
    SELECT DISTINCT
        probe.model_id,
        probe.dataset_id,
        probe.module,
        probe.layer,
        probe.readout
    FROM probe
    LEFT JOIN dataset ON probe.dataset_id = dataset.dataset_id
    WHERE probe.control = 'none' AND probe.score = coalesce(dataset.score, 'accuracy')
),

layers AS (
    SELECT
        model_id,
        module,
        count(*) AS n_loci
    FROM layer
    GROUP BY model_id, module
),

cells AS (
    SELECT
        model_id,
        dataset_id,
        module,
        layer,
        readout,
        count(*) AS n_samples
    FROM activation
    GROUP BY model_id, dataset_id, module, layer, readout
)

SELECT
    cells.model_id,
    cells.dataset_id,
    cells.module,
    count(DISTINCT cells.layer) AS n_loci_extracted,
    coalesce(any_value(layers.n_loci), count(DISTINCT cells.layer)) AS n_loci,
    list_sort(list(DISTINCT cells.readout)) AS readouts,
    min(cells.n_samples) AS n_samples,
    count(*) FILTER (WHERE probed.model_id IS NULL) AS n_unprobed
FROM cells
LEFT JOIN module ON cells.model_id = module.model_id AND cells.module = module.module
LEFT JOIN layers ON cells.model_id = layers.model_id AND cells.module = layers.module
LEFT JOIN probed
    ON
        cells.model_id = probed.model_id
        AND cells.dataset_id = probed.dataset_id
        AND cells.module = probed.module
        AND cells.layer = probed.layer
        AND cells.readout = probed.readout
GROUP BY cells.model_id, cells.dataset_id, cells.module
ORDER BY cells.model_id, cells.dataset_id, any_value(module.module_order)
