-- An answer by several drawn replies keeps as many as its method says, and names the class that most
-- of them name, of equals the one drawn first; none where more were cut before they named any.
WITH sampled AS (
    SELECT
        *,
        cast(regexp_extract(method, '^sampled:([0-9]+)x', 1) AS INTEGER) AS n_wanted
    FROM answer
    WHERE starts_with(method, 'sampled:')
),

kinds AS (
    SELECT
        * EXCLUDE (run_id),
        predicted_class_index IS NOT NULL OR finish_reason = 'length' AS counts
    FROM reply_draw
),

votes AS (
    SELECT
        model_id,
        dataset_id,
        sample_id,
        method,
        prompt_id,
        option_order,
        image_control,
        predicted_class_index,
        counts,
        count(*) AS n_votes,
        min(draw) AS first_draw
    FROM kinds
    GROUP BY ALL
),

winners AS (
    SELECT
        *,
        sum(n_votes) OVER asked AS n_draws
    FROM votes
    WINDOW
        asked AS (
            PARTITION BY
                model_id, dataset_id, sample_id, method, prompt_id, option_order, image_control
        )
    QUALIFY row_number() OVER (
        PARTITION BY
            model_id, dataset_id, sample_id, method, prompt_id, option_order, image_control
        ORDER BY counts DESC, n_votes DESC, first_draw ASC
    ) = 1
)

SELECT
    sampled.model_id,
    sampled.dataset_id,
    sampled.sample_id,
    sampled.method,
    sampled.predicted_class_index,
    winners.predicted_class_index AS drawn_class_index,
    winners.n_draws
FROM sampled
LEFT JOIN winners
    ON
        sampled.model_id = winners.model_id
        AND sampled.dataset_id = winners.dataset_id
        AND sampled.sample_id = winners.sample_id
        AND sampled.method = winners.method
        AND sampled.prompt_id = winners.prompt_id
        AND sampled.option_order = winners.option_order
        AND sampled.image_control = winners.image_control
WHERE
    winners.n_draws IS DISTINCT FROM sampled.n_wanted
    OR sampled.predicted_class_index IS DISTINCT FROM winners.predicted_class_index
