-- Depth counts a model's loci from pixel to answer: 0, 1, … by module and layer, without a gap.
WITH layers AS (
    SELECT *
    FROM layer
),

modules AS (
    SELECT *
    FROM module
),

ranked AS (
    SELECT
        layers.model_id,
        layers.module,
        layers.layer,
        layers.depth,
        row_number() OVER (
            PARTITION BY layers.model_id
            ORDER BY modules.module_order, layers.layer
        ) - 1 AS expected_depth
    FROM layers
    INNER JOIN modules
        ON layers.model_id = modules.model_id AND layers.module = modules.module
)

SELECT
    model_id,
    module,
    layer,
    depth,
    expected_depth
FROM ranked
WHERE depth <> expected_depth
