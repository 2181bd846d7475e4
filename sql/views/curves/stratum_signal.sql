-- Grain: one row per model, dataset, locus, readout, probe kind, attribute and value: how well the
-- class is read among the test samples of that value.
--
-- chance is what always naming the value's own largest class scores, so that what the attribute tells
-- of the class counts for nothing here; scores are means over the probes' seeds.
WITH labels AS (
    SELECT
        attribute_label.dataset_id,
        attribute_label.sample_id,
        attribute_label.attribute,
        attribute_label.label_index,
        attribute_label.value,
        sample.class_index
    FROM attribute_label
    INNER JOIN sample
        ON
            attribute_label.dataset_id = sample.dataset_id
            AND attribute_label.sample_id = sample.sample_id
),

counts AS (
    SELECT
        probe.probe_id,
        labels.attribute,
        labels.label_index,
        labels.value,
        labels.class_index,
        count(*) AS n,
        count(*) FILTER (WHERE l.predicted_class_index = labels.class_index) AS n_right
    FROM probe_logit AS l
    INNER JOIN probe ON l.probe_id = probe.probe_id
    INNER JOIN labels ON probe.dataset_id = labels.dataset_id AND l.sample_id = labels.sample_id
    WHERE l.split = 'test' AND probe.control = 'none'
    GROUP BY
        probe.probe_id, labels.attribute, labels.label_index, labels.value, labels.class_index
),

strata AS (
    SELECT
        probe_id,
        attribute,
        label_index,
        value,
        sum(n) AS n,
        sum(n_right) AS n_right,
        max(n) AS n_largest
    FROM counts
    GROUP BY probe_id, attribute, label_index, value
)

SELECT
    probe.model_id,
    probe.dataset_id,
    probe.module,
    probe.layer,
    probe.readout,
    probe.kind,
    strata.attribute,
    strata.label_index,
    strata.value,
    cast(max(strata.n) AS BIGINT) AS n_test,
    avg(strata.n_right / strata.n) AS test_accuracy,
    max(strata.n_largest / strata.n) AS chance,
    avg((strata.n_right - strata.n_largest) / nullif(strata.n - strata.n_largest, 0)) AS signal
FROM strata
INNER JOIN probe ON strata.probe_id = probe.probe_id
GROUP BY
    probe.model_id,
    probe.dataset_id,
    probe.module,
    probe.layer,
    probe.readout,
    probe.kind,
    strata.attribute,
    strata.label_index,
    strata.value
