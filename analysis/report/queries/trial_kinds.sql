SELECT
    outcome.kind,
    outcome.trial_kind,
    outcome.stage,
    outcome.severity,
    count(*) AS n_trials,
    avg(outcome.answer_cost) AS answer_cost,
    avg(trial.expected_loss) AS expected_loss,
    avg(trial.estimated_loss) AS estimated_loss,
    avg(cast(outcome.is_named AS INTEGER)) FILTER (WHERE outcome.trial_kind = 'destroying')
        AS named_share,
    string_agg(DISTINCT outcome.verdict, ', ' ORDER BY outcome.verdict) AS verdicts
FROM fault_outcome AS outcome
INNER JOIN fault_trial AS trial ON outcome.trial_id = trial.trial_id
LEFT JOIN stage ON outcome.stage = stage.stage
WHERE
    outcome.model_id = $model
    AND outcome.dataset_id = $dataset
    AND outcome.reading = 'diagnosis'
    AND outcome.trial_kind IN ('destroying', 'shifting')
GROUP BY outcome.kind, outcome.trial_kind, outcome.stage, outcome.severity
ORDER BY
    outcome.trial_kind,
    outcome.kind,
    any_value(stage.stage_order),
    outcome.severity
