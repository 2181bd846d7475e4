-- A fault was injected after a known stage, and the verdict is a failure mode or a plain word.
SELECT
    trial_id,
    stage,
    verdict
FROM fault_trial
WHERE
    stage NOT IN ('vision', 'connector', 'llm', 'answer')
    OR verdict NOT IN (
        'vision_quality',
        'connector_fidelity',
        'llm_comprehension',
        'semantic_mapping',
        'healthy',
        'undetermined'
    )
