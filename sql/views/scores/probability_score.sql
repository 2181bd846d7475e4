-- Grain: one row per probe or baseline and split; the one definition of what probabilities score.
--
-- Probabilities are the softmax of the stored logits. auroc is the area under the one-vs-rest ROC
-- curve, ties counting half (Mann-Whitney), as a mean over the classes that occur; NULL where only
-- one does. log_loss is the mean -ln of the true class' probability.
-- expected_calibration_error is the mean gap between confidence and accuracy over 15 equally wide
-- bins of confidence, weighed by their samples (Guo et al. 2017). All three are NULL where a logit
-- makes the loss NaN or infinite.
WITH classifiers AS (
    SELECT
        'probe' AS source,
        probe_id AS source_id,
        dataset_id
    FROM scored_probe
    UNION ALL
    SELECT
        'baseline' AS source,
        baseline_id AS source_id,
        dataset_id
    FROM scored_baseline
),

splits AS (
    SELECT split
    FROM probe_logit
    UNION
    SELECT split
    FROM baseline_logit
),

-- Millions of logits are sorted and grouped below: by one number, not by three names.
series AS MATERIALIZED (
    SELECT
        classifiers.source,
        classifiers.source_id,
        classifiers.dataset_id,
        s.split,
        cast(
            row_number()
                OVER (ORDER BY classifiers.source, classifiers.source_id, s.split)
            AS INTEGER
        ) AS series
    FROM classifiers
    CROSS JOIN splits AS s
),

scored AS (
    SELECT
        series.series,
        s.class_index,
        l.predicted_class_index,
        l.logits,
        cast(list_max(l.logits) AS DOUBLE) AS largest
    FROM probe_logit AS l
    INNER JOIN series ON l.probe_id = series.source_id AND l.split = series.split
    INNER JOIN sample AS s ON series.dataset_id = s.dataset_id AND l.sample_id = s.sample_id
    WHERE series.source = 'probe'
    UNION ALL
    SELECT
        series.series,
        s.class_index,
        l.predicted_class_index,
        l.logits,
        cast(list_max(l.logits) AS DOUBLE) AS largest
    FROM baseline_logit AS l
    INNER JOIN series ON l.baseline_id = series.source_id AND l.split = series.split
    INNER JOIN sample AS s ON series.dataset_id = s.dataset_id AND l.sample_id = s.sample_id
    WHERE series.source = 'baseline'
),

normalised AS MATERIALIZED (
    SELECT
        *,
        ln(list_sum(list_transform(logits, LAMBDA x: exp(x - largest)))) AS log_total
    FROM scored
),

confidences AS (
    SELECT
        series,
        log_total - (logits[class_index + 1] - largest) AS loss,
        exp(-log_total) AS confidence,
        cast(class_index = predicted_class_index AS INTEGER) AS is_right
    FROM normalised
),

bins AS (
    SELECT
        series,
        -- Rounded, so that a confidence on an edge belongs to the bin below on every machine.
        greatest(least(try_cast(ceil(round(confidence * 15, 9)) AS INTEGER) - 1, 14), 0) AS bin,
        count(*) AS n,
        sum(loss) AS loss,
        sum(is_right - confidence) AS gap
    FROM confidences
    GROUP BY ALL
),

calibrations AS (
    SELECT
        series,
        sum(loss) / sum(n) AS log_loss,
        sum(abs(gap)) / sum(n) AS expected_calibration_error
    FROM bins
    GROUP BY series
),

one_vs_rest AS (
    SELECT
        series,
        class_index AS true_class,
        largest,
        log_total,
        unnest(logits) AS logit,
        cast(generate_subscripts(logits, 1) - 1 AS INTEGER) AS class_index
    FROM normalised
),

-- Largest logit 0: probabilities that are equal then stay equal in the last digit.
curves AS (
    SELECT
        series,
        class_index,
        true_class = class_index AS is_positive,
        exp((logit - largest) - log_total) AS probability
    FROM one_vs_rest
),

-- Twice the rank, ties in the middle of their ranks.
ranked AS (
    SELECT
        series,
        class_index,
        is_positive,
        rank() OVER by_probability + count(*) OVER by_probability AS twice_rank
    FROM curves
    WINDOW by_probability AS (PARTITION BY series, class_index ORDER BY probability)
),

rank_sums AS (
    SELECT
        series,
        class_index,
        count(*) FILTER (WHERE is_positive) AS positives,
        count(*) FILTER (WHERE NOT is_positive) AS negatives,
        sum(twice_rank) FILTER (WHERE is_positive) AS twice_ranks
    FROM ranked
    GROUP BY series, class_index
),

mean_areas AS (
    SELECT
        series,
        avg((twice_ranks - positives * (positives + 1)) / (2 * positives * negatives)) AS auroc
    FROM rank_sums
    WHERE positives > 0 AND negatives > 0
    GROUP BY series
)

SELECT
    series.source,
    series.source_id,
    series.split,
    CASE WHEN isfinite(calibrations.log_loss) THEN mean_areas.auroc END AS auroc,
    CASE WHEN isfinite(calibrations.log_loss) THEN calibrations.log_loss END AS log_loss,
    CASE
        WHEN isfinite(calibrations.log_loss) THEN calibrations.expected_calibration_error
    END AS expected_calibration_error
FROM calibrations
INNER JOIN series ON calibrations.series = series.series
LEFT JOIN mean_areas ON calibrations.series = mean_areas.series
