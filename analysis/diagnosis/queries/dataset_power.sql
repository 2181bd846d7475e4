-- What the test images of one dataset show, and how many like them would show losses of 3 to 20
-- points.
SELECT
    dataset_power.score,
    dataset_power.n_samples,
    dataset_power.n_groups,
    dataset_power.n_effective,
    dataset_power.least_detectable_loss,
    dataset_power.likely_detectable_loss,
    losses.loss,
    cast(
        ceil(
            settling_size(0, losses.loss, threshold.margin)
            * dataset_power.n_samples / dataset_power.n_effective
        ) AS BIGINT
    ) AS least_images,
    cast(
        ceil(
            settling_size(0.2, losses.loss, threshold.margin)
            * dataset_power.n_samples / dataset_power.n_effective
        ) AS BIGINT
    ) AS likely_images
FROM dataset_power
CROSS JOIN threshold
CROSS JOIN (VALUES (0.03), (0.05), (0.10), (0.20)) AS losses (loss)
WHERE dataset_power.dataset_id = $dataset
ORDER BY losses.loss
