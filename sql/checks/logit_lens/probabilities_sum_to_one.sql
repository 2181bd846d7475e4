-- A logit lens gives every class of its dataset a probability, and these sum to one.
WITH totals AS (
    SELECT
        model_id,
        dataset_id,
        layer,
        sample_id,
        len(label_logprobs) AS n_logprobs,
        list_sum(list_transform(label_logprobs, LAMBDA x: exp(x))) AS total
    FROM logit_lens
)

SELECT
    totals.model_id,
    totals.dataset_id,
    totals.layer,
    totals.sample_id
FROM totals
INNER JOIN dataset ON totals.dataset_id = dataset.dataset_id
WHERE
    totals.n_logprobs <> dataset.n_classes
    OR NOT coalesce(abs(totals.total - 1) <= 1e-4, FALSE)
