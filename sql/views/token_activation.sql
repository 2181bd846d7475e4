-- One row per model, dataset, module, layer, sample and image token: the vectors in the committed
-- shards. A reader sets the variables as for the view `activation`.
SELECT
    model AS model_id,
    dataset AS dataset_id,
    module,
    layer,
    sample_id,
    token,
    row,
    "column",
    vector,
    run_id
FROM
    read_parquet(
        getvariable('token_activation_shards'),
        hive_partitioning = TRUE, hive_types_autocast = FALSE
    )
WHERE
    getvariable('removed_samples') IS NULL
    OR NOT list_contains(getvariable('removed_samples'), dataset || '/' || sha256(sample_id))
