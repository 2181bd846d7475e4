-- Grain: one row per (model, dataset) whose answer is by likelihood: what decides it beside the
-- image, on test.
--
-- Ties are worth a word where there are more than the margin, a correction where it wins more than
-- that and more than chance would (McNemar's test): then the sum that is diagnosed rests on how long
-- the class names are, or how common.
WITH scores AS (
    SELECT
        likelihood_accuracy.model_id,
        likelihood_accuracy.dataset_id,
        likelihood_accuracy.score,
        likelihood_accuracy.accuracy,
        likelihood_accuracy.tied_share,
        exceeds(
            likelihood_accuracy.n_won - likelihood_accuracy.n_lost,
            greatest(
                threshold.margin * likelihood_accuracy.n,
                1.959964 * sqrt(likelihood_accuracy.n_won + likelihood_accuracy.n_lost)
            )
        ) AS is_better,
        threshold.margin
    FROM likelihood_accuracy
    INNER JOIN stage_signal
        ON
            likelihood_accuracy.model_id = stage_signal.model_id
            AND likelihood_accuracy.dataset_id = stage_signal.dataset_id
            AND stage_signal.stage = 'answer'
            AND stage_signal.readout = 'likelihood'
    CROSS JOIN threshold
    WHERE likelihood_accuracy.split = 'test'
),

effects AS (
    SELECT
        model_id,
        dataset_id,
        any_value(margin) AS margin,
        max(accuracy) FILTER (WHERE score = 'sum') AS accuracy,
        max(tied_share) FILTER (WHERE score = 'sum') AS tied_share,
        max_by(score, (accuracy, score)) FILTER (WHERE is_better) AS correction,
        max(accuracy) FILTER (WHERE is_better) AS corrected_accuracy
    FROM scores
    GROUP BY model_id, dataset_id
)

SELECT
    model_id,
    dataset_id,
    accuracy,
    tied_share,
    correction,
    corrected_accuracy,
    nullif(
        concat_ws(
            '; ',
            CASE
                WHEN exceeds(tied_share, margin)
                    THEN concat(
                        format('{:.0f}', 100 * tied_share),
                        '% of the answers by likelihood are ties, which go to the first of their ',
                        'classes'
                    )
            END,
            CASE
                WHEN correction IS NOT NULL
                    THEN concat(
                        'the answer by likelihood rests on ',
                        CASE correction
                            WHEN 'per_token' THEN 'how long the class names are: per token'
                            ELSE
                                'how common the class names are: less what each is worth without '
                                || 'the image'
                        END,
                        format(', {:.0f}', 100 * corrected_accuracy),
                        '% of the test images are named right instead of ',
                        format('{:.0f}', 100 * accuracy),
                        '%'
                    )
            END
        ),
        ''
    ) AS note
FROM effects
