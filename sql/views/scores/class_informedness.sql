-- Grain: one row per model, dataset, class and what names classes: the probes of one locus, readout,
-- kind and control, or the answers by one method.
--
-- informedness = the share of the class' test samples that are named so less the share of all others
-- that are (Youden 1950): 0 for whoever names classes at random, however often. Its interval is
-- Newcombe's (1998, method 10) of two Wilson intervals. Probes of several seeds are averaged;
-- they are those that are evidence (scored_probe).
WITH sides AS (
    SELECT
        confusion.source,
        confusion.source_id,
        confusion.model_id,
        confusion.dataset_id,
        confusion.method,
        side.name AS side,
        if(side.name = 'true', confusion.class_index, confusion.predicted_class_index)
            AS class_index,
        coalesce(confusion.class_index = confusion.predicted_class_index, FALSE) AS is_hit,
        confusion.n
    FROM confusion
    CROSS JOIN (VALUES ('true'), ('predicted')) AS side (name)
    WHERE confusion.split = 'test' AND confusion.source IN ('probe', 'answer')
),

counted AS (
    SELECT
        source,
        source_id,
        model_id,
        dataset_id,
        method,
        class_index,
        coalesce(sum(n) FILTER (WHERE side = 'true'), 0) AS n_own,
        coalesce(sum(n) FILTER (WHERE side = 'true' AND is_hit), 0) AS n_hit,
        coalesce(sum(n) FILTER (WHERE side = 'predicted' AND NOT is_hit), 0) AS n_false,
        sum(coalesce(sum(n) FILTER (WHERE side = 'true'), 0)) OVER (
            PARTITION BY source, source_id, model_id, dataset_id, method
        ) AS n_all
    FROM sides
    GROUP BY source, source_id, model_id, dataset_id, method, class_index
),

shares AS (
    SELECT
        counted.source,
        counted.model_id,
        counted.dataset_id,
        counted.method,
        counted.class_index,
        scored_probe.module,
        scored_probe.layer,
        scored_probe.readout,
        scored_probe.kind,
        scored_probe.control,
        avg(counted.n_own) AS n_own,
        avg(counted.n_all - counted.n_own) AS n_other,
        avg(counted.n_hit / counted.n_own) AS hit_share,
        avg(counted.n_false / (counted.n_all - counted.n_own)) AS false_share
    FROM counted
    LEFT JOIN scored_probe ON counted.source_id = scored_probe.probe_id
    WHERE
        counted.class_index IS NOT NULL
        AND counted.n_own > 0
        AND counted.n_own < counted.n_all
        AND (counted.source = 'answer' OR scored_probe.probe_id IS NOT NULL)
    GROUP BY
        counted.source,
        counted.model_id,
        counted.dataset_id,
        counted.method,
        counted.class_index,
        scored_probe.module,
        scored_probe.layer,
        scored_probe.readout,
        scored_probe.kind,
        scored_probe.control
)

SELECT
    source,
    model_id,
    dataset_id,
    method,
    module,
    layer,
    readout,
    kind,
    control,
    class_index,
    n_own,
    n_other,
    hit_share,
    false_share,
    hit_share - false_share AS informedness,
    hit_share - false_share - sqrt(
        (hit_share - wilson_lower(hit_share * n_own, n_own)) ^ 2
        + (wilson_upper(false_share * n_other, n_other) - false_share) ^ 2
    ) AS lower,
    hit_share - false_share + sqrt(
        (wilson_upper(hit_share * n_own, n_own) - hit_share) ^ 2
        + (false_share - wilson_lower(false_share * n_other, n_other)) ^ 2
    ) AS upper
FROM shares
