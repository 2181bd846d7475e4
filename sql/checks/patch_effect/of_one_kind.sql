-- A patch is of known tokens under a known control. Between models it has none and the donor is the
-- same sample; between images it is another one. What it shifts is a number.
SELECT
    model_id,
    donor_model_id,
    dataset_id,
    module,
    layer,
    tokens,
    control,
    sample_id,
    donor_id
FROM patch_effect
WHERE
    tokens NOT IN ('image', 'last', 'both')
    OR control NOT IN ('none', 'same_class', 'other_locus', 'noise')
    OR (donor_model_id = model_id) <> (donor_id <> sample_id)
    OR (donor_model_id <> model_id AND control <> 'none')
    OR (module <> 'llm' AND tokens <> 'image')
    OR NOT (isfinite(target_shift) AND isfinite(label_shift))
