-- Grain: one row per answer by several drawn replies (model, dataset, sample, method, prompt, order of
-- options, image control): how many of them name the class that is the answer.
WITH votes AS (
    SELECT
        model_id,
        dataset_id,
        sample_id,
        method,
        prompt_id,
        option_order,
        image_control,
        predicted_class_index,
        count(*) AS n_votes,
        count(*) FILTER (WHERE finish_reason = 'length') AS n_truncated
    FROM reply_draw
    GROUP BY ALL
),

ranked AS (
    SELECT
        *,
        rank() OVER (
            PARTITION BY
                model_id, dataset_id, sample_id, method, prompt_id, option_order, image_control
            ORDER BY predicted_class_index IS NULL ASC, n_votes DESC
        ) AS place
    FROM votes
)

SELECT
    answer.model_id,
    answer.dataset_id,
    answer.sample_id,
    answer.method,
    answer.prompt_id,
    answer.option_order,
    answer.image_control,
    answer.predicted_class_index,
    cast(sum(ranked.n_votes) AS BIGINT) AS n_draws,
    cast(
        coalesce(sum(ranked.n_votes) FILTER (WHERE ranked.predicted_class_index IS NULL), 0)
        AS BIGINT
    ) AS n_unnamed,
    cast(sum(ranked.n_truncated) AS BIGINT) AS n_truncated,
    coalesce(
        sum(
            CASE
                WHEN ranked.predicted_class_index = answer.predicted_class_index
                    THEN ranked.n_votes
            END
        ) / sum(ranked.n_votes),
        0
    ) AS agreement,
    answer.parsed
    AND count(*) FILTER (WHERE ranked.place = 1) > 1 AS is_tied
FROM unseen_answer AS answer
INNER JOIN ranked
    ON
        answer.model_id = ranked.model_id
        AND answer.dataset_id = ranked.dataset_id
        AND answer.sample_id = ranked.sample_id
        AND answer.method = ranked.method
        AND answer.prompt_id = ranked.prompt_id
        AND answer.option_order = ranked.option_order
        AND answer.image_control = ranked.image_control
GROUP BY
    answer.model_id,
    answer.dataset_id,
    answer.sample_id,
    answer.method,
    answer.prompt_id,
    answer.option_order,
    answer.image_control,
    answer.predicted_class_index,
    answer.parsed
