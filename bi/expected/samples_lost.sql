SELECT
    model_id,
    CASE
        WHEN answer_knows THEN 'answered rightly'
        WHEN
            answer_knows IS NULL
            OR llm_knows IS NULL
            OR connector_knows IS NULL
            OR vision_knows IS NULL
            THEN 'unknown'
        WHEN llm_knows THEN 'lost at answer'
        WHEN connector_knows THEN 'lost at llm'
        WHEN vision_knows THEN 'lost at connector'
        ELSE 'lost at vision'
    END AS outcome,
    count(*) AS samples
FROM stage_outcome
GROUP BY ALL
