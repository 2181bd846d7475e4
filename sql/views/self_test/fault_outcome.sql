-- Grain: one row per self-test trial and way of reading it: `diagnosis`, or `mean_pooled` (the
-- curves of averaged tokens that arXiv 2604.08333 reads). What each says, held against the truth.
-- Of trials of the same fault and seed the newest counts, and only those by the dataset's score.
--
-- is_named: the verdict is the failure mode of the one struck stage; in a pair it may be either.
-- is_found: every struck stage is reported as present (only the diagnosis reports that).
-- is_false_alarm: an unmodified model got a failure mode. least_cost: the answer accuracy that the
-- fault takes; of a pair the smaller of what the upstream one takes alone and what the downstream
-- one takes of the rest (older pairs: half of what both take). is_costly: that is at least 10
-- points; below, a trial tells little about a verdict.
WITH trials AS (
    SELECT
        fault_trial.*,
        CASE
            WHEN fault_trial.fault IS NULL THEN 0
            ELSE length(fault_trial.fault) - length(replace(fault_trial.fault, '@', ''))
        END AS n_faults
    FROM fault_trial
    LEFT JOIN run ON fault_trial.run_id = run.run_id
    LEFT JOIN dataset ON fault_trial.dataset_id = dataset.dataset_id
    WHERE fault_trial.score = coalesce(dataset.score, 'accuracy')
    QUALIFY row_number() OVER (
        PARTITION BY
            fault_trial.model_id,
            fault_trial.dataset_id,
            fault_trial.fault,
            fault_trial.seed
        ORDER BY run.started_at DESC NULLS LAST, fault_trial.trial_id DESC
    ) = 1
),

costs AS (
    SELECT
        trial_id,
        CASE
            WHEN n_faults = 1 THEN answer_cost
            WHEN n_faults > 1
                THEN coalesce(
                    least(first_cost, answer_cost - first_cost), answer_cost / n_faults
                )
        END AS least_cost
    FROM trials
),

readings AS (
    SELECT
        trials.*,
        listed.reading,
        CASE
            WHEN listed.reading = 'diagnosis' THEN trials.verdict
            ELSE trials.mean_pooled_verdict
        END AS said
    FROM trials
    CROSS JOIN (VALUES ('diagnosis'), ('mean_pooled')) AS listed (reading)
)

SELECT
    readings.trial_id,
    readings.model_id,
    readings.dataset_id,
    readings.reading,
    coalesce(
        readings.trial_kind,
        CASE
            WHEN readings.n_faults = 0 THEN 'healthy'
            WHEN readings.destroying THEN 'destroying'
            ELSE 'shifting'
        END
    ) AS trial_kind,
    readings.fault,
    readings.kind,
    readings.stage,
    readings.stages,
    readings.severity,
    readings.seed,
    readings.score,
    readings.answer_cost,
    readings.said AS verdict,
    stage.stage AS named_stage,
    coalesce(contains(coalesce(readings.stages, readings.stage), stage.stage), FALSE) AS is_named,
    CASE
        WHEN readings.reading = 'diagnosis' AND readings.n_faults > 0
            THEN list_has_all(
                string_split(coalesce(readings.present_stages, ''), '+'),
                string_split(coalesce(readings.stages, readings.stage), '+')
            )
    END AS is_found,
    readings.n_faults = 0 AND stage.stage IS NOT NULL AS is_false_alarm,
    costs.least_cost,
    coalesce(NOT exceeds(threshold.costly, costs.least_cost), FALSE) AS is_costly,
    CASE
        WHEN readings.reading = 'diagnosis' AND readings.expected_loss IS NOT NULL
            THEN readings.expected_loss BETWEEN readings.lower AND readings.upper
    END AS is_within
FROM readings
INNER JOIN costs ON readings.trial_id = costs.trial_id
LEFT JOIN stage ON readings.said = stage.failure_mode
CROSS JOIN threshold
