-- Grain: one row per (model, dataset, stage, test sample) that the stage was tried on.
--
-- What stands for a stage says of one image. A probe speaks with its lowest seed, since a single
-- image needs one class; an answer that could not be parsed names none.
SELECT
    model_id,
    dataset_id,
    stage,
    sample_id,
    class_index,
    predicted_class_index
FROM seed_prediction
WHERE seed = 0
