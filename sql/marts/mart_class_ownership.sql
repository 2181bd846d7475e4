-- Grain: one row per model, dataset, direction and class that was written into a model's states: is
-- it read, answered and owned?
WITH newest AS (
    SELECT cast(max(committed_at) AS DATE) AS built_on
    FROM commit_record
)

SELECT
    class_ownership.model_id,
    model.name AS model_name,
    model.variant,
    class_ownership.dataset_id,
    dataset.title AS dataset_title,
    class_ownership.direction,
    class_ownership.class_index,
    class_ownership.label,
    class_ownership.module,
    class_ownership.layer,
    class_ownership.tokens,
    class_ownership.strength,
    class_ownership.is_read,
    class_ownership.read_informedness,
    class_ownership.control_informedness,
    class_ownership.is_answered,
    class_ownership.answer_informedness,
    class_ownership.is_owned,
    class_ownership.effect,
    class_ownership.effect_lower,
    class_ownership.effect_upper,
    class_ownership.sham_effect,
    class_ownership.random_most,
    class_ownership.p_value,
    class_ownership.turned_share,
    class_ownership.unsteered_share,
    class_ownership.n,
    newest.built_on
FROM class_ownership
LEFT JOIN model ON class_ownership.model_id = model.model_id
LEFT JOIN dataset ON class_ownership.dataset_id = dataset.dataset_id
CROSS JOIN newest
