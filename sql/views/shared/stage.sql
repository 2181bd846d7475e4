-- Grain: one row per stage of the pipeline, from pixel to answer. The facts of
-- warehouse/vocabulary.py, which a test holds equal; the answer is no module.
SELECT
    listed.stage,
    listed.stage_order,
    listed.failure_mode,
    listed.module
FROM (
    VALUES
    ('vision', 0, 'vision_quality', 'vision'),
    ('connector', 1, 'connector_fidelity', 'connector'),
    ('llm', 2, 'llm_comprehension', 'llm'),
    ('answer', 3, 'semantic_mapping', NULL)
) AS listed (stage, stage_order, failure_mode, module)
