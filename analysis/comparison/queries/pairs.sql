-- Every pair of models that belong together, or that somebody compared, with a dataset that both have
-- probes or answers on.
WITH wanted AS (
    SELECT
        model_id,
        base_model_id
    FROM model_pair
    UNION
    SELECT
        model_id,
        base_model_id
    FROM pair_interval
)

SELECT
    wanted.model_id,
    wanted.base_model_id,
    own.dataset_id
FROM wanted
INNER JOIN mart_leaderboard AS own ON wanted.model_id = own.model_id
INNER JOIN mart_leaderboard AS base
    ON wanted.base_model_id = base.model_id AND own.dataset_id = base.dataset_id
ORDER BY own.dataset_id, wanted.base_model_id, wanted.model_id
