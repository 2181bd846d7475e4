-- Grain: one row per sample whose vector at one place points most nearly where one sample's does,
-- with what the model made of it where that is scored.
SELECT
    near.sample_id,
    near.label,
    near.split,
    near.cosine,
    CASE WHEN outcome.answer_parsed THEN outcome.predicted_label END AS answer,
    outcome.answer_knows
FROM nearest($model, $dataset, $module, $layer, $readout, $sample, k := 12) AS near
LEFT JOIN mart_sample_outcomes AS outcome
    ON
        outcome.model_id = $model
        AND outcome.dataset_id = $dataset
        AND near.sample_id = outcome.sample_id
ORDER BY near.cosine DESC NULLS LAST, near.sample_id ASC
