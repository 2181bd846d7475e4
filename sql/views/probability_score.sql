-- Grain: one row per probe or baseline and split; the one definition of what probabilities score.
--
-- Probabilities are the softmax of the stored logits. auroc is the area under the one-vs-rest ROC
-- curve, ties counting half (Mann-Whitney), as a mean over the classes that occur; NULL where only
-- one does. log_loss is the mean -ln of the true class' probability.
-- expected_calibration_error is the mean gap between confidence and accuracy over 15 equally wide
-- bins of confidence, weighed by their samples (Guo et al. 2017).
WITH samples AS (
    SELECT
        dataset_id,
        sample_id,
        class_index
    FROM sample
),

scored AS (
    SELECT
        'probe' AS source,
        p.probe_id AS source_id,
        l.split,
        s.sample_id,
        s.class_index,
        l.predicted_class_index,
        cast(l.logits AS DOUBLE[]) AS logits
    FROM probe_logit AS l
    INNER JOIN probe AS p ON l.probe_id = p.probe_id
    INNER JOIN samples AS s ON p.dataset_id = s.dataset_id AND l.sample_id = s.sample_id
    UNION ALL
    SELECT
        'baseline' AS source,
        b.baseline_id AS source_id,
        l.split,
        s.sample_id,
        s.class_index,
        l.predicted_class_index,
        cast(l.logits AS DOUBLE[]) AS logits
    FROM baseline_logit AS l
    INNER JOIN baseline AS b ON l.baseline_id = b.baseline_id
    INNER JOIN samples AS s ON b.dataset_id = s.dataset_id AND l.sample_id = s.sample_id
),

-- Largest logit 0: probabilities that are equal then stay equal in the last digit.
shifted AS (
    SELECT
        * EXCLUDE (logits),
        list_transform(logits, LAMBDA x: x - list_max(logits)) AS logits
    FROM scored
),

normalised AS (
    SELECT
        *,
        ln(list_sum(list_transform(logits, LAMBDA x: exp(x)))) AS log_total
    FROM shifted
),

confidences AS (
    SELECT
        source,
        source_id,
        split,
        log_total - logits[class_index + 1] AS loss,
        exp(-log_total) AS confidence,
        cast(class_index = predicted_class_index AS INTEGER) AS is_right
    FROM normalised
),

bins AS (
    SELECT
        source,
        source_id,
        split,
        -- Rounded, so that a confidence on an edge belongs to the bin below on every machine.
        greatest(least(cast(ceil(round(confidence * 15, 9)) AS INTEGER) - 1, 14), 0) AS bin,
        count(*) AS n,
        sum(loss) AS loss,
        sum(is_right - confidence) AS gap
    FROM confidences
    GROUP BY ALL
),

calibrations AS (
    SELECT
        source,
        source_id,
        split,
        sum(loss) / sum(n) AS log_loss,
        sum(abs(gap)) / sum(n) AS expected_calibration_error
    FROM bins
    GROUP BY source, source_id, split
),

one_vs_rest AS (
    SELECT
        source,
        source_id,
        split,
        class_index AS true_class,
        log_total,
        unnest(logits) AS logit,
        generate_subscripts(logits, 1) - 1 AS class_index
    FROM normalised
),

steps AS (
    SELECT
        source,
        source_id,
        split,
        class_index,
        exp(logit - log_total) AS probability,
        count(*) FILTER (WHERE true_class = class_index) AS positives,
        count(*) FILTER (WHERE true_class <> class_index) AS negatives
    FROM one_vs_rest
    GROUP BY ALL
),

ranked AS (
    SELECT
        source,
        source_id,
        split,
        class_index,
        positives,
        negatives,
        sum(negatives) OVER (
            PARTITION BY source, source_id, split, class_index
            ORDER BY probability
        ) AS negatives_up_to_here
    FROM steps
),

areas AS (
    SELECT
        source,
        source_id,
        split,
        class_index,
        sum(positives * (negatives_up_to_here - negatives / 2))
        / (sum(positives) * sum(negatives)) AS area
    FROM ranked
    GROUP BY source, source_id, split, class_index
    HAVING sum(positives) > 0 AND sum(negatives) > 0
),

mean_areas AS (
    SELECT
        source,
        source_id,
        split,
        avg(area) AS auroc
    FROM areas
    GROUP BY source, source_id, split
)

SELECT
    calibrations.source,
    calibrations.source_id,
    calibrations.split,
    mean_areas.auroc,
    calibrations.log_loss,
    calibrations.expected_calibration_error
FROM calibrations
LEFT JOIN mean_areas
    ON
        calibrations.source = mean_areas.source
        AND calibrations.source_id = mean_areas.source_id
        AND calibrations.split = mean_areas.split
