-- The k samples whose vectors at one locus and readout point most nearly where a sample's does.
CREATE OR REPLACE MACRO nearest(
    in_model, in_dataset, in_module, in_layer, in_readout, in_sample, k := 10
) AS TABLE
    WITH vectors AS (
        SELECT
            sample_id,
            class_index,
            split,
            label,
            vector
        FROM activations(in_model, in_dataset, in_module, in_layer, in_readout)
    ),

    probed AS (
        SELECT vector
        FROM vectors
        WHERE sample_id = in_sample
    )

    SELECT
        v.sample_id,
        v.class_index,
        v.label,
        v.split,
        list_dot_product(v.vector, p.vector)
        / nullif(
            sqrt(list_dot_product(v.vector, v.vector) * list_dot_product(p.vector, p.vector)), 0
        ) AS cosine
    FROM vectors AS v
    CROSS JOIN probed AS p
    WHERE v.sample_id <> in_sample
    ORDER BY cosine DESC NULLS LAST, v.sample_id ASC
    LIMIT k;
