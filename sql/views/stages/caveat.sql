-- Grain: one row per (model, dataset) that probes or answers are stored of: what to know of its
-- numbers. n_left_out test samples are not scored, since the model saw them, or others
-- of their groups, in training; is_fitted_otherwise where its probes are fitted for another score
-- than the dataset's, NULL without probes; is_untrained where its weights are random.
WITH left_out AS (
    SELECT
        model_id,
        dataset_id,
        count(*) AS n_left_out
    FROM left_out_sample
    GROUP BY model_id, dataset_id
)

SELECT
    examination.model_id,
    examination.dataset_id,
    coalesce(left_out.n_left_out, 0) AS n_left_out,
    probe_fit.fitted_score <> dataset.score AS is_fitted_otherwise,
    coalesce(contains(concat('+', examination.variant), '+random:'), FALSE) AS is_untrained
FROM examination
LEFT JOIN left_out
    ON
        examination.model_id = left_out.model_id
        AND examination.dataset_id = left_out.dataset_id
LEFT JOIN probe_fit
    ON
        examination.model_id = probe_fit.model_id
        AND examination.dataset_id = probe_fit.dataset_id
LEFT JOIN dataset ON examination.dataset_id = dataset.dataset_id
