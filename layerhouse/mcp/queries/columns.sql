-- Grain: one row per column of one table, view or mart.
SELECT
    column_name AS name,
    data_type AS type,
    comment
FROM duckdb_columns()
WHERE table_name = $1 AND schema_name = 'main' AND database_name = 'catalog'
ORDER BY column_index
