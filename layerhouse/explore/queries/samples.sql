-- Grain: one row per scored sample of one model that passes the filters, beside it another model's.
-- '', -1 and -2 let everything pass; -1 is also the answer that names no class.
WITH outcomes AS (
    SELECT
        *,
        CASE
            WHEN answer_knows THEN 'right'
            WHEN answer_knows IS NULL THEN 'unanswered'
            ELSE coalesce(lost_at, 'wrong')
        END AS outcome,
        CASE WHEN answer_parsed THEN predicted_class_index ELSE -1 END AS answer_index,
        CASE WHEN answer_parsed THEN predicted_label END AS answer
    FROM mart_sample_outcomes
    WHERE dataset_id = $dataset AND list_contains([$model, $other], model_id)
)

SELECT
    own.sample_id,
    own.class_index,
    own.label,
    own.answer,
    own.answer_text,
    own.answer_finish,
    own.outcome,
    other.answer AS other_answer,
    other.answer_text AS other_text,
    other.answer_finish AS other_finish,
    other.outcome AS other_outcome,
    count(*) OVER () AS n_found
FROM outcomes AS own
LEFT JOIN outcomes AS other ON own.sample_id = other.sample_id AND other.model_id = $other
WHERE
    own.model_id = $model
    AND ($outcome = '' OR own.outcome = $outcome OR ($outcome = 'lost' AND own.outcome <> 'right'))
    AND ($label = -1 OR own.class_index = $label)
    AND ($answer = -2 OR own.answer_index = $answer)
    AND ($differs = 0 OR own.answer_index IS DISTINCT FROM other.answer_index)
ORDER BY own.sample_id
LIMIT $most OFFSET $start
