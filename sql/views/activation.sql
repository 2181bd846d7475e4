-- One row per model, dataset, module, layer, readout and sample: the vectors in the committed
-- shards. A reader sets the variable to the absolute paths of the committed shards before it asks;
-- `warehouse.connect` does; it also names the samples that were removed and whose rows shards may
-- still hold. Elsewhere, from inside the lake's folder:
--     SET VARIABLE activation_shards = (
--         SELECT list(path) FROM shard WHERE table_name = 'activation'
--     );
SELECT
    model AS model_id,
    dataset AS dataset_id,
    module,
    layer,
    readout,
    sample_id,
    vector,
    run_id
FROM
    read_parquet(
        getvariable('activation_shards'), hive_partitioning = TRUE, hive_types_autocast = FALSE
    )
WHERE
    getvariable('removed_samples') IS NULL
    OR NOT list_contains(getvariable('removed_samples'), dataset || '/' || sha256(sample_id))
