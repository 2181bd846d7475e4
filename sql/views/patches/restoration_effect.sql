-- Grain: one row per (model, dataset) with patches from a better model at the ends of all stages:
-- whether they point to the stage that the losses read by probes point to.
--
-- Of several donors the one that is better by most speaks, but no repair, of which what it brings
-- comes back where it was trained. They disagree where the stage at which most comes back is another
-- than the one that loses most (more than in the donor, where that was probed), and brings more back
-- beyond both intervals.
WITH gaps AS (
    SELECT
        stage_restoration.model_id,
        stage_restoration.donor_model_id,
        stage_restoration.dataset_id,
        max(stage_restoration.gap) AS gap
    FROM stage_restoration
    ANTI JOIN mend ON stage_restoration.donor_model_id = mend.model_id
    GROUP BY
        stage_restoration.model_id,
        stage_restoration.donor_model_id,
        stage_restoration.dataset_id
    HAVING count(stage_restoration.restored_share) = 4 AND count(stage_restoration.loss) = 4
),

best AS (
    SELECT *
    FROM gaps
    QUALIFY row_number() OVER (
        PARTITION BY model_id, dataset_id ORDER BY gap DESC, donor_model_id ASC
    ) = 1
),

ranked AS (
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
    INNER JOIN best
        ON
            stage_restoration.model_id = best.model_id
            AND stage_restoration.donor_model_id = best.donor_model_id
            AND stage_restoration.dataset_id = best.dataset_id
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
