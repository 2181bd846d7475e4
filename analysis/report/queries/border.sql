SELECT
    readout,
    vision_layer,
    n_samples,
    n_neighbours,
    neighbour_overlap,
    overlap_lower,
    overlap_upper,
    overlap_chance,
    cka,
    cka_lower,
    cka_upper,
    reconstruction,
    reconstruction_lower,
    reconstruction_upper
FROM border_fidelity
WHERE model_id = $model AND dataset_id = $dataset
ORDER BY readout
