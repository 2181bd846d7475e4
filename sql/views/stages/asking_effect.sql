-- Grain: one row per (model, dataset) whose diagnosed answer was also asked for in other ways: what
-- that says of a verdict on it.
--
-- The way of asking is worth a word where it moves the answer by more than any stage loses and than
-- the margin; the image where most answers stay when one of another class is shown.
WITH losses AS (
    SELECT
        model_id,
        dataset_id,
        max(loss) AS largest_loss
    FROM stage_loss
    GROUP BY model_id, dataset_id
),

effects AS (
    SELECT
        diagnosed_method.model_id,
        diagnosed_method.dataset_id,
        prompt_sensitivity.spread,
        prompt_sensitivity.worst_prompt,
        prompt_sensitivity.worst_accuracy,
        prompt_sensitivity.best_prompt,
        prompt_sensitivity.best_accuracy,
        prompt_sensitivity.score,
        losses.largest_loss,
        coalesce(
            exceeds(prompt_sensitivity.spread, greatest(losses.largest_loss, threshold.margin)),
            FALSE
        ) AS is_moved,
        image_reliance.stay_share,
        coalesce(image_reliance.ignores_image, FALSE) AS ignores_image
    FROM diagnosed_method
    INNER JOIN losses
        ON
            diagnosed_method.model_id = losses.model_id
            AND diagnosed_method.dataset_id = losses.dataset_id
    LEFT JOIN prompt_sensitivity
        ON
            diagnosed_method.model_id = prompt_sensitivity.model_id
            AND diagnosed_method.dataset_id = prompt_sensitivity.dataset_id
            AND diagnosed_method.method = prompt_sensitivity.method
    LEFT JOIN image_reliance
        ON
            diagnosed_method.model_id = image_reliance.model_id
            AND diagnosed_method.dataset_id = image_reliance.dataset_id
            AND diagnosed_method.method = image_reliance.method
            AND diagnosed_method.prompt_id = image_reliance.prompt_id
            AND image_reliance.split = 'test'
    CROSS JOIN threshold
    WHERE prompt_sensitivity.method IS NOT NULL OR image_reliance.method IS NOT NULL
)

SELECT
    model_id,
    dataset_id,
    spread,
    largest_loss,
    stay_share,
    ignores_image,
    nullif(
        concat_ws(
            '; ',
            CASE
                WHEN ignores_image
                    THEN concat(
                        'the answer hardly depends on the image: ',
                        format('{:.0f}', 100 * stay_share),
                        '% of the answers stay when an image of another class is shown'
                    )
            END,
            CASE
                WHEN is_moved
                    THEN concat(
                        'the choice of prompt moves the answer by ',
                        format('{:.0f}', 100 * spread),
                        ' points, more than any stage loses: ',
                        format('{:.0f}', 100 * worst_accuracy),
                        if(score = 'accuracy', '% right under ', '% by balanced accuracy under '),
                        worst_prompt,
                        ', ',
                        format('{:.0f}', 100 * best_accuracy),
                        '% under ',
                        best_prompt
                    )
            END
        ),
        ''
    ) AS note
FROM effects
