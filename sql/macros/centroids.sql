-- One row per class of one locus and readout: the mean vector of its samples in one split.
CREATE OR REPLACE MACRO centroids(
    in_model, in_dataset, in_module, in_layer, in_readout, in_split := 'train'
) AS TABLE
    WITH components AS (
        SELECT
            class_index,
            label,
            unnest(vector) AS component,
            generate_subscripts(vector, 1) AS position
        FROM activations(in_model, in_dataset, in_module, in_layer, in_readout)
        WHERE split = in_split
    ),

    means AS (
        SELECT
            class_index,
            label,
            position,
            count(*) AS n_samples,
            avg(component) AS mean_component
        FROM components
        GROUP BY class_index, label, position
    )

    SELECT
        class_index,
        label,
        max(n_samples) AS n_samples,
        list(mean_component ORDER BY position) AS centroid
    FROM means
    GROUP BY class_index, label;
