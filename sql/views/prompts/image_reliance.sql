-- Grain: one row per (model, dataset, method, prompt, split) asked about own images and controls: how
-- far answers depend on the image.
--
-- image_gain is what of the accuracy is owed to the image: that about own images less that about a
-- grey one. ignores_image: surely more than half of the answers stay when an image of another class
-- is shown, by the lower end of Wilson's interval.
WITH counts AS (
    SELECT
        model_id,
        dataset_id,
        method,
        prompt_id,
        split,
        count(*) AS n,
        count(*) FILTER (WHERE is_right) AS n_right,
        count(is_right_blank) AS n_blank,
        count(*) FILTER (WHERE is_right AND is_right_blank IS NOT NULL) AS n_right_beside_blank,
        count(*) FILTER (WHERE is_right_blank) AS n_right_blank,
        count(changes) AS n_other,
        count(*) FILTER (WHERE NOT changes) AS n_stay,
        count(*) FILTER (WHERE follows) AS n_follow,
        count(*) FILTER (WHERE is_right AND changes) AS n_right_changes,
        count(*) FILTER (WHERE is_right AND NOT changes) AS n_right_stays,
        count(*) FILTER (WHERE NOT is_right AND changes) AS n_wrong_changes,
        count(*) FILTER (WHERE NOT is_right AND NOT changes) AS n_wrong_stays,
        count(keeps) AS n_same,
        count(*) FILTER (WHERE keeps) AS n_keep
    FROM image_answer
    GROUP BY model_id, dataset_id, method, prompt_id, split
)

SELECT
    model_id,
    dataset_id,
    method,
    prompt_id,
    split,
    n,
    n_right / n AS accuracy,
    n_right_blank / nullif(n_blank, 0) AS blank_accuracy,
    (n_right_beside_blank - n_right_blank) / nullif(n_blank, 0) AS image_gain,
    n_other,
    n_stay / nullif(n_other, 0) AS stay_share,
    CASE WHEN n_other > 0 THEN wilson_lower(n_stay, n_other) END AS stay_lower,
    CASE WHEN n_other > 0 THEN wilson_upper(n_stay, n_other) END AS stay_upper,
    n_follow / nullif(n_other, 0) AS follow_share,
    n_right_changes,
    n_right_stays,
    n_wrong_changes,
    n_wrong_stays,
    n_keep / nullif(n_same, 0) AS keep_share,
    CASE WHEN n_other > 0 THEN wilson_lower(n_stay, n_other) > 0.5 END AS ignores_image
FROM counts
