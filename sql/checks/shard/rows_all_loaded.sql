-- Tables of facts hold exactly the rows that were committed; other tables hold at most those, since
-- a newer row replaces the older one of the same key.
WITH recorded AS (
    SELECT
        table_name,
        sum(n_rows) AS n_committed
    FROM shard
    GROUP BY table_name
)

SELECT
    counted_table.table_name,
    counted_table.is_fact,
    counted_table.n_rows,
    coalesce(recorded.n_committed, 0) AS n_committed
FROM counted_table
LEFT JOIN recorded ON counted_table.table_name = recorded.table_name
WHERE
    counted_table.n_rows > coalesce(recorded.n_committed, 0)
    OR (counted_table.is_fact AND counted_table.n_rows < coalesce(recorded.n_committed, 0))
    OR (counted_table.n_rows = 0 AND recorded.n_committed > 0)
