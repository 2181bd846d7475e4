-- How many test samples of a dataset are left out because the model saw them, or others of their groups.
SELECT count(*)
FROM left_out_sample
WHERE model_id = $model AND dataset_id = $dataset
