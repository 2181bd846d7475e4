-- Grain: one row per pair of models, dataset, stage and quantity that both have.
--
-- The differences are today's; an interval that was made for other numbers is left away.
WITH newest AS (
    SELECT cast(max(committed_at) AS DATE) AS built_on
    FROM commit_record
),

wanted AS (
    SELECT
        model_id,
        base_model_id,
        pair_kind
    FROM model_pair
    UNION ALL
    SELECT DISTINCT
        pair_interval.model_id,
        pair_interval.base_model_id,
        'chosen' AS pair_kind
    FROM pair_interval
    ANTI JOIN model_pair
        ON
            pair_interval.model_id = model_pair.model_id
            AND pair_interval.base_model_id = model_pair.base_model_id
),

numbers AS (
    SELECT
        model_id,
        dataset_id,
        stage,
        'signal' AS quantity,
        available_accuracy AS value
    FROM stage_signal
    UNION ALL
    SELECT
        model_id,
        dataset_id,
        stage,
        'loss' AS quantity,
        loss AS value
    FROM stage_loss
    WHERE loss IS NOT NULL
    UNION ALL
    SELECT
        model_id,
        dataset_id,
        module AS stage,
        concat('health_', track) AS quantity,
        health_score AS value
    FROM feature_health
    WHERE health_score IS NOT NULL
),

compared AS (
    SELECT
        w.model_id,
        w.base_model_id,
        w.pair_kind,
        a.dataset_id,
        a.stage,
        a.quantity,
        a.value,
        b.value AS base_value,
        a.value - b.value AS difference
    FROM wanted AS w
    INNER JOIN numbers AS a ON w.model_id = a.model_id
    INNER JOIN numbers AS b
        ON
            w.base_model_id = b.model_id
            AND a.dataset_id = b.dataset_id
            AND a.stage = b.stage
            AND a.quantity = b.quantity
)

SELECT
    c.model_id,
    m.name AS model_name,
    m.variant,
    c.base_model_id,
    b.variant AS base_variant,
    c.pair_kind,
    c.dataset_id,
    d.title AS dataset_title,
    c.stage,
    CASE c.stage WHEN 'vision' THEN 0 WHEN 'connector' THEN 1 WHEN 'llm' THEN 2 ELSE 3 END
        AS stage_order,
    c.quantity,
    c.value,
    c.base_value,
    c.difference,
    i.lower AS difference_lower,
    i.upper AS difference_upper,
    i.lower > 0 OR i.upper < 0 AS is_different,
    i.n_groups,
    n.built_on
FROM compared AS c
LEFT JOIN pair_interval AS i
    ON
        c.model_id = i.model_id
        AND c.base_model_id = i.base_model_id
        AND c.dataset_id = i.dataset_id
        AND c.stage = i.stage
        AND c.quantity = i.quantity
        AND abs(c.difference - i.point) <= 1e-9
LEFT JOIN model AS m ON c.model_id = m.model_id
LEFT JOIN model AS b ON c.base_model_id = b.model_id
LEFT JOIN dataset AS d ON c.dataset_id = d.dataset_id
CROSS JOIN newest AS n
