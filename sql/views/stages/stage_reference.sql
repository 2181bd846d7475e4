-- Grain: one row per (model, dataset) with a stage signal and a baseline: what the best baseline, chosen
-- on val, reads of the samples that the model is scored on, by the dataset's score.
--
-- Of all test samples, but for those that the model saw in training.
WITH folded_strata AS (
    SELECT
        dataset_id,
        stratum,
        avg(cast(is_right AS INTEGER)) AS test_accuracy
    FROM fold_prediction
    WHERE stage = 'reference'
    GROUP BY dataset_id, stratum
),

folded_baselines AS (
    SELECT
        dataset_id,
        avg(test_accuracy) AS test_accuracy
    FROM folded_strata
    GROUP BY dataset_id
),

unseen_strata AS (
    SELECT
        of_models.model_id,
        of_models.dataset_id,
        reference_prediction.stratum,
        avg(cast(reference_prediction.is_right AS INTEGER)) AS test_accuracy
    FROM (
        SELECT DISTINCT
            model_id,
            dataset_id
        FROM left_out_sample
    ) AS of_models
    INNER JOIN reference_prediction ON of_models.dataset_id = reference_prediction.dataset_id
    LEFT JOIN left_out_sample AS seen
        ON
            of_models.model_id = seen.model_id
            AND of_models.dataset_id = seen.dataset_id
            AND reference_prediction.sample_id = seen.sample_id
    WHERE seen.sample_id IS NULL
    GROUP BY of_models.model_id, of_models.dataset_id, reference_prediction.stratum
),

unseen_baselines AS (
    SELECT
        model_id,
        dataset_id,
        avg(test_accuracy) AS test_accuracy
    FROM unseen_strata
    GROUP BY model_id, dataset_id
),

all_baselines AS (
    SELECT
        baseline_candidate.dataset_id,
        coalesce(folded_baselines.test_accuracy, baseline_candidate.test_accuracy)
            AS test_accuracy
    FROM baseline_candidate
    LEFT JOIN folded_baselines ON baseline_candidate.dataset_id = folded_baselines.dataset_id
    WHERE baseline_candidate.rank = 1
)

SELECT
    models.model_id,
    models.dataset_id,
    coalesce(unseen_baselines.test_accuracy, all_baselines.test_accuracy) AS test_accuracy
FROM (
    SELECT DISTINCT
        model_id,
        dataset_id
    FROM stage_signal
) AS models
INNER JOIN all_baselines ON models.dataset_id = all_baselines.dataset_id
LEFT JOIN unseen_baselines
    ON
        models.model_id = unseen_baselines.model_id
        AND models.dataset_id = unseen_baselines.dataset_id
