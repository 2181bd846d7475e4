-- What to know of the numbers of a model on a dataset: how many test samples are left out because the
-- model saw them, or others of their groups, whether its probes are fitted for another score than the
-- dataset's, which is NULL without probes, and whether its weights are untrained.
SELECT
    (
        SELECT count(*)
        FROM left_out_sample
        WHERE model_id = $model AND dataset_id = $dataset
    ) AS n_seen,
    (
        SELECT probe_fit.fitted_score <> dataset.score
        FROM probe_fit
        INNER JOIN dataset ON probe_fit.dataset_id = dataset.dataset_id
        WHERE probe_fit.model_id = $model AND probe_fit.dataset_id = $dataset
    ) AS is_fitted_otherwise,
    coalesce(
        (
            SELECT regexp_matches(variant, '(^|[+])random:')
            FROM model
            WHERE model_id = $model
        ),
        FALSE
    ) AS is_untrained
