-- Images that a model saw in training are not scored in another dataset that holds them either; where
-- they are, take the model's run on it out (layerhouse runs remove RUN --with-dependents) and extract anew.
WITH seen AS (
    SELECT DISTINCT
        seen_sample.model_id,
        seen_sample.dataset_id AS seen_in,
        sample.sha256
    FROM seen_sample
    INNER JOIN sample
        ON
            seen_sample.dataset_id = sample.dataset_id
            AND seen_sample.sample_id = sample.sample_id
),

asked AS (
    SELECT
        model_id,
        dataset_id,
        min(run_id) AS run_id
    FROM run
    WHERE command IN ('extract', 'answers-import', 'import')
    GROUP BY model_id, dataset_id
)

SELECT
    asked.model_id,
    asked.dataset_id,
    asked.run_id,
    seen.seen_in,
    count(DISTINCT sample.sample_id) AS n_samples,
    min(sample.sample_id) AS sample_id
FROM seen
INNER JOIN sample
    ON seen.sha256 = sample.sha256 AND seen.seen_in <> sample.dataset_id AND sample.split = 'test'
INNER JOIN asked
    ON seen.model_id = asked.model_id AND sample.dataset_id = asked.dataset_id
LEFT JOIN left_out_sample AS known
    ON
        asked.model_id = known.model_id
        AND asked.dataset_id = known.dataset_id
        AND sample.sample_id = known.sample_id
WHERE known.sample_id IS NULL
GROUP BY asked.model_id, asked.dataset_id, asked.run_id, seen.seen_in
