-- Grain: one row per (model, dataset) whose diagnosed answer is a reply, or the majority of drawn ones,
-- and of which ties can be known: how many test answers are ties that nothing of the image decided.
--
-- A reply begins with the likeliest token, of equal ones with the first: where its class is by
-- likelihood no likelier than another one, as in numbers of few bits, that order named it. Of
-- majorities that are equal the class counts that was drawn first.
WITH answers AS (
    SELECT
        answer.model_id,
        answer.dataset_id,
        answer.sample_id,
        answer.method,
        answer.prompt_id,
        answer.predicted_class_index
    FROM diagnosed_answer AS answer
    INNER JOIN diagnosed_method
        ON
            answer.model_id = diagnosed_method.model_id
            AND answer.dataset_id = diagnosed_method.dataset_id
            AND answer.method = diagnosed_method.method
    INNER JOIN sample
        ON answer.dataset_id = sample.dataset_id AND answer.sample_id = sample.sample_id
    WHERE sample.split = 'test'
),

ties AS (
    SELECT
        answers.model_id,
        answers.dataset_id,
        'generate' AS method,
        coalesce(
            likelihood_answer.n_best > 1
            AND list_extract(scored.label_logprobs, answers.predicted_class_index + 1)
            = list_max(scored.label_logprobs),
            FALSE
        ) AS is_tied
    FROM answers
    INNER JOIN diagnosed_answer AS scored
        ON
            answers.model_id = scored.model_id
            AND answers.dataset_id = scored.dataset_id
            AND answers.sample_id = scored.sample_id
    INNER JOIN likelihood_answer
        ON
            answers.model_id = likelihood_answer.model_id
            AND answers.dataset_id = likelihood_answer.dataset_id
            AND answers.sample_id = likelihood_answer.sample_id
    WHERE
        answers.method = 'generate'
        AND scored.method = 'likelihood'
        AND likelihood_answer.score = 'sum'
    UNION ALL
    SELECT
        answers.model_id,
        answers.dataset_id,
        'sampled' AS method,
        reply_agreement.is_tied
    FROM answers
    INNER JOIN reply_agreement
        ON
            answers.model_id = reply_agreement.model_id
            AND answers.dataset_id = reply_agreement.dataset_id
            AND answers.sample_id = reply_agreement.sample_id
            AND answers.method = reply_agreement.method
            AND answers.prompt_id = reply_agreement.prompt_id
    WHERE reply_agreement.option_order = 'given' AND reply_agreement.image_control = 'own'
),

shares AS (
    SELECT
        model_id,
        dataset_id,
        any_value(method) AS method,
        avg(cast(is_tied AS INTEGER)) AS tied_share
    FROM ties
    GROUP BY model_id, dataset_id
)

SELECT
    shares.model_id,
    shares.dataset_id,
    shares.tied_share,
    CASE
        WHEN exceeds(shares.tied_share, threshold.margin)
            THEN concat(
                format('{:.0f}', 100 * shares.tied_share),
                CASE shares.method
                    WHEN 'generate'
                        THEN '% of the replies name a class that is no likelier than another one'
                    ELSE '% of the majorities are ties, which go to the class that was drawn first'
                END
            )
    END AS note
FROM shares
CROSS JOIN threshold
