-- Grain: one row per stage of one model: the class that is read there of one sample.
SELECT
    stage_prediction.stage,
    class.label AS predicted
FROM stage_prediction
LEFT JOIN class
    ON
        stage_prediction.dataset_id = class.dataset_id
        AND stage_prediction.predicted_class_index = class.class_index
LEFT JOIN stage ON stage_prediction.stage = stage.stage
WHERE
    stage_prediction.model_id = $1
    AND stage_prediction.dataset_id = $2
    AND stage_prediction.sample_id = $3
ORDER BY stage.stage_order
