-- The run_id of every vector is in run.
WITH parts AS (
    SELECT *
    FROM activation_part
),

runs AS (
    SELECT *
    FROM run
)

SELECT
    parts.run_id,
    sum(parts.n_rows) AS n_vectors
FROM parts
ANTI JOIN runs ON parts.run_id = runs.run_id
GROUP BY parts.run_id
