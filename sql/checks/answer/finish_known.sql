-- A reply ended by itself or was cut; one of ours whose end is known has tokens and a raw text.
SELECT
    model_id,
    dataset_id,
    sample_id,
    method,
    finish_reason,
    n_tokens
FROM answer
WHERE
    finish_reason NOT IN ('stop', 'length')
    OR (
        finish_reason IS NOT NULL
        AND NOT starts_with(method, 'imported:')
        AND NOT coalesce(method <> 'likelihood' AND n_tokens > 0 AND raw_text IS NOT NULL, FALSE)
    )
