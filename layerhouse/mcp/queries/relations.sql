-- Grain: one row per table, view, mart and macro that can be asked.
SELECT
    table_name AS name,
    'table' AS kind,
    comment
FROM duckdb_tables()
WHERE NOT internal AND schema_name = 'main' AND database_name = 'catalog'
UNION ALL
SELECT
    view_name AS name,
    'view' AS kind,
    comment
FROM duckdb_views()
WHERE NOT internal AND schema_name = 'main' AND database_name = 'catalog'
UNION ALL
SELECT
    function_name AS name,
    'macro' AS kind,
    comment
FROM duckdb_functions()
WHERE NOT internal
ORDER BY kind, name
