-- Grain: one row per model, dataset, method that draws replies, prompt and order of options: how many
-- of a test sample's draws name its answer.
SELECT
    drawn.model_id,
    drawn.dataset_id,
    drawn.method,
    drawn.prompt_id,
    drawn.option_order,
    count(*) AS n,
    avg(drawn.agreement) AS agreement
FROM reply_agreement AS drawn
INNER JOIN sample
    ON drawn.dataset_id = sample.dataset_id AND drawn.sample_id = sample.sample_id
WHERE sample.split = 'test' AND drawn.image_control = 'own'
GROUP BY ALL
