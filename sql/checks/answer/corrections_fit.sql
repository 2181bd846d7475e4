-- Corrected likelihoods belong to a likelihood that counts an end, have one value per class, and are
-- the log-likelihoods over a whole number of tokens, or less one prior per class, the same for all
-- samples of a run; a repair under folds is a model of its own for each fold.
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

dealt AS (
    SELECT
        scored.*,
        CASE WHEN contains(scored.model_id, '+mend:') THEN sample_fold.fold END AS fold
    FROM scored
    LEFT JOIN sample_fold
        ON
            scored.dataset_id = sample_fold.dataset_id
            AND scored.sample_id = sample_fold.sample_id
            AND sample_fold.repetition = 0
),

priors AS (
    SELECT
        run_id,
        prompt_id,
        option_order,
        fold,
        any_value(prior) AS prior
    FROM dealt
    WHERE label_pmi IS NOT NULL
    GROUP BY run_id, prompt_id, option_order, fold
),

compared AS (
    SELECT
        dealt.*,
        list_zip(dealt.prior, priors.prior) AS both_priors
    FROM dealt
    LEFT JOIN priors
        ON
            dealt.run_id = priors.run_id
            AND dealt.prompt_id = priors.prompt_id
            AND dealt.option_order = priors.option_order
            AND dealt.fold IS NOT DISTINCT FROM priors.fold
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
