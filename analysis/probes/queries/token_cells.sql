-- The loci of one model on one dataset whose image tokens are kept, in pipeline order, as cells: how
-- many numbers the image with most tokens has, how many samples may be scored, and a mark that differs
-- where the sets of samples differ.
WITH samples AS (
    SELECT
        module,
        layer,
        sample_id,
        count(*) AS n_tokens
    FROM token_activation
    WHERE
        model_id = $model
        AND dataset_id = $dataset
        AND sample_id NOT IN (SELECT unnest($seen))
    GROUP BY module, layer, sample_id
)

SELECT
    samples.module,
    samples.layer,
    'tokens' AS readout,
    layer.width * max(samples.n_tokens) AS n_values,
    count(*) AS n_samples,
    cast(bit_xor(hash(samples.sample_id)) AS VARCHAR) AS sample_mark
FROM samples
INNER JOIN layer
    ON
        layer.model_id = $model
        AND samples.module = layer.module
        AND samples.layer = layer.layer
GROUP BY samples.module, samples.layer, layer.width, layer.depth
ORDER BY layer.depth
