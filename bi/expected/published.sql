SELECT
    'mart_failure_modes' AS mart,
    count(*) AS n_rows
FROM mart_failure_modes
UNION ALL
SELECT
    'mart_leaderboard' AS mart,
    count(*) AS n_rows
FROM mart_leaderboard
UNION ALL
SELECT
    'mart_model_health' AS mart,
    count(*) AS n_rows
FROM mart_model_health
UNION ALL
SELECT
    'mart_sample_outcomes' AS mart,
    count(*) AS n_rows
FROM mart_sample_outcomes
UNION ALL
SELECT
    'mart_signal_flow' AS mart,
    count(*) AS n_rows
FROM mart_signal_flow
