-- Grain: one row per (model, dataset) with patches from a better model: the donor that speaks where
-- there are several: before others one that was patched in at the ends of all stages, of which what
-- probes say is known too, then the one that is better by most. A repair is none, of which what it
-- brings comes back where it was trained.
SELECT
    stage_restoration.model_id,
    stage_restoration.dataset_id,
    stage_restoration.donor_model_id,
    count(stage_restoration.restored_share) = 4 AND count(stage_restoration.loss) = 4 AS is_whole
FROM stage_restoration
ANTI JOIN mend ON stage_restoration.donor_model_id = mend.model_id
GROUP BY
    stage_restoration.model_id,
    stage_restoration.dataset_id,
    stage_restoration.donor_model_id
QUALIFY row_number() OVER (
    PARTITION BY stage_restoration.model_id, stage_restoration.dataset_id
    ORDER BY is_whole DESC, max(stage_restoration.gap) DESC, stage_restoration.donor_model_id ASC
) = 1
