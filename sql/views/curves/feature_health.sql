-- Grain: one row per (model, dataset, module, track); track `mean` follows the averaged image
-- tokens (comprehension), track `last` the final prompt token (utilisation, llm only).
--
-- The feature health score of arXiv 2604.08333, with P the probes' test accuracy as a fraction, by
-- the dataset's score (the paper knows plain accuracy):
--     score = P_end * (1 + gain) * penalty
--     gain = ln(P_end / sqrt(P_start * P_min))
--     penalty = exp(-0.2 * sum |P_next - P| / P_end)
-- P runs over the loci of `health_curve`; a score needs the module's first and last on-path locus
-- among them. Where the paper is silent: P_end = 0 scores 0, P_start * P_min = 0 has no gain and
-- no score.
WITH steps AS (
    SELECT
        *,
        abs(test_accuracy - lag(test_accuracy) OVER (
            PARTITION BY model_id, dataset_id, module, track
            ORDER BY depth
        )) AS step
    FROM health_curve
),

summaries AS (
    SELECT
        model_id,
        dataset_id,
        module,
        track,
        count(*) AS n_loci,
        any_value(score) AS score,
        max(test_accuracy) FILTER (WHERE is_start) AS p_start,
        min(test_accuracy) AS p_min,
        max(test_accuracy) FILTER (WHERE is_end) AS p_end,
        coalesce(sum(step), 0) AS total_variation
    FROM steps
    GROUP BY model_id, dataset_id, module, track
),

factors AS (
    SELECT
        *,
        CASE
            WHEN p_end > 0 AND p_start * p_min > 0 THEN ln(p_end / sqrt(p_start * p_min))
        END AS gain_factor,
        CASE
            WHEN p_end > 0 THEN exp(-0.2 * total_variation / p_end)
        END AS variation_penalty
    FROM summaries
)

SELECT
    model_id,
    dataset_id,
    module,
    track,
    n_loci,
    score,
    p_start,
    p_min,
    p_end,
    gain_factor,
    variation_penalty,
    CASE
        WHEN p_end = 0 THEN 0
        ELSE p_end * (1 + gain_factor) * variation_penalty
    END AS health_score
FROM factors
