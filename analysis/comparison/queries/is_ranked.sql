-- One row where how well likelihoods rank is known of both models.
SELECT dataset_id
FROM answer_auroc
WHERE dataset_id = $dataset AND split = 'test' AND model_id IN ($model, $base)
GROUP BY dataset_id
HAVING count(*) = 2
