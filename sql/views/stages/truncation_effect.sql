-- Grain: one row per (model, dataset) whose diagnosed answer is a reply that the model made here: how
-- many of the test replies were cut, and what stands in the way of a verdict where that is many.
WITH endings AS (
    SELECT
        diagnosed_method.model_id,
        diagnosed_method.dataset_id,
        reply_ending.cut_after,
        reply_ending.n_truncated / diagnosed_method.n_test AS truncated_share,
        CASE
            WHEN starts_with(diagnosed_method.method, 'sampled:')
                THEN replace(substr(diagnosed_method.method, 9), 'x', ' --temperature ')
        END AS draws,
        CASE
            WHEN starts_with(diagnosed_method.method, 'judged:')
                THEN substr(diagnosed_method.method, 8)
        END AS judge
    FROM diagnosed_method
    INNER JOIN reply_ending
        ON
            diagnosed_method.model_id = reply_ending.model_id
            AND diagnosed_method.dataset_id = reply_ending.dataset_id
            AND diagnosed_method.method = reply_ending.method
    WHERE reply_ending.split = 'test' AND NOT starts_with(diagnosed_method.method, 'imported:')
)

SELECT
    endings.model_id,
    endings.dataset_id,
    endings.truncated_share,
    CASE
        WHEN exceeds(endings.truncated_share, threshold.most_truncated)
            THEN concat(
                'the model was cut short: ',
                format('{:.0f}', 100 * endings.truncated_share),
                '% of its replies were truncated after ',
                endings.cut_after,
                ' tokens: run `',
                extract_command.command,
                ' --samples ' || endings.draws,
                ' --max-new-tokens ',
                threshold.longer_budget * endings.cut_after,
                '`',
                ', then `layerhouse answers reparse' || extract_command.arguments
                || ' --judge ' || shell_word(endings.judge) || '`'
            )
    END AS obstacle
FROM endings
LEFT JOIN extract_command
    ON
        endings.model_id = extract_command.model_id
        AND endings.dataset_id = extract_command.dataset_id
CROSS JOIN threshold
