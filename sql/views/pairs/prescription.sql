-- Grain: one row per model with damaged weights and dataset on which its repairs were tried.
--
-- The damage is known, so it can be asked whether repairs name it: whether mending the damaged stage
-- brings back what it costs (injected_share), whether the repair that is advised by val lies at that
-- stage (is_named), and whether it gives on test what the best of all gives (advice_share).
WITH answered AS (
    SELECT
        model_id,
        dataset_id,
        available_accuracy AS answered
    FROM stage_signal
    WHERE stage = 'answer'
),

damaged AS (
    SELECT
        model_id,
        name,
        regexp_extract(variant, '^fault:(.*)$', 1) AS damage,
        regexp_extract(variant, '^fault:[a-z]+@([a-z]+)', 1) AS stage
    FROM model
    WHERE regexp_full_match(variant, 'fault:(damage|lowrank)@[^+]*')
),

repairs AS (
    SELECT
        damaged.model_id,
        recovered_share.dataset_id,
        max(recovered_share.gain) AS best_gain,
        max(recovered_share.gain)
        FILTER (WHERE recovered_share.stage = damaged.stage) AS injected_gain,
        max(recovered_share.gain) FILTER (WHERE recovered_share.is_advised) AS advised_gain,
        max(recovered_share.stage) FILTER (WHERE recovered_share.is_advised) AS advised_stage,
        max(recovered_share.repair) FILTER (WHERE recovered_share.is_advised) AS advised_repair
    FROM damaged
    INNER JOIN recovered_share ON damaged.model_id = recovered_share.base_model_id
    WHERE recovered_share.control = 'none'
    GROUP BY damaged.model_id, recovered_share.dataset_id
)

SELECT
    damaged.model_id,
    damaged.name,
    repairs.dataset_id,
    damaged.damage,
    damaged.stage,
    before.answered - after.answered AS cost,
    NOT exceeds(threshold.costly, before.answered - after.answered) AS is_costly,
    coalesce(repairs.injected_gain, 0) / nullif(before.answered - after.answered, 0)
        AS injected_share,
    repairs.advised_stage,
    repairs.advised_repair,
    coalesce(repairs.advised_stage = damaged.stage, FALSE) AS is_named,
    coalesce(repairs.advised_gain, 0) / nullif(repairs.best_gain, 0) AS advice_share
FROM damaged
INNER JOIN repairs ON damaged.model_id = repairs.model_id
INNER JOIN answered AS after
    ON repairs.model_id = after.model_id AND repairs.dataset_id = after.dataset_id
INNER JOIN model AS healthy ON damaged.name = healthy.name AND healthy.variant = 'base'
INNER JOIN answered AS before
    ON healthy.model_id = before.model_id AND repairs.dataset_id = before.dataset_id
CROSS JOIN threshold
