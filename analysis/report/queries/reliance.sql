SELECT
    reliance.method,
    reliance.prompt_id,
    reliance.n,
    reliance.accuracy,
    reliance.blank_accuracy,
    reliance.image_gain,
    reliance.stay_share,
    reliance.follow_share,
    reliance.keep_share,
    reliance.ignores_image
FROM image_reliance AS reliance
INNER JOIN diagnosed_method
    ON
        reliance.model_id = diagnosed_method.model_id
        AND reliance.dataset_id = diagnosed_method.dataset_id
        AND reliance.method = diagnosed_method.method
        AND reliance.prompt_id = diagnosed_method.prompt_id
WHERE
    reliance.model_id = $model
    AND reliance.dataset_id = $dataset
    AND reliance.split = 'test'
