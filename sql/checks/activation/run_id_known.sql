-- The run_id of every vector is in run.
SELECT
    activation_part.run_id,
    sum(activation_part.n_rows) AS n_vectors
FROM activation_part
ANTI JOIN run ON activation_part.run_id = run.run_id
GROUP BY activation_part.run_id
