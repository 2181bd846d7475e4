-- Modules are those of the stages, in their order.
WITH ranked AS (
    SELECT
        module.model_id,
        module.module,
        module.module_order,
        stage.stage_order,
        rank() OVER (PARTITION BY module.model_id ORDER BY module.module_order) AS rank,
        rank() OVER (PARTITION BY module.model_id ORDER BY stage.stage_order) AS expected_rank
    FROM module
    LEFT JOIN stage ON module.module = stage.module
)

SELECT
    model_id,
    module,
    module_order
FROM ranked
WHERE stage_order IS NULL OR rank <> expected_rank
