-- Grain: one row per (model, dataset, stage) that has at least one candidate.
--
-- The signal still available after a stage: the test accuracy of the candidate chosen on val,
-- then the running maximum from the answer backwards, since what a later stage shows was there
-- before. It never rises from one stage to the next.
WITH chosen AS (
    SELECT *
    FROM stage_candidate
    WHERE rank = 1
),

available AS (
    SELECT
        *,
        max(test_accuracy) OVER (
            PARTITION BY model_id, dataset_id
            ORDER BY stage_order DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS available_accuracy
    FROM chosen
)

SELECT
    model_id,
    dataset_id,
    stage,
    stage_order,
    module,
    layer,
    readout,
    kind,
    n_test,
    chance,
    val_accuracy,
    test_accuracy,
    available_accuracy,
    (available_accuracy - chance) / nullif(1 - chance, 0) AS signal
FROM available
