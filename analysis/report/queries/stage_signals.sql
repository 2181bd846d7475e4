SELECT
    stage_signal.stage,
    stage_signal.module,
    stage_signal.layer,
    stage_signal.readout,
    stage_signal.kind,
    stage_signal.val_accuracy,
    stage_signal.test_accuracy,
    stage_signal.available_accuracy,
    stage_signal.signal,
    stage_interval.lower,
    stage_interval.upper,
    stage_signal.chance,
    stage_signal.n_test
FROM stage_signal
LEFT JOIN stage_interval
    ON
        stage_signal.model_id = stage_interval.model_id
        AND stage_signal.dataset_id = stage_interval.dataset_id
        AND stage_signal.stage = stage_interval.stage
        -- Lakes of older versions call an accuracy `signal` only.
        AND stage_interval.quantity IN ('accuracy', 'signal')
        -- An interval made for other numbers, or by another score, says nothing about these.
        AND stage_signal.score = stage_interval.score
        AND abs(stage_interval.point - stage_signal.available_accuracy) <= 1e-9
WHERE stage_signal.model_id = $model AND stage_signal.dataset_id = $dataset
QUALIFY
    row_number() OVER (
        PARTITION BY stage_signal.stage
        ORDER BY stage_interval.quantity = 'accuracy' DESC NULLS LAST
    ) = 1
ORDER BY stage_signal.stage_order
