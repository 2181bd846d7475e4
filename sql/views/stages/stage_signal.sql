-- Grain: one row per (model, dataset, stage) that has at least one candidate.
--
-- The signal still available after a stage: the test accuracy (by the dataset's score) of the
-- candidate chosen on val, then the running maximum from the answer backwards, since what a later
-- stage shows was there before. It never rises from one stage to the next. Under folds the accuracy
-- is that of the choices made for each fold, and what is named is the candidate that is best on all
-- of val.
WITH folded_strata AS (
    SELECT
        model_id,
        dataset_id,
        stage,
        stratum,
        avg(cast(is_right AS INTEGER)) AS test_accuracy
    FROM fold_prediction
    GROUP BY model_id, dataset_id, stage, stratum
),

folded AS (
    SELECT
        model_id,
        dataset_id,
        stage,
        avg(test_accuracy) AS test_accuracy
    FROM folded_strata
    GROUP BY model_id, dataset_id, stage
),

chosen AS (
    SELECT
        stage_candidate.model_id,
        stage_candidate.dataset_id,
        stage_candidate.stage,
        stage_candidate.stage_order,
        stage_candidate.module,
        stage_candidate.layer,
        stage_candidate.readout,
        stage_candidate.kind,
        stage_candidate.n_test,
        stage_candidate.score,
        stage_candidate.chance,
        stage_candidate.val_accuracy,
        coalesce(folded.test_accuracy, stage_candidate.test_accuracy) AS test_accuracy
    FROM stage_candidate
    LEFT JOIN folded
        ON
            stage_candidate.model_id = folded.model_id
            AND stage_candidate.dataset_id = folded.dataset_id
            AND stage_candidate.stage = folded.stage
    WHERE stage_candidate.rank = 1
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
    score,
    chance,
    val_accuracy,
    test_accuracy,
    available_accuracy,
    (available_accuracy - chance) / nullif(1 - chance, 0) AS signal
FROM available
