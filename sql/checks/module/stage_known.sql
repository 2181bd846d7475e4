-- Modules are vision, connector and llm, in that order.
WITH ranked AS (
    SELECT
        model_id,
        module,
        module_order,
        list_position(['vision', 'connector', 'llm'], module) AS place,
        rank() OVER (PARTITION BY model_id ORDER BY module_order) AS rank,
        rank() OVER (
            PARTITION BY model_id
            ORDER BY list_position(['vision', 'connector', 'llm'], module)
        ) AS expected_rank
    FROM module
)

SELECT
    model_id,
    module,
    module_order
FROM ranked
WHERE place IS NULL OR rank <> expected_rank
