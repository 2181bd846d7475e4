-- The probabilities that likelihoods give the classes, by a model and by its base, on every test
-- sample; NULL where one was not asked. The same expression as in answer_auroc, to the last bit.
WITH answered AS (
    SELECT
        model_id,
        sample_id,
        label_logprobs AS logprobs,
        cast(list_max(label_logprobs) AS DOUBLE) AS largest
    FROM diagnosed_answer
    WHERE dataset_id = $dataset AND method = 'likelihood' AND model_id IN ($model, $base)
),

normalised AS (
    SELECT
        *,
        ln(list_sum(list_transform(logprobs, LAMBDA x: exp(x - largest)))) AS log_total
    FROM answered
),

ranked AS (
    SELECT
        model_id,
        sample_id,
        list_transform(logprobs, LAMBDA x: exp((x - largest) - log_total)) AS probabilities
    FROM normalised
)

SELECT
    sample.class_index,
    own.probabilities,
    base.probabilities AS base_probabilities
FROM sample
LEFT JOIN ranked AS own ON sample.sample_id = own.sample_id AND own.model_id = $model
LEFT JOIN ranked AS base ON sample.sample_id = base.sample_id AND base.model_id = $base
WHERE sample.dataset_id = $dataset AND sample.split = 'test'
ORDER BY sample.sample_id
