-- Corrected likelihoods belong to a likelihood that counts an end, have one value per class, and are
-- the log-likelihoods over a whole number of tokens, or less one prior per class, the same for all
-- samples of a run.
WITH scored AS (
    SELECT
        *,
        list_transform(
            list_zip(label_logprobs, label_logprobs_per_token), LAMBDA pair: pair[1] / pair[2]
        ) AS lengths,
        list_transform(list_zip(label_logprobs, label_pmi), LAMBDA pair: pair[1] - pair[2])
            AS prior
    FROM answer
),

priors AS (
    SELECT
        run_id,
        prompt_id,
        option_order,
        any_value(prior) AS prior
    FROM scored
    WHERE label_pmi IS NOT NULL
    GROUP BY run_id, prompt_id, option_order
),

compared AS (
    SELECT
        scored.*,
        list_zip(scored.prior, priors.prior) AS both_priors
    FROM scored
    LEFT JOIN priors
        ON
            scored.run_id = priors.run_id
            AND scored.prompt_id = priors.prompt_id
            AND scored.option_order = priors.option_order
)

SELECT
    model_id,
    dataset_id,
    sample_id,
    method,
    end_token
FROM compared
WHERE
    (method <> 'likelihood' AND end_token IS NOT NULL)
    OR (end_token IS NULL) <> (label_logprobs_per_token IS NULL)
    OR (end_token IS NULL AND label_pmi IS NOT NULL)
    OR len(label_logprobs_per_token) <> len(label_logprobs)
    OR len(label_pmi) <> len(label_logprobs)
    OR NOT coalesce(isfinite(list_sum(label_pmi)), TRUE)
    OR (
        label_logprobs_per_token IS NOT NULL
        AND len(
            list_filter(
                lengths, LAMBDA n: NOT coalesce(n > 0.99 AND abs(n - round(n)) < 0.01, FALSE)
            )
        ) > 0
    )
    OR (
        label_pmi IS NOT NULL
        AND len(
            list_filter(
                both_priors,
                LAMBDA pair: NOT coalesce(abs(pair[1] - pair[2]) <= 1e-2, FALSE)
            )
        ) > 0
    )
