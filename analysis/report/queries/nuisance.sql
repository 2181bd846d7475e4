WITH flow AS (
    SELECT nuisance_flow.*
    FROM nuisance_flow
    LEFT JOIN probe_kind ON nuisance_flow.kind = probe_kind.name
    WHERE
        nuisance_flow.model_id = $model
        AND nuisance_flow.dataset_id = $dataset
        AND nuisance_flow.readout = 'mean'
        AND nuisance_flow.on_path
    -- The preferred kind where there are several, so that one curve never mixes two.
    QUALIFY rank() OVER (
        ORDER BY probe_kind.preference ASC NULLS LAST, nuisance_flow.kind ASC
    ) = 1
)

SELECT
    attribute,
    depth,
    module,
    layer,
    n_labels,
    n_test,
    signal,
    class_signal,
    within_signal,
    alone_accuracy,
    alone_lower,
    alone_upper,
    alone_chance,
    depth = max(depth) OVER (PARTITION BY attribute, module) AS is_end
FROM flow
ORDER BY attribute ASC, depth ASC
