-- Grain: one row per model, dataset, locus, readout, probe kind and attribute, in pipeline order by
-- depth: how well the attribute can be read there, beside the class.
--
-- signal is the attribute's, corrected for its own chance, class_signal that of the class. within_signal
-- is the class' signal among samples of one value of the attribute, all values together: what the
-- probe reads of the class that the attribute does not tell. alone_accuracy is the balanced accuracy
-- of naming the class by the attribute, without any model. What is said of the class is by the
-- dataset's score; what is said of the attribute is its accuracy, whose balance is beside it.
WITH attributes AS (
    SELECT
        model_id,
        dataset_id,
        module,
        layer,
        readout,
        kind,
        substr(target, length('attribute:') + 1) AS attribute,
        n_labels,
        n_test,
        n_right,
        n_largest,
        balanced_accuracy
    FROM target_probe
    WHERE starts_with(target, 'attribute:')
),

within AS (
    SELECT
        model_id,
        dataset_id,
        module,
        layer,
        readout,
        kind,
        attribute,
        sum(weight * test_accuracy) / sum(weight) AS test_accuracy,
        sum(weight * chance) / sum(weight) AS chance
    FROM stratum_signal
    GROUP BY model_id, dataset_id, module, layer, readout, kind, attribute
)

SELECT
    attributes.model_id,
    attributes.dataset_id,
    layer.depth,
    attributes.module,
    attributes.layer,
    layer.on_path,
    attributes.readout,
    attributes.kind,
    attributes.attribute,
    attributes.n_labels,
    attributes.n_test,
    attributes.n_right / attributes.n_test AS test_accuracy,
    attributes.balanced_accuracy,
    attributes.n_largest / attributes.n_test AS chance,
    (attributes.n_right - attributes.n_largest)
    / nullif(attributes.n_test - attributes.n_largest, 0) AS signal,
    wilson_lower(attributes.n_right, attributes.n_test) AS wilson_lower,
    wilson_upper(attributes.n_right, attributes.n_test) AS wilson_upper,
    signal_flow.score,
    signal_flow.test_accuracy AS class_accuracy,
    signal_flow.signal AS class_signal,
    within.test_accuracy AS within_accuracy,
    within.chance AS within_chance,
    (within.test_accuracy - within.chance) / nullif(1 - within.chance, 0) AS within_signal,
    attribute_shortcut.balanced_accuracy AS alone_accuracy,
    attribute_shortcut.chance AS alone_chance,
    attribute_shortcut.lower AS alone_lower,
    attribute_shortcut.upper AS alone_upper
FROM attributes
INNER JOIN layer
    ON
        attributes.model_id = layer.model_id
        AND attributes.module = layer.module
        AND attributes.layer = layer.layer
LEFT JOIN signal_flow
    ON
        attributes.model_id = signal_flow.model_id
        AND attributes.dataset_id = signal_flow.dataset_id
        AND attributes.module = signal_flow.module
        AND attributes.layer = signal_flow.layer
        AND attributes.readout = signal_flow.readout
        AND attributes.kind = signal_flow.kind
LEFT JOIN within
    ON
        attributes.model_id = within.model_id
        AND attributes.dataset_id = within.dataset_id
        AND attributes.module = within.module
        AND attributes.layer = within.layer
        AND attributes.readout = within.readout
        AND attributes.kind = within.kind
        AND attributes.attribute = within.attribute
LEFT JOIN attribute_shortcut
    ON
        attributes.dataset_id = attribute_shortcut.dataset_id
        AND attributes.attribute = attribute_shortcut.attribute
