-- The four losses sum to reference - answer: the whole degradation, attributed.
WITH sums AS (
    SELECT
        model_id,
        dataset_id,
        count(*) AS n_modes,
        sum(loss) AS total_loss,
        max(signal_before) FILTER (WHERE failure_mode = 'vision_quality') AS reference,
        max(signal_after) FILTER (WHERE failure_mode = 'semantic_mapping') AS answer
    FROM mart_failure_modes
    GROUP BY model_id, dataset_id
    HAVING count(loss) = count(*)
)

SELECT
    model_id,
    dataset_id,
    n_modes,
    total_loss,
    reference,
    answer
FROM sums
WHERE n_modes <> 4 OR NOT coalesce(abs(total_loss - (reference - answer)) <= 1e-9, FALSE)
