-- Grain: one row per stage of one model: the class that is read there of one sample, and where.
SELECT
    stage_prediction.stage,
    stage_signal.module,
    stage_signal.layer,
    stage_signal.readout,
    stage_prediction.predicted_class_index,
    class.label AS predicted,
    coalesce(stage_prediction.predicted_class_index = stage_prediction.class_index, FALSE)
        AS is_right
FROM stage_prediction
LEFT JOIN class
    ON
        stage_prediction.dataset_id = class.dataset_id
        AND stage_prediction.predicted_class_index = class.class_index
LEFT JOIN stage_signal
    ON
        stage_prediction.model_id = stage_signal.model_id
        AND stage_prediction.dataset_id = stage_signal.dataset_id
        AND stage_prediction.stage = stage_signal.stage
LEFT JOIN stage ON stage_prediction.stage = stage.stage
WHERE
    stage_prediction.model_id = $model
    AND stage_prediction.dataset_id = $dataset
    AND stage_prediction.sample_id = $sample
ORDER BY stage.stage_order
