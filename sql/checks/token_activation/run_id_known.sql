-- The run_id of every token is in run.
SELECT
    token_part.run_id,
    sum(token_part.n_rows) AS n_vectors
FROM token_part
ANTI JOIN run ON token_part.run_id = run.run_id
GROUP BY token_part.run_id
