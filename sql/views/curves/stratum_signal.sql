-- Grain: one row per model, dataset, locus, readout, probe kind, attribute and value: how well the
-- class is read among the test samples of that value.
--
-- chance is what always naming the value's largest class of train scores on test, so that what the
-- attribute tells of the class counts for nothing here; where train does not show the value, its
-- largest class of all. Under folds train is what trained for the fold (`trained_sample`). Test's
-- own largest class would be too good where values are many and small. Samples weigh as the
-- dataset's score has it: all alike, or each class of the split as much as another; weight is what
-- those of the value weigh together. Scores are means over the probes' seeds.
WITH labels AS (
    SELECT
        attribute_label.dataset_id,
        attribute_label.sample_id,
        attribute_label.attribute,
        attribute_label.label_index,
        attribute_label.value,
        sample.class_index,
        sample.split,
        coalesce(dataset.score, 'accuracy') AS score,
        by_score(
            dataset.score,
            1 / count(*) OVER (
                PARTITION BY
                    attribute_label.dataset_id,
                    attribute_label.attribute,
                    sample.split,
                    sample.class_index
            ),
            1
        ) AS weight
    FROM attribute_label
    INNER JOIN sample
        ON
            attribute_label.dataset_id = sample.dataset_id
            AND attribute_label.sample_id = sample.sample_id
    LEFT JOIN dataset ON attribute_label.dataset_id = dataset.dataset_id
),

value_counts AS (
    SELECT
        labels.dataset_id,
        labels.attribute,
        labels.label_index,
        t.repetition,
        t.fold,
        labels.class_index,
        sum(labels.weight) AS weight
    FROM labels
    INNER JOIN trained_sample AS t
        ON labels.dataset_id = t.dataset_id AND labels.sample_id = t.sample_id
    GROUP BY ALL
),

ranked AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY dataset_id, attribute, label_index, repetition, fold
            ORDER BY round(weight, 9) DESC, class_index ASC
        ) AS rank
    FROM value_counts
),

class_counts AS (
    SELECT
        sample.dataset_id,
        t.repetition,
        t.fold,
        sample.class_index,
        count(*) AS n
    FROM sample
    INNER JOIN trained_sample AS t
        ON sample.dataset_id = t.dataset_id AND sample.sample_id = t.sample_id
    GROUP BY ALL
),

largest AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY dataset_id, repetition, fold ORDER BY n DESC, class_index ASC
        ) AS rank
    FROM class_counts
),

named AS (
    SELECT
        labels.dataset_id,
        labels.sample_id,
        labels.attribute,
        labels.label_index,
        labels.value,
        labels.class_index,
        labels.score,
        labels.weight,
        sample_fold.repetition,
        coalesce(ranked.class_index, largest.class_index) AS named_index
    FROM labels
    LEFT JOIN sample_fold
        ON
            labels.dataset_id = sample_fold.dataset_id
            AND labels.sample_id = sample_fold.sample_id
    LEFT JOIN ranked
        ON
            labels.dataset_id = ranked.dataset_id
            AND labels.attribute = ranked.attribute
            AND labels.label_index = ranked.label_index
            AND sample_fold.repetition IS NOT DISTINCT FROM ranked.repetition
            AND sample_fold.fold IS NOT DISTINCT FROM ranked.fold
            AND ranked.rank = 1
    LEFT JOIN largest
        ON
            labels.dataset_id = largest.dataset_id
            AND sample_fold.repetition IS NOT DISTINCT FROM largest.repetition
            AND sample_fold.fold IS NOT DISTINCT FROM largest.fold
            AND largest.rank = 1
    WHERE labels.split = 'test'
),

strata AS (
    SELECT
        scored_probe.probe_id,
        named.attribute,
        named.label_index,
        named.value,
        any_value(named.score) AS score,
        count(*) AS n,
        sum(named.weight) AS weight,
        coalesce(
            sum(named.weight) FILTER (WHERE l.predicted_class_index = named.class_index), 0
        ) AS weight_right,
        coalesce(sum(named.weight) FILTER (WHERE named.named_index = named.class_index), 0)
            AS weight_by_value
    FROM probe_logit AS l
    INNER JOIN scored_probe ON l.probe_id = scored_probe.probe_id
    INNER JOIN named
        ON
            scored_probe.dataset_id = named.dataset_id
            AND l.sample_id = named.sample_id
            AND coalesce(named.repetition, scored_probe.seed) = scored_probe.seed
    WHERE l.split = 'test' AND scored_probe.control = 'none'
    GROUP BY scored_probe.probe_id, named.attribute, named.label_index, named.value
)

SELECT
    scored_probe.model_id,
    scored_probe.dataset_id,
    scored_probe.module,
    scored_probe.layer,
    scored_probe.readout,
    scored_probe.kind,
    strata.attribute,
    strata.label_index,
    strata.value,
    cast(max(strata.n) AS BIGINT) AS n_test,
    max(strata.weight) AS weight,
    any_value(strata.score) AS score,
    avg(strata.weight_right / strata.weight) AS test_accuracy,
    avg(strata.weight_by_value / strata.weight) AS chance,
    avg(
        (strata.weight_right - strata.weight_by_value)
        / nullif(round(strata.weight - strata.weight_by_value, 12), 0)
    ) AS signal
FROM strata
INNER JOIN scored_probe ON strata.probe_id = scored_probe.probe_id
GROUP BY
    scored_probe.model_id,
    scored_probe.dataset_id,
    scored_probe.module,
    scored_probe.layer,
    scored_probe.readout,
    scored_probe.kind,
    strata.attribute,
    strata.label_index,
    strata.value
