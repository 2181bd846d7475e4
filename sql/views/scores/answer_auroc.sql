-- Grain: one row per model, dataset and split that was answered by likelihood.
--
-- The area under the one-vs-rest ROC curve of the probabilities that likelihoods give the classes
-- (their softmax), ties counting half (Mann-Whitney), as a mean over the classes that occur; as
-- probability_score has it for probes. A prior that favours one class leaves it much as it is, so
-- accuracy that is gained without it is calibration.
WITH answered AS (
    SELECT
        diagnosed_answer.model_id,
        diagnosed_answer.dataset_id,
        sample.split,
        sample.class_index AS true_class,
        diagnosed_answer.label_logprobs AS logprobs,
        cast(list_max(diagnosed_answer.label_logprobs) AS DOUBLE) AS largest
    FROM diagnosed_answer
    INNER JOIN sample
        ON
            diagnosed_answer.dataset_id = sample.dataset_id
            AND diagnosed_answer.sample_id = sample.sample_id
    WHERE diagnosed_answer.method = 'likelihood' AND sample.class_index IS NOT NULL
),

normalised AS (
    SELECT
        *,
        ln(list_sum(list_transform(logprobs, LAMBDA x: exp(x - largest)))) AS log_total
    FROM answered
),

one_vs_rest AS (
    SELECT
        model_id,
        dataset_id,
        split,
        true_class,
        largest,
        log_total,
        unnest(logprobs) AS logprob,
        generate_subscripts(logprobs, 1) - 1 AS class_index
    FROM normalised
),

ranked AS (
    SELECT
        model_id,
        dataset_id,
        split,
        class_index,
        true_class = class_index AS is_positive,
        rank() OVER by_probability + count(*) OVER by_probability AS twice_rank
    FROM one_vs_rest
    WINDOW by_probability AS (
        PARTITION BY model_id, dataset_id, split, class_index
        ORDER BY exp((logprob - largest) - log_total)
    )
),

rank_sums AS (
    SELECT
        model_id,
        dataset_id,
        split,
        class_index,
        count(*) FILTER (WHERE is_positive) AS positives,
        count(*) FILTER (WHERE NOT is_positive) AS negatives,
        sum(twice_rank) FILTER (WHERE is_positive) AS twice_ranks
    FROM ranked
    GROUP BY model_id, dataset_id, split, class_index
)

SELECT
    model_id,
    dataset_id,
    split,
    any_value(positives + negatives) AS n,
    -- In one order, so that it is the same to the last bit.
    avg(
        (twice_ranks - positives * (positives + 1)) / (2 * positives * negatives)
        ORDER BY class_index
    ) AS auroc
FROM rank_sums
WHERE positives > 0 AND negatives > 0
GROUP BY model_id, dataset_id, split
