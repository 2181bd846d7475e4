-- Per test sample, the share of seeds that name its class: every probe locus, answer and baseline
-- that the diagnosis of one model on one dataset may read; under folds also what stands for each
-- stage, by the choices of the folds. What the model saw in training is scored of nobody. Under folds
-- a sample has a prediction as val beside that as test, which what stands for a stage was chosen by.
WITH test_samples AS (
    SELECT
        sample_id,
        class_index
    FROM sample
    WHERE
        dataset_id = $dataset
        AND split = 'test'
        AND sample_id NOT IN (
            SELECT left_out_sample.sample_id
            FROM left_out_sample
            WHERE left_out_sample.model_id = $model AND left_out_sample.dataset_id = $dataset
        )
),

wanted_probes AS (
    SELECT *
    FROM scored_probe
    WHERE
        model_id = $model
        AND dataset_id = $dataset
        AND control = 'none'
        AND readout IN (
            SELECT readout.name
            FROM readout
            WHERE readout.is_evidence
        )
),

predictions AS (
    SELECT
        wanted_probes.module,
        wanted_probes.layer,
        wanted_probes.readout,
        wanted_probes.kind,
        probe_logit.sample_id,
        probe_logit.predicted_class_index
    FROM wanted_probes
    INNER JOIN probe_logit ON wanted_probes.probe_id = probe_logit.probe_id
    WHERE probe_logit.split = 'test'
    UNION ALL
    SELECT
        'answer' AS module,
        NULL AS layer,
        answer.method AS readout,
        'answer' AS kind,
        answer.sample_id,
        CASE WHEN answer.parsed THEN answer.predicted_class_index END AS predicted_class_index
    FROM diagnosed_answer AS answer
    WHERE answer.model_id = $model AND answer.dataset_id = $dataset
    UNION ALL
    SELECT
        'baseline' AS module,
        NULL AS layer,
        scored_baseline.architecture AS readout,
        scored_baseline.kind,
        baseline_logit.sample_id,
        baseline_logit.predicted_class_index
    FROM scored_baseline
    INNER JOIN baseline_logit ON scored_baseline.baseline_id = baseline_logit.baseline_id
    WHERE scored_baseline.dataset_id = $dataset AND baseline_logit.split = 'test'
    UNION ALL
    SELECT
        CASE WHEN model_id IS NULL THEN 'baseline' ELSE 'folds' END AS module,
        NULL AS layer,
        stage AS readout,
        'folds' AS kind,
        sample_id,
        predicted_class_index
    FROM fold_prediction
    WHERE (model_id = $model OR model_id IS NULL) AND dataset_id = $dataset
)

SELECT
    predictions.module,
    predictions.layer,
    predictions.readout,
    predictions.kind,
    predictions.sample_id,
    avg(
        CASE
            WHEN predictions.predicted_class_index = test_samples.class_index THEN 1.0
            ELSE 0.0
        END
    ) AS correct
FROM predictions
INNER JOIN test_samples ON predictions.sample_id = test_samples.sample_id
GROUP BY
    predictions.module,
    predictions.layer,
    predictions.readout,
    predictions.kind,
    predictions.sample_id
