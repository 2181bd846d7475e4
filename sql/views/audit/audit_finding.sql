-- Grain: one row per audited dataset, kind of finding and subject; none where nothing was found.
--
-- Groups, splits and labels are those of now, so that what was mended since the audit is gone here.
-- A split is small where an accuracy of 0.8 is known to ±0.1 only: 1.96 · √(0.16 / groups) > 0.1.
WITH members AS (
    SELECT DISTINCT
        pair.dataset_id,
        pair.cluster,
        unnest([pair.sample_id, pair.other_sample_id]) AS sample_id
    FROM near_duplicate_pair AS pair
),

clusters AS (
    SELECT
        members.dataset_id,
        members.cluster,
        count(*) AS n
    FROM members
    INNER JOIN sample
        ON members.dataset_id = sample.dataset_id AND members.sample_id = sample.sample_id
    GROUP BY members.dataset_id, members.cluster
),

apart AS (
    SELECT
        pair.*,
        side.finding
    FROM near_duplicate_pair AS pair
    CROSS JOIN (
        VALUES ('copies_across_splits'), ('copies_under_two_labels'), ('copies_across_groups')
    ) AS side (finding)
    WHERE
        CASE side.finding
            WHEN 'copies_across_splits' THEN pair.split != pair.other_split
            WHEN 'copies_across_groups' THEN pair.group_id != pair.other_group_id
            ELSE pair.class_index != pair.other_class_index
        END
),

copies AS (
    SELECT
        apart.dataset_id,
        apart.finding,
        sum(clusters.n) FILTER (WHERE apart.is_first) AS n,
        min_by(apart.sample_id, apart.rank) AS sample_id,
        min_by(apart.other_sample_id, apart.rank) AS other_sample_id
    FROM (
        SELECT
            *,
            row_number() OVER (
                PARTITION BY dataset_id, finding, cluster ORDER BY sample_id, other_sample_id
            ) = 1 AS is_first,
            row_number() OVER (
                PARTITION BY dataset_id, finding ORDER BY sample_id, other_sample_id
            ) AS rank
        FROM apart
    ) AS apart
    INNER JOIN clusters
        ON apart.dataset_id = clusters.dataset_id AND apart.cluster = clusters.cluster
    GROUP BY apart.dataset_id, apart.finding
),

blank AS (
    SELECT
        image_fact.dataset_id,
        count(*) AS n,
        min(image_fact.sample_id) AS sample_id
    FROM image_fact
    INNER JOIN dataset_audit
        ON
            image_fact.dataset_id = dataset_audit.dataset_id
            AND image_fact.run_id = dataset_audit.run_id
    WHERE image_fact.is_blank
    GROUP BY image_fact.dataset_id
),

small AS (
    SELECT
        dataset_audit.dataset_id,
        part.split,
        count(DISTINCT sample.group_id) AS n
    FROM dataset_audit
    CROSS JOIN (VALUES ('val'), ('test')) AS part (split)
    LEFT JOIN sample
        ON dataset_audit.dataset_id = sample.dataset_id AND part.split = sample.split
    WHERE
        part.split = 'test'
        OR dataset_audit.dataset_id NOT IN (SELECT sample_fold.dataset_id FROM sample_fold)
    GROUP BY dataset_audit.dataset_id, part.split
    HAVING count(DISTINCT sample.group_id) < 62
),

suspects AS (
    SELECT
        label_suspect.dataset_id,
        count(*) AS n,
        min(label_suspect.sample_id) AS sample_id
    FROM label_suspect
    INNER JOIN dataset_audit ON label_suspect.dataset_id = dataset_audit.dataset_id
    GROUP BY label_suspect.dataset_id
),

shortcuts AS (
    SELECT shortcut.*
    FROM shortcut
    INNER JOIN dataset_audit
        ON
            shortcut.dataset_id = dataset_audit.dataset_id
            AND shortcut.run_id = dataset_audit.run_id
    CROSS JOIN threshold
    WHERE exceeds(shortcut.lower, shortcut.chance + threshold.shortcut)
)

SELECT
    dataset_id,
    finding,
    NULL::VARCHAR AS subject,
    n::BIGINT AS n,
    sample_id,
    other_sample_id,
    NULL::DOUBLE AS balanced_accuracy,
    NULL::DOUBLE AS chance,
    NULL::DOUBLE AS lower,
    NULL::DOUBLE AS upper
FROM copies
UNION ALL
SELECT
    dataset_id,
    'blank_images' AS finding,
    NULL AS subject,
    n,
    sample_id,
    NULL AS other_sample_id,
    NULL AS balanced_accuracy,
    NULL AS chance,
    NULL AS lower,
    NULL AS upper
FROM blank
UNION ALL
SELECT
    dataset_id,
    'small_split' AS finding,
    split AS subject,
    n,
    NULL AS sample_id,
    NULL AS other_sample_id,
    NULL AS balanced_accuracy,
    NULL AS chance,
    NULL AS lower,
    NULL AS upper
FROM small
UNION ALL
SELECT
    dataset_id,
    'shortcut' AS finding,
    fact AS subject,
    NULL AS n,
    NULL AS sample_id,
    NULL AS other_sample_id,
    balanced_accuracy,
    chance,
    lower,
    upper
FROM shortcuts
UNION ALL
SELECT
    dataset_id,
    'label_suspects' AS finding,
    NULL AS subject,
    n,
    sample_id,
    NULL AS other_sample_id,
    NULL AS balanced_accuracy,
    NULL AS chance,
    NULL AS lower,
    NULL AS upper
FROM suspects
