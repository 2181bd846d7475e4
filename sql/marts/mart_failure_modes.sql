-- Grain: one row per model, dataset and failure mode; the verdict is repeated on all four.
WITH newest AS (
    SELECT cast(max(committed_at) AS DATE) AS built_on
    FROM commit_record
)

SELECT
    f.model_id,
    m.name AS model_name,
    m.variant,
    f.dataset_id,
    d.title AS dataset_title,
    f.failure_mode,
    l.stage,
    f.stage_order,
    l.before AS signal_before,
    l.after AS signal_after,
    f.loss,
    f.lower AS loss_lower,
    f.upper AS loss_upper,
    f.margin,
    f.is_present,
    f.is_primary,
    f.verdict,
    f.reason,
    l.reference_source,
    l.comprehension_loss,
    l.utilisation_loss,
    l.unparsed_loss,
    l.wrong_loss,
    l.calibration_loss,
    n.built_on
FROM failure_mode AS f
LEFT JOIN stage_loss AS l
    ON
        f.model_id = l.model_id
        AND f.dataset_id = l.dataset_id
        AND f.failure_mode = l.failure_mode
LEFT JOIN model AS m ON f.model_id = m.model_id
LEFT JOIN dataset AS d ON f.dataset_id = d.dataset_id
CROSS JOIN newest AS n
