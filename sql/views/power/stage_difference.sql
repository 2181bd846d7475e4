-- Grain: one row per (model, dataset, stage, labelled test sample): how much more what stands for the
-- stage before knows of it than what stands for this one, by shares of seeds that are right; stage
-- `total` from the reference to the answer.
--
-- Where no baseline is better than what is read after vision, that is the reference. Under folds each
-- fold has chosen its own baseline.
WITH baselines AS (
    SELECT
        dataset_id,
        sample_id,
        avg(cast(is_right AS INTEGER)) AS is_right
    FROM reference_prediction
    GROUP BY dataset_id, sample_id
),

shares AS (
    SELECT
        model_id,
        dataset_id,
        sample_id,
        avg(cast(is_right AS INTEGER)) FILTER (WHERE stage = 'vision') AS vision,
        avg(cast(is_right AS INTEGER)) FILTER (WHERE stage = 'connector') AS connector,
        avg(cast(is_right AS INTEGER)) FILTER (WHERE stage = 'llm') AS llm,
        avg(cast(is_right AS INTEGER)) FILTER (WHERE stage = 'answer') AS answer
    FROM seed_prediction
    GROUP BY model_id, dataset_id, sample_id
),

referred AS (
    SELECT
        shares.*,
        CASE
            WHEN stage_loss.reference_source = 'baseline' THEN baselines.is_right
            ELSE shares.vision
        END AS reference
    FROM shares
    INNER JOIN stage_loss
        ON
            shares.model_id = stage_loss.model_id
            AND shares.dataset_id = stage_loss.dataset_id
            AND stage_loss.stage = 'vision'
    LEFT JOIN baselines
        ON
            shares.dataset_id = baselines.dataset_id
            AND shares.sample_id = baselines.sample_id
),

steps AS (
    SELECT stage.stage
    FROM stage
    UNION ALL
    SELECT 'total' AS stage
),

differences AS (
    SELECT
        referred.model_id,
        referred.dataset_id,
        steps.stage,
        referred.sample_id,
        CASE steps.stage
            WHEN 'vision' THEN referred.reference - referred.vision
            WHEN 'connector' THEN referred.vision - referred.connector
            WHEN 'llm' THEN referred.connector - referred.llm
            WHEN 'answer' THEN referred.llm - referred.answer
            ELSE referred.reference - referred.answer
        END AS difference
    FROM referred
    CROSS JOIN steps
)

SELECT
    differences.model_id,
    differences.dataset_id,
    differences.stage,
    differences.sample_id,
    scored_sample.group_id,
    scored_sample.weight,
    differences.difference
FROM differences
INNER JOIN scored_sample
    ON
        differences.dataset_id = scored_sample.dataset_id
        AND differences.sample_id = scored_sample.sample_id
WHERE differences.difference IS NOT NULL
