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
        SELECT bool_or(scored_probe.score <> dataset.score)
        FROM scored_probe
        INNER JOIN dataset ON scored_probe.dataset_id = dataset.dataset_id
        WHERE scored_probe.model_id = $model AND scored_probe.dataset_id = $dataset
    ) AS is_fitted_otherwise,
    coalesce(
        (
            SELECT regexp_matches(variant, '(^|[+])random:')
            FROM model
            WHERE model_id = $model
        ),
        FALSE
    ) AS is_untrained
