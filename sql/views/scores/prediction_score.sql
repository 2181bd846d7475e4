-- Grain: one row per scored thing (as in `confusion`) and split; the one definition of every score.
--
-- balanced_accuracy is the mean recall over the classes that occur in the split; macro_f1 the mean
-- F1 over the classes that occur or were predicted there. score_value is the one of accuracy and
-- balanced_accuracy that the dataset rests on (`score`), chance what naming one class scores at most:
-- for accuracy the share of the split's own largest class, for balanced accuracy 1 / classes; signal
-- = (score_value - chance) / (1 - chance).
-- Balanced accuracy is an accuracy of weighted samples, each class weighing as much as another. Its
-- interval is Wilson's for as many samples as such weights leave (Kish 1965), n_effective: classes
-- squared over the sum of 1 / samples of a class.
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
        count(*) FILTER (WHERE support > 0) AS n_classes,
        sum(1 / support) FILTER (WHERE support > 0) AS inverse_supports,
        avg(hits / support) FILTER (WHERE support > 0) AS balanced_accuracy,
        avg(2 * hits / (support + predicted)) AS macro_f1
    FROM class_counts
    GROUP BY source, source_id, model_id, dataset_id, method, split
),

-- What balances is a share of the classes, all else a count of samples.
scored AS (
    SELECT
        totals.*,
        coalesce(dataset.score, 'accuracy') AS score,
        by_score(dataset.score, totals.balanced_accuracy, totals.hits / totals.n) AS score_value,
        by_score(dataset.score, 1 / totals.n_classes, totals.largest / totals.n) AS chance,
        by_score(
            dataset.score, totals.n_classes * totals.n_classes / totals.inverse_supports, totals.n
        ) AS n_effective
    FROM totals
    LEFT JOIN dataset ON totals.dataset_id = dataset.dataset_id
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
    score,
    score_value,
    chance,
    by_score(
        score,
        (score_value - chance) / nullif(1 - chance, 0),
        (hits - largest) / nullif(n - largest, 0)
    ) AS signal,
    n_effective,
    wilson_lower(score_value * n_effective, n_effective) AS score_lower,
    wilson_upper(score_value * n_effective, n_effective) AS score_upper,
    wilson_lower(hits, n) AS wilson_lower,
    wilson_upper(hits, n) AS wilson_upper,
    unparsed / n AS unparsed_share
FROM scored
