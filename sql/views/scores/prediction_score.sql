-- Grain: one row per scored thing (as in `confusion`) and split; the one definition of every score.
--
-- balanced_accuracy is the mean recall over the classes that occur in the split; macro_f1 the mean
-- F1 over the classes that occur or were predicted there. chance is what always naming the split's
-- own largest class scores, and signal = (accuracy - chance) / (1 - chance).
WITH sides AS (
    SELECT
        confusion.source,
        confusion.source_id,
        confusion.model_id,
        confusion.dataset_id,
        confusion.method,
        confusion.split,
        confusion.n,
        side.name AS side,
        CASE
            WHEN side.name = 'true' THEN confusion.class_index ELSE confusion.predicted_class_index
        END
            AS class_index,
        coalesce(confusion.class_index = confusion.predicted_class_index, FALSE) AS is_hit,
        confusion.predicted_class_index IS NULL AS is_unparsed
    FROM confusion
    CROSS JOIN (VALUES ('true'), ('predicted')) AS side (name)
),

class_counts AS (
    SELECT
        source,
        source_id,
        model_id,
        dataset_id,
        method,
        split,
        class_index,
        coalesce(sum(n) FILTER (WHERE side = 'true'), 0) AS support,
        coalesce(sum(n) FILTER (WHERE side = 'predicted'), 0) AS predicted,
        coalesce(sum(n) FILTER (WHERE side = 'true' AND is_hit), 0) AS hits,
        coalesce(sum(n) FILTER (WHERE side = 'true' AND is_unparsed), 0) AS unparsed
    FROM sides
    WHERE class_index IS NOT NULL
    GROUP BY source, source_id, model_id, dataset_id, method, split, class_index
),

totals AS (
    SELECT
        source,
        source_id,
        model_id,
        dataset_id,
        method,
        split,
        sum(support) AS n,
        sum(hits) AS hits,
        sum(unparsed) AS unparsed,
        max(support) AS largest,
        avg(hits / support) FILTER (WHERE support > 0) AS balanced_accuracy,
        avg(2 * hits / (support + predicted)) AS macro_f1
    FROM class_counts
    GROUP BY source, source_id, model_id, dataset_id, method, split
)

SELECT
    source,
    source_id,
    model_id,
    dataset_id,
    method,
    split,
    cast(n AS BIGINT) AS n,
    hits / n AS accuracy,
    balanced_accuracy,
    macro_f1,
    largest / n AS chance,
    (hits - largest) / nullif(n - largest, 0) AS signal,
    wilson_lower(hits, n) AS wilson_lower,
    wilson_upper(hits, n) AS wilson_upper,
    unparsed / n AS unparsed_share
FROM totals
