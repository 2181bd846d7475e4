-- Grain: one row per probe on true labels and test sample: the bits by which the vector makes the
-- true class likelier than the shares of the classes in train do.
--
-- Pointwise V-information, -log2 g(y) + log2 g(y | x) (Ethayarajh et al. 2022, "Understanding
-- dataset difficulty with V-usable information"): the model without input that fits train best says
-- its class shares. Negative where the probe misleads; NULL for a class that train does not show.
WITH probes AS (
    SELECT *
    FROM probe
    WHERE control = 'none'
),

shares AS (
    SELECT
        dataset_id,
        class_index,
        count(*) / sum(count(*)) OVER (PARTITION BY dataset_id) AS share
    FROM sample
    WHERE split = 'train'
    GROUP BY dataset_id, class_index
),

scored AS (
    SELECT
        probe_logit.probe_id,
        probes.model_id,
        probes.dataset_id,
        probe_logit.sample_id,
        sample.class_index,
        probe_logit.logits,
        cast(list_max(probe_logit.logits) AS DOUBLE) AS largest
    FROM probe_logit
    INNER JOIN probes ON probe_logit.probe_id = probes.probe_id
    INNER JOIN
        sample
        ON probes.dataset_id = sample.dataset_id AND probe_logit.sample_id = sample.sample_id
    WHERE probe_logit.split = 'test'
),

likelihoods AS (
    SELECT
        * EXCLUDE (logits, largest),
        logits[class_index + 1] - largest
        - ln(list_sum(list_transform(logits, LAMBDA x: exp(x - largest))))
            AS log_likelihood
    FROM scored
)

SELECT
    likelihoods.probe_id,
    likelihoods.model_id,
    likelihoods.dataset_id,
    likelihoods.sample_id,
    likelihoods.class_index,
    likelihoods.log_likelihood / ln(2) - log2(shares.share) AS information_bits
FROM likelihoods
LEFT JOIN shares
    ON
        likelihoods.dataset_id = shares.dataset_id
        AND likelihoods.class_index = shares.class_index
