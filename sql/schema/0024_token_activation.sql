-- Facts, key (model_id, dataset_id, module, layer, sample_id, token). They stay in their Parquet
-- shards, as those of `activation` do: sql/views/token_activation.sql takes this view's place as soon
-- as the lake holds any.
CREATE VIEW token_activation AS
SELECT
    cast(NULL AS VARCHAR) AS model_id,
    cast(NULL AS VARCHAR) AS dataset_id,
    cast(NULL AS VARCHAR) AS module,
    cast(NULL AS INTEGER) AS layer,
    cast(NULL AS VARCHAR) AS sample_id,
    cast(NULL AS INTEGER) AS token,
    cast(NULL AS INTEGER) AS row,
    cast(NULL AS INTEGER) AS "column",
    cast(NULL AS FLOAT[]) AS vector,
    cast(NULL AS VARCHAR) AS run_id
WHERE FALSE;
