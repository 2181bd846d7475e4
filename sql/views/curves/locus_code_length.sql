-- Grain: one row per model, dataset, locus and readout: the online code length of the train labels
-- (Voita & Titov 2020), mean over orders of train (under folds of all samples but those of the fold that
-- penalties are chosen on, another one for every order). compression = uniform_bits / online_bits.
WITH lengths AS (
    SELECT
        model_id,
        dataset_id,
        module,
        layer,
        readout,
        count(*) AS n_seeds,
        max(n_train) AS n_train,
        avg(online_bits) AS online_bits,
        avg(uniform_bits) AS uniform_bits
    FROM code_length
    GROUP BY model_id, dataset_id, module, layer, readout
)

SELECT
    lengths.model_id,
    lengths.dataset_id,
    layer.depth,
    lengths.module,
    lengths.layer,
    lengths.readout,
    lengths.n_seeds,
    lengths.n_train,
    lengths.online_bits,
    lengths.uniform_bits,
    lengths.uniform_bits / nullif(lengths.online_bits, 0) AS compression
FROM lengths
INNER JOIN layer
    ON
        lengths.model_id = layer.model_id
        AND lengths.module = layer.module
        AND lengths.layer = layer.layer
