-- Every probed locus and readout is in the mart.
WITH probes AS (
    SELECT *
    FROM scored_probe
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
ANTI JOIN mart_signal_flow
    ON
        probes.model_id = mart_signal_flow.model_id
        AND probes.dataset_id = mart_signal_flow.dataset_id
        AND probes.module = mart_signal_flow.module
        AND probes.layer = mart_signal_flow.layer
        AND probes.readout = mart_signal_flow.readout
        AND probes.kind = mart_signal_flow.probe_kind
