-- Grain: one row per (model, dataset, stage, candidate, probe): the probes behind each candidate
-- for a stage's signal, one per seed. A single image needs one class: that is what the probe with
-- seed_rank 1 says. An answer that stands for a stage has no probe.
WITH candidates AS (
    SELECT *
    FROM stage_candidate
),

probes AS (
    SELECT *
    FROM probe
    WHERE control = 'none'
)

SELECT
    candidates.model_id,
    candidates.dataset_id,
    candidates.stage,
    candidates.module,
    candidates.rank,
    probes.probe_id,
    count(*) OVER candidate AS n_seeds,
    row_number() OVER (candidate ORDER BY probes.seed ASC, probes.probe_id ASC) AS seed_rank
FROM candidates
INNER JOIN probes
    ON
        candidates.model_id = probes.model_id
        AND candidates.dataset_id = probes.dataset_id
        AND candidates.module = probes.module
        AND candidates.layer = probes.layer
        AND candidates.readout = probes.readout
        AND candidates.kind = probes.kind
WINDOW candidate AS (
    PARTITION BY candidates.model_id, candidates.dataset_id, candidates.stage, candidates.rank
)
