-- Grain: one row per (model, dataset, stage, candidate, probe): the probes behind each candidate
-- of a stage, one per seed. A single image needs one class: that is what the probe with
-- seed_rank 1 says. An answer that stands for a stage has no probe.
WITH probes AS (
    SELECT *
    FROM scored_probe
    WHERE control = 'none'
)

SELECT
    stage_candidate.model_id,
    stage_candidate.dataset_id,
    stage_candidate.stage,
    stage_candidate.module,
    stage_candidate.rank,
    probes.probe_id,
    count(*) OVER candidate AS n_seeds,
    row_number() OVER seeds AS seed_rank
FROM stage_candidate
INNER JOIN probes
    ON
        stage_candidate.model_id = probes.model_id
        AND stage_candidate.dataset_id = probes.dataset_id
        AND stage_candidate.module = probes.module
        AND stage_candidate.layer = probes.layer
        AND stage_candidate.readout = probes.readout
        AND stage_candidate.kind = probes.kind
WINDOW candidate AS (
    PARTITION BY
        stage_candidate.model_id,
        stage_candidate.dataset_id,
        stage_candidate.stage,
        stage_candidate.rank
),
seeds AS (
    PARTITION BY
        stage_candidate.model_id,
        stage_candidate.dataset_id,
        stage_candidate.stage,
        stage_candidate.rank
    ORDER BY probes.seed ASC, probes.probe_id ASC
)
