-- Grain: one row per dataset with labelled test samples: the smallest loss of a stage that it can
-- show, before any model was run.
--
-- n_effective is how many independent images of equal weight would tell as much: the square of the
-- weights' sum over the sum of their squares (Kish 1965), those of whole groups, as if the images of a
-- group stood or fell together. Intervals of out-of-fold predictions are wider, as those of fewer
-- images would be. What stands for two stages differs in nothing but what is lost
-- (least_detectable_loss) or in two of ten images beside (likely_detectable_loss).
WITH group_weights AS (
    SELECT
        dataset_id,
        group_id,
        count(*) AS n,
        sum(weight) AS weight
    FROM scored_sample
    GROUP BY dataset_id, group_id
),

sizes AS (
    SELECT
        dataset_id,
        cast(sum(n) AS BIGINT) AS n_samples,
        count(*) AS n_groups,
        sum(weight) ^ 2 / sum(weight ^ 2) AS n_alike
    FROM group_weights
    GROUP BY dataset_id
),

widened AS (
    SELECT
        sizes.*,
        dataset.score,
        CASE
            WHEN dataset.evaluation = 'folds'
                THEN by_score(dataset.score, 1.1, 1) * fold_widening(sizes.n_groups)
            ELSE 1
        END AS widening
    FROM sizes
    INNER JOIN dataset ON sizes.dataset_id = dataset.dataset_id
)

SELECT
    widened.dataset_id,
    widened.score,
    widened.n_samples,
    widened.n_groups,
    widened.widening,
    widened.n_alike / widened.widening ^ 2 AS n_effective,
    smallest_loss(0, widened.n_alike / widened.widening ^ 2, threshold.margin)
        AS least_detectable_loss,
    smallest_loss(0.2, widened.n_alike / widened.widening ^ 2, threshold.margin)
        AS likely_detectable_loss
FROM widened
CROSS JOIN threshold
