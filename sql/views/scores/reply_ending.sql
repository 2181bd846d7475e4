-- Grain: one row per model, dataset, answering method and split with replies whose end is known:
-- how they ended. Answers of lakes from before ends were stored are not counted.
--
-- A reply is truncated where it was cut by the budget of new tokens, whatever it had named by then;
-- that budget is the most tokens a cut reply has.
WITH replies AS (
    SELECT
        answer.model_id,
        answer.dataset_id,
        answer.method,
        sample.split,
        answer.n_tokens,
        answer.parsed,
        answer.finish_reason = 'length' AS is_cut
    FROM diagnosed_answer AS answer
    INNER JOIN sample
        ON answer.dataset_id = sample.dataset_id AND answer.sample_id = sample.sample_id
    WHERE answer.finish_reason IS NOT NULL
)

SELECT
    model_id,
    dataset_id,
    method,
    split,
    count(*) AS n,
    count(*) FILTER (WHERE is_cut) AS n_truncated,
    count(*) FILTER (WHERE is_cut AND NOT parsed) AS n_truncated_unparsed,
    avg(n_tokens) AS mean_tokens,
    max(n_tokens) FILTER (WHERE is_cut) AS cut_after
FROM replies
GROUP BY model_id, dataset_id, method, split
