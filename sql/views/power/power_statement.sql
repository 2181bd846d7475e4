-- Grain: one row per (model, dataset) that a stage was looked at of: the smallest losses that the test
-- images show of it, and how many images would settle a doubt, rounded up to two digits.
--
-- The doubt is settled by the largest loss above the margin; where there is none, by the whole being
-- what a healthy model may lose.
WITH measured AS (
    SELECT
        model_id,
        dataset_id,
        max(n_samples) AS n_samples,
        max(n_groups) AS n_groups,
        min(detectable_loss) AS least,
        max(detectable_loss) AS most,
        coalesce(
            arg_max(n_to_settle, loss) FILTER (WHERE stage <> 'total'),
            max(n_to_settle) FILTER (WHERE stage = 'total')
        ) AS n_to_settle
    FROM detectable_loss
    GROUP BY model_id, dataset_id
),

shown AS (
    SELECT DISTINCT
        stage_loss.model_id,
        stage_loss.dataset_id,
        coalesce(measured.n_samples, dataset_power.n_samples) AS n_samples,
        coalesce(measured.n_groups, dataset_power.n_groups) AS n_groups,
        measured.n_to_settle,
        10 ^ (floor(log10(measured.n_to_settle)) - 1) AS unit,
        round(100 * coalesce(measured.least, dataset_power.least_detectable_loss)) AS least,
        round(100 * coalesce(measured.most, dataset_power.likely_detectable_loss)) AS most
    FROM stage_loss
    INNER JOIN dataset_power ON stage_loss.dataset_id = dataset_power.dataset_id
    LEFT JOIN measured
        ON
            stage_loss.model_id = measured.model_id
            AND stage_loss.dataset_id = measured.dataset_id
)

SELECT
    model_id,
    dataset_id,
    try_cast(ceil(n_to_settle / unit) * unit AS BIGINT) AS n_to_settle,
    concat(
        format('with {:,} test images in {:,} groups ', n_samples, n_groups),
        'the smallest loss that can be shown (80% power) is of ',
        format('{:.0f}', least),
        CASE WHEN least < most THEN format(' to {:.0f}', most) ELSE '' END,
        ' points'
    ) AS statement
FROM shown
