-- Grain: one row per (model, dataset, locus, patched tokens, control) of patches between images of
-- one model.
--
-- Of every control the target is the class of the same donor of another class: with no control its
-- states stand there, and turned_share tells for how many samples the answer's class is still
-- carried by these tokens. control_share is the larger turned_share of the two controls of the place
-- that hold nothing of the donor's class, same_class and noise, and control_n the samples that this
-- one was run on, of two that turn as many the fewer: a later run may have taken the place's n alone.
WITH patched AS (
    SELECT
        patch_effect.*,
        sample.class_index
    FROM patch_effect
    INNER JOIN scored_sample
        ON
            patch_effect.dataset_id = scored_sample.dataset_id
            AND patch_effect.sample_id = scored_sample.sample_id
    INNER JOIN sample
        ON
            patch_effect.dataset_id = sample.dataset_id
            AND patch_effect.sample_id = sample.sample_id
    WHERE patch_effect.donor_model_id = patch_effect.model_id
),

counted AS (
    SELECT
        model_id,
        dataset_id,
        module,
        layer,
        tokens,
        control,
        count(*) AS n,
        count(*) FILTER (WHERE predicted_class_index = target_class_index) AS n_turned,
        count(*) FILTER (WHERE own_class_index = target_class_index) AS n_there,
        count(*) FILTER (WHERE own_class_index = class_index) AS n_right,
        count(*) FILTER (WHERE donor_class_index = target_class_index) AS n_donor,
        count(*) FILTER (WHERE predicted_class_index = donor_class_index) AS n_agree,
        count(*) FILTER (WHERE predicted_class_index = own_class_index) AS n_kept,
        avg(target_shift) AS target_shift,
        avg(label_shift) AS label_shift
    FROM patched
    GROUP BY model_id, dataset_id, module, layer, tokens, control
),

shares AS (
    SELECT
        *,
        n_turned / n AS turned_share,
        CASE WHEN control IN ('same_class', 'noise') THEN n_turned / n END AS empty_share
    FROM counted
),

controlled AS (
    SELECT
        *,
        max(empty_share) OVER (PARTITION BY model_id, dataset_id, module, layer, tokens)
            AS control_share
    FROM shares
)

SELECT
    controlled.model_id,
    controlled.dataset_id,
    controlled.module,
    controlled.layer,
    layer.depth,
    controlled.tokens,
    controlled.control,
    controlled.n,
    controlled.turned_share,
    wilson_lower(controlled.n_turned, controlled.n) AS lower,
    wilson_upper(controlled.n_turned, controlled.n) AS upper,
    controlled.n_there / controlled.n AS unpatched_share,
    controlled.control_share,
    min(CASE WHEN controlled.empty_share = controlled.control_share THEN controlled.n END) OVER (
        PARTITION BY
            controlled.model_id,
            controlled.dataset_id,
            controlled.module,
            controlled.layer,
            controlled.tokens
    ) AS control_n,
    controlled.n_kept / controlled.n AS kept_share,
    controlled.n_agree / controlled.n AS agree_share,
    controlled.n_right / controlled.n AS own_accuracy,
    CASE
        WHEN controlled.control <> 'same_class' THEN controlled.n_donor / controlled.n
    END AS donor_accuracy,
    controlled.target_shift,
    controlled.label_shift
FROM controlled
INNER JOIN layer
    ON
        controlled.model_id = layer.model_id
        AND controlled.module = layer.module
        AND controlled.layer = layer.layer
