-- Grain: one row per (model, donor model, dataset, locus, patched tokens, scored sample) of patches
-- between models: whether the answer is right with the patch, without it, and of the donor, and how
-- much the sample weighs in the dataset's score among those that were patched.
WITH patched AS (
    SELECT
        patch_effect.model_id,
        patch_effect.donor_model_id,
        patch_effect.dataset_id,
        patch_effect.module,
        patch_effect.layer,
        patch_effect.tokens,
        patch_effect.ends_stage,
        patch_effect.sample_id,
        scored_sample.group_id,
        dataset.score,
        cast(patch_effect.predicted_class_index = sample.class_index AS INTEGER) AS patched,
        cast(patch_effect.own_class_index = sample.class_index AS INTEGER) AS own,
        cast(patch_effect.donor_class_index = sample.class_index AS INTEGER) AS donor,
        count(*) OVER (
            PARTITION BY
                patch_effect.model_id,
                patch_effect.donor_model_id,
                patch_effect.dataset_id,
                patch_effect.module,
                patch_effect.layer,
                patch_effect.tokens,
                sample.class_index
        ) AS n_of_class
    FROM patch_effect
    INNER JOIN scored_sample
        ON
            patch_effect.dataset_id = scored_sample.dataset_id
            AND patch_effect.sample_id = scored_sample.sample_id
    INNER JOIN sample
        ON
            patch_effect.dataset_id = sample.dataset_id
            AND patch_effect.sample_id = sample.sample_id
    INNER JOIN dataset ON patch_effect.dataset_id = dataset.dataset_id
    WHERE patch_effect.donor_model_id <> patch_effect.model_id
)

SELECT
    model_id,
    donor_model_id,
    dataset_id,
    module,
    layer,
    tokens,
    ends_stage,
    sample_id,
    group_id,
    score,
    patched,
    own,
    donor,
    by_score(score, 1 / n_of_class, 1) AS weight
FROM patched
