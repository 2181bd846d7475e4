-- One row per sample of one locus and readout: its vector, and the sample's class, split and group.
CREATE OR REPLACE MACRO activations(in_model, in_dataset, in_module, in_layer, in_readout) AS TABLE
    SELECT
        a.sample_id,
        s.class_index,
        s.split,
        s.group_id,
        c.label,
        a.vector
    FROM activation AS a
    INNER JOIN sample AS s ON a.dataset_id = s.dataset_id AND a.sample_id = s.sample_id
    LEFT JOIN class AS c ON s.dataset_id = c.dataset_id AND s.class_index = c.class_index
    WHERE
        a.model_id = in_model
        AND a.dataset_id = in_dataset
        AND a.module = in_module
        AND a.layer = in_layer
        AND a.readout = in_readout
