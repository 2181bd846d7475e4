-- Grain: one row per model, dataset and split with replies that were read (readout `reply`): before
-- the name of a class, or, where the reply names none, at its last token.
SELECT
    reply_place.model_id,
    reply_place.dataset_id,
    sample.split,
    count(*) AS n,
    count(*) FILTER (WHERE reply_place.names_class) AS n_named,
    avg(reply_place.n_before) AS mean_before
FROM reply_place
INNER JOIN sample
    ON
        reply_place.dataset_id = sample.dataset_id
        AND reply_place.sample_id = sample.sample_id
LEFT JOIN left_out_sample AS gone
    ON
        reply_place.model_id = gone.model_id
        AND reply_place.dataset_id = gone.dataset_id
        AND reply_place.sample_id = gone.sample_id
WHERE gone.sample_id IS NULL
GROUP BY reply_place.model_id, reply_place.dataset_id, sample.split
