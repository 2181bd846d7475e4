-- A repair is of a stage of the pipeline, trained under a known control, and its best epoch is one
-- that there was; what it did on val are shares and losses.
SELECT
    model_id,
    dataset_id,
    stage,
    repair,
    control
FROM mend
WHERE
    stage NOT IN (
        SELECT stage.stage
        FROM stage
    )
    OR control NOT IN ('none', 'shuffled_labels')
    OR base_model_id = model_id
    OR n_parameters < 1
    OR best_epoch NOT BETWEEN 0 AND n_epochs
    OR NOT (val_score_before BETWEEN 0 AND 1 AND val_score BETWEEN 0 AND 1)
    OR NOT (isfinite(val_loss) AND isfinite(val_loss_before))
