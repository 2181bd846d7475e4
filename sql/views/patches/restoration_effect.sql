-- Grain: one row per (model, dataset) with patches from a better model at the ends of all stages:
-- whether they point to the stage that the losses read by probes point to.
--
-- They disagree where the stage at which most comes back is another than the one that loses most (more
-- than in the donor, where that was probed), and brings more back beyond both intervals.
WITH ranked AS (
    SELECT
        stage_restoration.*,
        row_number() OVER (
            PARTITION BY stage_restoration.model_id, stage_restoration.dataset_id
            ORDER BY stage_restoration.restored_share DESC, stage_restoration.stage_order ASC
        ) AS restored_rank,
        row_number() OVER (
            PARTITION BY stage_restoration.model_id, stage_restoration.dataset_id
            ORDER BY
                coalesce(stage_restoration.extra_loss, stage_restoration.loss) DESC,
                stage_restoration.stage_order ASC
        ) AS lost_rank
    FROM stage_restoration
    INNER JOIN best_donor
        ON
            stage_restoration.model_id = best_donor.model_id
            AND stage_restoration.donor_model_id = best_donor.donor_model_id
            AND stage_restoration.dataset_id = best_donor.dataset_id
            AND best_donor.is_whole
),

pairs AS (
    SELECT
        restored.model_id,
        restored.dataset_id,
        restored.donor_model_id,
        restored.stage AS restored_stage,
        restored.restored_share,
        lost.stage AS lost_stage,
        lost.restored_share AS restored_there,
        restored.stage <> lost.stage AND restored.lower > lost.upper AS disagrees
    FROM ranked AS restored
    INNER JOIN ranked AS lost
        ON
            restored.model_id = lost.model_id
            AND restored.dataset_id = lost.dataset_id
            AND lost.lost_rank = 1
    WHERE restored.restored_rank = 1
)

SELECT
    *,
    CASE
        WHEN disagrees
            THEN concat(
                'patching points elsewhere than probes: with the states of ',
                donor_model_id,
                ' most of what it answers better comes back at ',
                restored_stage,
                ' (',
                cast(round(100 * restored_share) AS INTEGER),
                '%), and at ',
                lost_stage,
                ', which loses most, ',
                cast(round(100 * restored_there) AS INTEGER),
                '%'
            )
    END AS note
FROM pairs
