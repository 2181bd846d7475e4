-- Vectors of one locus differ between samples (in norm or value); injected faults are excused.
SELECT
    checked_locus.model_id,
    checked_locus.dataset_id,
    checked_locus.module,
    checked_locus.layer,
    checked_locus.readout,
    checked_locus.n_samples,
    checked_locus.max_norm AS norm
FROM checked_locus
LEFT JOIN model ON checked_locus.model_id = model.model_id
WHERE
    checked_locus.n_samples > 1
    AND checked_locus.n_not_finite = 0
    AND checked_locus.has_constant_values
    AND checked_locus.max_norm - checked_locus.min_norm <= 1e-6 * checked_locus.max_norm
    AND coalesce(model.variant, 'base') NOT LIKE '%fault:%'
