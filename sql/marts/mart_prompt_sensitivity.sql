-- Grain: one row per model, dataset, method, prompt and order of options asked on test.
WITH newest AS (
    SELECT cast(max(committed_at) AS DATE) AS built_on
    FROM commit_record
)

SELECT
    ways.model_id,
    model.name AS model_name,
    model.variant,
    ways.dataset_id,
    dataset.title AS dataset_title,
    ways.method,
    ways.prompt_id,
    ways.option_order,
    ways.n,
    ways.accuracy,
    ways.wilson_lower,
    ways.wilson_upper,
    ways.score,
    ways.score_value,
    ways.score_lower,
    ways.score_upper,
    ways.chance,
    ways.is_understood,
    ways.unparsed_share,
    ways.first_share,
    ways.first_true_share,
    ways.option_order = 'given' AND ways.prompt_id = prompt_sensitivity.best_prompt AS is_best,
    ways.option_order = 'given' AND ways.prompt_id = prompt_sensitivity.worst_prompt AS is_worst,
    prompt_sensitivity.spread,
    prompt_sensitivity.flip_share,
    prompt_sensitivity.turned_share,
    prompt_sensitivity.position_bias,
    method_agreement.agreement AS method_agreement,
    draw_agreement.agreement AS draw_agreement,
    newest.built_on
FROM prompt_accuracy AS ways
INNER JOIN prompt_sensitivity
    ON
        ways.model_id = prompt_sensitivity.model_id
        AND ways.dataset_id = prompt_sensitivity.dataset_id
        AND ways.method = prompt_sensitivity.method
LEFT JOIN method_agreement
    ON
        ways.model_id = method_agreement.model_id
        AND ways.dataset_id = method_agreement.dataset_id
        AND ways.prompt_id = method_agreement.prompt_id
        AND ways.method IN ('likelihood', 'generate')
        AND ways.option_order = 'given'
LEFT JOIN draw_agreement
    ON
        ways.model_id = draw_agreement.model_id
        AND ways.dataset_id = draw_agreement.dataset_id
        AND ways.method = draw_agreement.method
        AND ways.prompt_id = draw_agreement.prompt_id
        AND ways.option_order = draw_agreement.option_order
LEFT JOIN model ON ways.model_id = model.model_id
LEFT JOIN dataset ON ways.dataset_id = dataset.dataset_id
CROSS JOIN newest
WHERE ways.split = 'test'
