-- Grain: one row per probe on true labels and test sample: the bits by which the vector makes the
-- true class likelier than the shares of the classes in train do.
--
-- Pointwise V-information, -log2 g(y) + log2 g(y | x) (Ethayarajh et al. 2022, "Understanding
-- dataset difficulty with V-usable information"): the model without input that fits train best says
-- its class shares, and where a probe is fitted for balanced accuracy, to which all classes are
-- equally many, the same for each. Negative where the probe misleads; NULL for a class that train
-- does not show.
WITH probes AS (
    SELECT *
    FROM scored_probe
    WHERE control = 'none'
),

trained AS (
    SELECT
        sample.dataset_id,
        sample.class_index,
        trained_sample.repetition,
        trained_sample.fold,
        count(*) AS n
    FROM sample
    INNER JOIN trained_sample
        ON
            sample.dataset_id = trained_sample.dataset_id
            AND sample.sample_id = trained_sample.sample_id
    GROUP BY ALL
),

shares AS (
    SELECT
        dataset_id,
        class_index,
        repetition,
        fold,
        n / sum(n) OVER trained_together AS share,
        1 / count(*) OVER trained_together AS even_share
    FROM trained
    WINDOW trained_together AS (PARTITION BY dataset_id, repetition, fold)
),

scored AS (
    SELECT
        probe_logit.probe_id,
        probes.model_id,
        probes.dataset_id,
        probes.score,
        probe_logit.sample_id,
        sample.class_index,
        sample_fold.repetition,
        sample_fold.fold,
        probe_logit.logits,
        cast(list_max(probe_logit.logits) AS DOUBLE) AS largest
    FROM probe_logit
    INNER JOIN probes ON probe_logit.probe_id = probes.probe_id
    INNER JOIN
        sample
        ON probes.dataset_id = sample.dataset_id AND probe_logit.sample_id = sample.sample_id
    LEFT JOIN sample_fold
        ON
            probes.dataset_id = sample_fold.dataset_id
            AND probe_logit.sample_id = sample_fold.sample_id
            AND probes.seed = sample_fold.repetition
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
    likelihoods.log_likelihood / ln(2)
    - log2(by_score(likelihoods.score, shares.even_share, shares.share)) AS information_bits
FROM likelihoods
LEFT JOIN shares
    ON
        likelihoods.dataset_id = shares.dataset_id
        AND likelihoods.class_index = shares.class_index
        AND likelihoods.repetition IS NOT DISTINCT FROM shares.repetition
        AND likelihoods.fold IS NOT DISTINCT FROM shares.fold
