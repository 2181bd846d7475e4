-- Grain: one row per (model, dataset, test sample) of whose group the model saw something in training:
-- what it is not scored on.
--
-- By groups as they are now, whatever they were at extraction. Before `seen_sample` was there only
-- what an extraction had left out was known (warehouse/vocabulary.py has the reason's words).
WITH known AS (
    SELECT
        model_id,
        dataset_id,
        sample_id
    FROM seen_sample
    UNION ALL
    SELECT
        run.model_id,
        rejected_sample.dataset_id,
        rejected_sample.sample_id
    FROM rejected_sample
    INNER JOIN run ON rejected_sample.run_id = run.run_id
    WHERE rejected_sample.reason = 'the model saw it, or another of its group, in training'
)

SELECT DISTINCT
    known.model_id,
    known.dataset_id,
    other.sample_id
FROM known
INNER JOIN sample AS own
    ON known.dataset_id = own.dataset_id AND known.sample_id = own.sample_id
INNER JOIN sample AS other
    ON
        own.dataset_id = other.dataset_id
        AND (own.sample_id = other.sample_id OR own.group_id = other.group_id)
WHERE other.split = 'test'
