-- Grain: one row per (model, dataset) that was probed: on how many test samples, and whether they are
-- those that models of the dataset are compared on, the largest set (of equally large ones the one
-- that most models have, then the first model's by name). A probe that a stage rests on tells; where
-- none does, any.
WITH one_probe AS (
    SELECT
        scored_probe.model_id,
        scored_probe.dataset_id,
        coalesce(max(stage_probe.probe_id), max(scored_probe.probe_id)) AS probe_id
    FROM scored_probe
    LEFT JOIN stage_probe ON scored_probe.probe_id = stage_probe.probe_id AND stage_probe.rank = 1
    GROUP BY scored_probe.model_id, scored_probe.dataset_id
),

probed AS (
    SELECT
        one_probe.model_id,
        one_probe.dataset_id,
        count(*) AS n_test,
        bit_xor(hash(probe_logit.sample_id)) AS samples
    FROM probe_logit
    INNER JOIN one_probe ON probe_logit.probe_id = one_probe.probe_id
    WHERE probe_logit.split = 'test'
    GROUP BY one_probe.model_id, one_probe.dataset_id
),

compared AS (
    SELECT
        dataset_id,
        samples
    FROM probed
    GROUP BY dataset_id, samples, n_test
    QUALIFY row_number() OVER (
        PARTITION BY dataset_id
        ORDER BY n_test DESC, count(*) DESC, min(model_id) ASC
    ) = 1
)

SELECT
    probed.model_id,
    probed.dataset_id,
    probed.n_test,
    probed.samples = compared.samples AS is_compared
FROM probed
INNER JOIN compared ON probed.dataset_id = compared.dataset_id
