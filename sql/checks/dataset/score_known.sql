-- A dataset's score is one that views know; of another word they would take accuracy.
SELECT
    dataset_id,
    score
FROM dataset
WHERE score NOT IN ('accuracy', 'balanced_accuracy')
