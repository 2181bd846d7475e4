-- Every probed locus and readout is in the mart.
WITH flow AS (
    SELECT *
    FROM mart_signal_flow
),

probes AS (
    SELECT *
    FROM probe
    WHERE control = 'none'
)

SELECT DISTINCT
    probes.model_id,
    probes.dataset_id,
    probes.module,
    probes.layer,
    probes.readout,
    probes.kind
FROM probes
ANTI JOIN flow
    ON
        probes.model_id = flow.model_id
        AND probes.dataset_id = flow.dataset_id
        AND probes.module = flow.module
        AND probes.layer = flow.layer
        AND probes.readout = flow.readout
        AND probes.kind = flow.probe_kind
