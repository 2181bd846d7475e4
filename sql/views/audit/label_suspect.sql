-- Grain: one row per test sample whose label all that was trained or asked speaks against.
--
-- Voters are the best probe of each stage of each model, with the seed that speaks for single
-- images, the models' answers, and the first seed of each baseline. A sample is suspect where there
-- is one of each kind and all name the same other class; a reply that names none saves the label.
WITH baselines AS (
    SELECT *
    FROM scored_baseline
    QUALIFY
        row_number() OVER (
            PARTITION BY dataset_id, architecture, kind
            ORDER BY seed ASC, baseline_id ASC
        ) = 1
),

probes AS (
    SELECT DISTINCT
        dataset_id,
        probe_id
    FROM stage_probe
    WHERE seed_rank = 1
    QUALIFY rank = min(rank) OVER (PARTITION BY model_id, dataset_id, stage)
),

votes AS (
    SELECT
        probes.dataset_id,
        probe_logit.sample_id,
        probe_logit.predicted_class_index,
        'probe' AS voter
    FROM probes
    INNER JOIN probe_logit ON probes.probe_id = probe_logit.probe_id
    WHERE probe_logit.split = 'test'
    UNION ALL
    SELECT
        answer.dataset_id,
        answer.sample_id,
        CASE WHEN answer.parsed THEN answer.predicted_class_index END AS predicted_class_index,
        'answer' AS voter
    FROM diagnosed_answer AS answer
    INNER JOIN sample
        ON answer.dataset_id = sample.dataset_id AND answer.sample_id = sample.sample_id
    WHERE sample.split = 'test'
    UNION ALL
    SELECT
        baselines.dataset_id,
        baseline_logit.sample_id,
        baseline_logit.predicted_class_index,
        'baseline' AS voter
    FROM baselines
    INNER JOIN baseline_logit ON baselines.baseline_id = baseline_logit.baseline_id
    WHERE baseline_logit.split = 'test'
),

agreed AS (
    SELECT
        dataset_id,
        sample_id,
        min(predicted_class_index) AS suggested_class_index,
        count(*) FILTER (WHERE voter = 'probe') AS n_probes,
        count(*) FILTER (WHERE voter = 'answer') AS n_answers,
        count(*) FILTER (WHERE voter = 'baseline') AS n_baselines
    FROM votes
    GROUP BY dataset_id, sample_id
    HAVING
        count(*) = count(predicted_class_index)
        AND min(predicted_class_index) = max(predicted_class_index)
)

SELECT
    agreed.dataset_id,
    agreed.sample_id,
    sample.class_index,
    own.label,
    agreed.suggested_class_index,
    suggested.label AS suggested_label,
    agreed.n_probes,
    agreed.n_answers,
    agreed.n_baselines
FROM agreed
INNER JOIN sample
    ON agreed.dataset_id = sample.dataset_id AND agreed.sample_id = sample.sample_id
LEFT JOIN class AS own
    ON sample.dataset_id = own.dataset_id AND sample.class_index = own.class_index
LEFT JOIN class AS suggested
    ON
        agreed.dataset_id = suggested.dataset_id
        AND agreed.suggested_class_index = suggested.class_index
WHERE
    sample.class_index != agreed.suggested_class_index
    AND least(agreed.n_probes, agreed.n_answers, agreed.n_baselines) >= 1
