-- Grain: one row per probed (model, dataset): the score that the probes that are evidence are fitted
-- for; where those of some kinds are fitted for another than the dataset's, that one.
SELECT
    scored_probe.model_id,
    scored_probe.dataset_id,
    coalesce(
        max(
            CASE
                WHEN scored_probe.score <> coalesce(dataset.score, 'accuracy')
                    THEN scored_probe.score
            END
        ),
        max(scored_probe.score)
    ) AS fitted_score
FROM scored_probe
LEFT JOIN dataset ON scored_probe.dataset_id = dataset.dataset_id
GROUP BY scored_probe.model_id, scored_probe.dataset_id
