-- How many samples of a dataset are left out because the model saw them, or others of their groups.
SELECT count(DISTINCT rejected_sample.sample_id)
FROM rejected_sample
INNER JOIN run ON rejected_sample.run_id = run.run_id
WHERE run.model_id = $model AND run.dataset_id = $dataset AND rejected_sample.reason = $reason
