-- What stands for each stage of the pipeline, and how many replies could only be read at their end.
SELECT
    stage_signal.stage,
    stage_signal.module,
    stage_signal.layer,
    stage_signal.readout,
    readout.reads,
    reply_reading.n AS n_replies,
    reply_reading.n - reply_reading.n_named AS n_nameless
FROM stage_signal
LEFT JOIN readout ON stage_signal.readout = readout.name
LEFT JOIN reply_reading
    ON
        readout.reads = 'reply'
        AND stage_signal.model_id = reply_reading.model_id
        AND stage_signal.dataset_id = reply_reading.dataset_id
        AND reply_reading.split = 'test'
WHERE
    stage_signal.model_id = $model
    AND stage_signal.dataset_id = $dataset
    AND stage_signal.stage <> 'answer'
ORDER BY stage_signal.stage_order
