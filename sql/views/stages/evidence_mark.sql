-- Grain: one row per (model, dataset, failure mode): what three kinds of evidence say of it.
--
-- Information: what probes read; is_lost as in failure_mode (is_present), FALSE where at most the
-- margin is lost. Use: what comes back at the stage with the states of a better variant
-- (stage_restoration, of the best_donor); is_caused where the lower end of that exceeds the margin,
-- in the score's points. Cure: what the advised repair, where it is of the stage, else the one of the
-- stage that gains most on val brings back of its loss; is_mended where it gains for certain and
-- brings back `undone`, FALSE where it does not and all repairs of the stage were tried. Each is NULL
-- where intervals leave it open, and where it was not measured: then a column says what would. The
-- claim is all that may be said: `no longer readable` (of the answer `readable but not said`) by probes
-- alone, `caused in` where patching confirms it, `mended by` where a repair of the stage undoes it.
-- Mending a stage does not show that it is the one that is broken.
WITH repaired AS (
    SELECT
        recovered_share.*,
        exceeds(recovered_share.gain_lower, 0)
        AND NOT exceeds(threshold.undone, recovered_share.stage_share) AS is_undone
    FROM recovered_share
    CROSS JOIN threshold
    WHERE recovered_share.is_advised OR recovered_share.is_best_of_stage
    QUALIFY row_number() OVER (
        PARTITION BY
            recovered_share.base_model_id, recovered_share.dataset_id, recovered_share.stage
        ORDER BY recovered_share.is_advised DESC, recovered_share.model_id ASC
    ) = 1
),

measured AS (
    SELECT
        failure_mode.model_id,
        failure_mode.dataset_id,
        failure_mode.failure_mode,
        stage.stage,
        failure_mode.stage_order,
        failure_mode.score,
        failure_mode.is_present,
        failure_mode.is_primary,
        failure_mode.loss,
        failure_mode.lower AS loss_lower,
        failure_mode.upper AS loss_upper,
        CASE
            WHEN failure_mode.is_present THEN TRUE
            WHEN NOT exceeds(failure_mode.upper, failure_mode.margin) THEN FALSE
        END AS is_lost,
        CASE WHEN failure_mode.lower IS NULL THEN evidence_way.information END
            AS information_missing,
        restored.donor_model_id,
        restored.gap AS donor_gain,
        restored.restored_share,
        restored.lower AS restored_lower,
        restored.upper AS restored_upper,
        CASE
            WHEN exceeds(restored.lower * restored.gap, failure_mode.margin) THEN TRUE
            WHEN NOT exceeds(restored.upper * restored.gap, failure_mode.margin) THEN FALSE
        END AS is_caused,
        CASE
            WHEN restored.restored_share IS NOT NULL THEN NULL
            WHEN restored.donor_model_id IS NOT NULL
                THEN
                    concat(
                        restored.donor_model_id,
                        ' is not better beyond its interval, so there is nothing to come back'
                    )
            ELSE evidence_way.use
        END AS use_missing,
        tried_repair.tried,
        CASE
            WHEN repaired.repair IS NOT NULL THEN concat(repaired.stage, '/', repaired.repair)
        END AS repair,
        repaired.n_parameters,
        repaired.seconds,
        repaired.gain AS repair_gain,
        repaired.gain_lower AS repair_gain_lower,
        repaired.gain_upper AS repair_gain_upper,
        repaired.stage_share AS recovered_share,
        repaired.stage_share_lower AS recovered_lower,
        repaired.stage_share_upper AS recovered_upper,
        repaired.is_calibration,
        CASE
            WHEN repaired.method_before <> repaired.method_after THEN NULL
            WHEN repaired.is_undone THEN TRUE
            WHEN tried_repair.untried IS NOT NULL THEN NULL
            WHEN
                NOT exceeds(repaired.gain_upper, 0)
                OR exceeds(threshold.undone, repaired.stage_share_upper)
                THEN FALSE
            WHEN repaired.repair IS NULL AND tried_repair.is_in_vain THEN FALSE
        END AS is_mended,
        CASE
            -- A loss that is present has a share once the two are compared as they are now.
            WHEN
                failure_mode.is_present
                AND repaired.stage_share_lower IS NULL
                AND repaired.method_before = repaired.method_after
                THEN
                    concat(
                        'run `layerhouse compare --model ',
                        shell_word(repaired.model_id),
                        ' --base ',
                        shell_word(repaired.base_model_id),
                        ' --dataset ',
                        shell_word(repaired.dataset_id),
                        '`'
                    )
            WHEN
                tried_repair.untried IS NOT NULL
                AND starts_with(evidence_way.cure, 'run ')
                AND NOT coalesce(repaired.is_undone, FALSE)
                THEN
                    concat(
                        tried_repair.untried,
                        if(tried_repair.n_untried = 1, ' is', ' are'),
                        ' untried; ',
                        evidence_way.cure
                    )
            WHEN repaired.repair IS NOT NULL OR tried_repair.tried IS NOT NULL THEN NULL
            ELSE evidence_way.cure
        END AS cure_missing
    FROM failure_mode
    INNER JOIN stage ON failure_mode.failure_mode = stage.failure_mode
    LEFT JOIN evidence_way
        ON
            failure_mode.model_id = evidence_way.model_id
            AND failure_mode.dataset_id = evidence_way.dataset_id
            AND stage.stage = evidence_way.stage
    LEFT JOIN best_donor
        ON
            failure_mode.model_id = best_donor.model_id
            AND failure_mode.dataset_id = best_donor.dataset_id
    LEFT JOIN stage_restoration AS restored
        ON
            best_donor.model_id = restored.model_id
            AND best_donor.dataset_id = restored.dataset_id
            AND best_donor.donor_model_id = restored.donor_model_id
            AND stage.stage = restored.stage
    LEFT JOIN repaired
        ON
            failure_mode.model_id = repaired.base_model_id
            AND failure_mode.dataset_id = repaired.dataset_id
            AND stage.stage = repaired.stage
    LEFT JOIN tried_repair
        ON
            failure_mode.model_id = tried_repair.model_id
            AND failure_mode.dataset_id = tried_repair.dataset_id
            AND stage.stage = tried_repair.stage
    CROSS JOIN threshold
)

SELECT
    *,
    CASE
        WHEN NOT is_present THEN NULL
        WHEN is_caused AND is_mended THEN 'caused in and mended by'
        WHEN is_caused THEN 'caused in'
        WHEN is_mended THEN 'mended by'
        WHEN stage = 'answer' THEN 'readable but not said'
        ELSE 'no longer readable'
    END AS claim
FROM measured
