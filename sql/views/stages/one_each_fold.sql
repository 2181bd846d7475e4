-- Grain: one row per (model, dataset with folds) where the model is a repair for each fold, of which
-- answers alone are kept: states of several models mean nothing side by side.
SELECT DISTINCT
    model_id,
    dataset_id,
    'it is one model for each fold, of whose stages nothing can be told: `layerhouse compare` '
    || 'holds its answers against those of the model without it' AS stages
FROM run
WHERE starts_with(json_extract_string(config, '$.identity.model.adapter'), 'folds:')
