-- Grain: one row per (model, dataset, locus, patched tokens, control) of patches between images of
-- one model.
--
-- Of every control the target is the class of the same donor of another class: with no control its
-- states stand there, and turned_share tells for how many samples the answer's class is still
-- carried by these tokens. control_share is the larger turned_share of the two controls of the place
-- that hold nothing of the donor's class, same_class and noise.
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
)

SELECT
    counted.model_id,
    counted.dataset_id,
    counted.module,
    counted.layer,
    layer.depth,
    counted.tokens,
    counted.control,
    counted.n,
    counted.n_turned / counted.n AS turned_share,
    wilson_lower(counted.n_turned, counted.n) AS lower,
    wilson_upper(counted.n_turned, counted.n) AS upper,
    counted.n_there / counted.n AS unpatched_share,
    max(
        CASE
            WHEN counted.control IN ('same_class', 'noise') THEN counted.n_turned / counted.n
        END
    ) OVER (
        PARTITION BY
            counted.model_id,
            counted.dataset_id,
            counted.module,
            counted.layer,
            counted.tokens
    ) AS control_share,
    counted.n_kept / counted.n AS kept_share,
    counted.n_agree / counted.n AS agree_share,
    counted.n_right / counted.n AS own_accuracy,
    CASE
        WHEN counted.control <> 'same_class' THEN counted.n_donor / counted.n
    END AS donor_accuracy,
    counted.target_shift,
    counted.label_shift
FROM counted
INNER JOIN layer
    ON
        counted.model_id = layer.model_id
        AND counted.module = layer.module
        AND counted.layer = layer.layer
