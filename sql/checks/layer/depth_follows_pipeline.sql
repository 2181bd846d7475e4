-- Depth counts a model's loci from pixel to answer: 0, 1, … by module and layer, without a gap.
WITH ranked AS (
    SELECT
        layer.model_id,
        layer.module,
        layer.layer,
        layer.depth,
        row_number() OVER (
            PARTITION BY layer.model_id
            ORDER BY module.module_order, layer.layer
        ) - 1 AS expected_depth
    FROM layer
    INNER JOIN module
        ON layer.model_id = module.model_id AND layer.module = module.module
)

SELECT
    model_id,
    module,
    layer,
    depth,
    expected_depth
FROM ranked
WHERE depth <> expected_depth
