-- Grain: one row per (model, dataset, module, track, locus): the curves that `feature_health`
-- summarises. Track `mean` follows the averaged image tokens, track `last` the final prompt token.
--
-- A curve runs over the probed on-path loci of its module, in pipeline order. A connector of one
-- locus starts at the end of vision. Each module's probes are of one kind, the first it has in the
-- order of `probe_kind`.
WITH flow AS (
    SELECT *
    FROM signal_flow
    WHERE on_path AND readout IN ('mean', 'last') AND test_accuracy IS NOT NULL
),

loci AS (
    SELECT *
    FROM layer
    WHERE on_path
),

points AS (
    SELECT
        flow.model_id,
        flow.dataset_id,
        flow.module,
        flow.readout AS track,
        flow.depth,
        flow.layer,
        flow.kind,
        flow.score,
        flow.test_accuracy
    FROM flow
    LEFT JOIN probe_kind ON flow.kind = probe_kind.name
    QUALIFY rank() OVER (
        PARTITION BY flow.model_id, flow.dataset_id, flow.module, flow.readout
        ORDER BY probe_kind.preference ASC NULLS LAST, flow.kind ASC
    ) = 1
),

spans AS (
    SELECT
        model_id,
        module,
        min(depth) AS start_depth,
        max(depth) AS end_depth
    FROM loci
    GROUP BY model_id, module
),

vision_ends AS (
    SELECT
        model_id,
        end_depth
    FROM spans
    WHERE module = 'vision'
),

extended_spans AS (
    SELECT
        spans.model_id,
        spans.module,
        spans.end_depth,
        CASE
            WHEN spans.module = 'connector' AND spans.start_depth = spans.end_depth
                THEN coalesce(vision_ends.end_depth, spans.start_depth)
            ELSE spans.start_depth
        END AS start_depth
    FROM spans
    LEFT JOIN vision_ends ON spans.model_id = vision_ends.model_id
),

tracks AS (
    SELECT DISTINCT
        model_id,
        dataset_id,
        module,
        track
    FROM points
)

SELECT
    tracks.model_id,
    tracks.dataset_id,
    tracks.module,
    tracks.track,
    points.depth,
    points.module AS locus_module,
    points.layer,
    points.kind,
    points.depth = extended_spans.start_depth AS is_start,
    points.depth = extended_spans.end_depth AS is_end,
    points.score,
    points.test_accuracy
FROM tracks
INNER JOIN extended_spans
    ON tracks.model_id = extended_spans.model_id AND tracks.module = extended_spans.module
INNER JOIN points
    ON
        tracks.model_id = points.model_id
        AND tracks.dataset_id = points.dataset_id
        AND tracks.track = points.track
        AND points.depth BETWEEN extended_spans.start_depth AND extended_spans.end_depth
