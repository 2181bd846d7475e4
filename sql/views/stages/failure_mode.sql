-- Grain: one row per (model, dataset, failure mode); verdict and reason are those of the whole
-- (model, dataset) and repeat on its four rows.
--
-- A failure mode is present when the lower bound of its loss exceeds the margin, primary when it
-- is the largest present one. Without a present mode the model is healthy if the total loss is
-- small (lower bound within the margin, upper bound at most 0.10) and there was something to lose
-- (the reference's lower bound exceeds the majority class), else undetermined. It is also
-- undetermined while something is missing: `reason` then names it and the command that provides
-- it. Intervals whose point is not the loss of today's probes and answers count as missing.
WITH intervals AS (
    SELECT *
    FROM stage_interval
    WHERE quantity = 'loss'
),

reference_bounds AS (
    SELECT
        model_id,
        dataset_id,
        lower AS reference_lower
    FROM stage_interval
    WHERE stage = 'total' AND quantity = 'signal'
),

baselines AS (
    SELECT DISTINCT dataset_id
    FROM baseline
),

test_groups AS (
    SELECT
        dataset_id,
        count(DISTINCT group_id) AS n_groups
    FROM sample
    WHERE split = 'test'
    GROUP BY dataset_id
),

totals AS (
    SELECT
        model_id,
        dataset_id,
        CASE WHEN count(loss) = 4 THEN sum(loss) END AS loss
    FROM stage_loss
    GROUP BY model_id, dataset_id
),

fresh_intervals AS (
    SELECT
        intervals.*,
        coalesce(stage_loss.failure_mode, 'total') AS failure_mode,
        coalesce(abs(intervals.point - coalesce(stage_loss.loss, totals.loss)) <= 1e-9, FALSE)
            AS is_fresh
    FROM intervals
    LEFT JOIN stage_loss
        ON
            intervals.model_id = stage_loss.model_id
            AND intervals.dataset_id = stage_loss.dataset_id
            AND intervals.stage = stage_loss.stage
    LEFT JOIN totals
        ON
            intervals.model_id = totals.model_id
            AND intervals.dataset_id = totals.dataset_id
            AND intervals.stage = 'total'
),

interval_states AS (
    SELECT
        model_id,
        dataset_id,
        count(*) AS n_intervals,
        count(*) FILTER (WHERE is_fresh) AS n_fresh,
        min(n_groups) AS n_groups,
        max(margin) AS margin,
        max(lower) FILTER (WHERE stage = 'total') AS total_lower,
        max(upper) FILTER (WHERE stage = 'total') AS total_upper
    FROM fresh_intervals
    GROUP BY model_id, dataset_id
),

-- A stage was looked at when a probe at its own end is among its candidates.
coverage AS (
    SELECT
        model_id,
        dataset_id,
        bool_or(kind <> 'answer') AS has_probes,
        bool_or(kind = 'answer') AS has_answers,
        bool_or(stage = 'vision' AND module = 'vision') AS has_vision,
        bool_or(stage = 'connector' AND module = 'connector') AS has_connector,
        bool_or(stage = 'llm' AND module = 'llm') AS has_llm
    FROM stage_candidate
    GROUP BY model_id, dataset_id
),

test_counts AS (
    SELECT
        model_id,
        dataset_id,
        min(n_test) AS smallest,
        max(n_test) AS largest,
        max(chance) AS chance
    FROM stage_signal
    GROUP BY model_id, dataset_id
),

commands AS (
    SELECT
        coverage.model_id,
        coverage.dataset_id,
        concat(
            'layerhouse extract --model ',
            model.name,
            CASE
                WHEN model.variant <> 'base'
                    THEN replace(
                        regexp_replace(
                            concat('+', model.variant),
                            '\+(adapter|fault|quantization):',
                            ' --\1 ',
                            'g'
                        ),
                        '+random:',
                        ' --random-weights '
                    )
                ELSE ''
            END,
            ' --dataset ',
            coverage.dataset_id
        ) AS extract_command,
        concat(' --model ', coverage.model_id, ' --dataset ', coverage.dataset_id) AS names
    FROM coverage
    LEFT JOIN model ON coverage.model_id = model.model_id
),

missing AS (
    SELECT
        coverage.model_id,
        coverage.dataset_id,
        CASE
            WHEN NOT coverage.has_answers
                THEN concat('no answers stored: run `', commands.extract_command, '`')
        END AS answers,
        CASE
            WHEN NOT coverage.has_probes
                THEN concat('no probes stored: run `layerhouse probe', commands.names, '`')
            WHEN NOT (coverage.has_vision AND coverage.has_connector AND coverage.has_llm)
                THEN concat(
                    'no probe at the end of ',
                    concat_ws(
                        ', ',
                        CASE WHEN NOT coverage.has_vision THEN 'vision' END,
                        CASE WHEN NOT coverage.has_connector THEN 'connector' END,
                        CASE WHEN NOT coverage.has_llm THEN 'llm (readout last)' END
                    ),
                    ': run `',
                    commands.extract_command,
                    '`, then `layerhouse probe',
                    commands.names,
                    '`'
                )
        END AS probes,
        CASE
            WHEN test_counts.smallest < test_counts.largest
                THEN concat(
                    'some stages were tested on ',
                    test_counts.smallest,
                    ' of ',
                    test_counts.largest,
                    ' samples: run `',
                    commands.extract_command,
                    '`, then `layerhouse probe',
                    commands.names,
                    '`'
                )
        END AS samples,
        CASE
            WHEN least(test_groups.n_groups, interval_states.n_groups) < 20
                THEN concat(
                    'only ',
                    least(test_groups.n_groups, interval_states.n_groups),
                    ' test groups where intervals need 20: register more labelled images with ',
                    '`layerhouse datasets add`'
                )
        END AS test_set,
        CASE
            WHEN interval_states.n_fresh = 5 THEN NULL
            WHEN coalesce(interval_states.n_intervals, 0) < 5
                THEN concat('no intervals: run `layerhouse diagnose', commands.names, '`')
            ELSE concat(
                'the intervals are older than the probes, answers or baselines: run ',
                '`layerhouse diagnose',
                commands.names,
                '`'
            )
        END AS intervals,
        CASE
            WHEN baselines.dataset_id IS NULL
                THEN concat(
                    'no baseline, so the reference is the vision signal: `layerhouse baseline ',
                    '--dataset ',
                    coverage.dataset_id,
                    ' --architecture texture-svm` adds one'
                )
        END AS note
    FROM coverage
    LEFT JOIN commands
        ON coverage.model_id = commands.model_id AND coverage.dataset_id = commands.dataset_id
    LEFT JOIN test_counts
        ON
            coverage.model_id = test_counts.model_id
            AND coverage.dataset_id = test_counts.dataset_id
    LEFT JOIN test_groups ON coverage.dataset_id = test_groups.dataset_id
    LEFT JOIN interval_states
        ON
            coverage.model_id = interval_states.model_id
            AND coverage.dataset_id = interval_states.dataset_id
    LEFT JOIN baselines ON coverage.dataset_id = baselines.dataset_id
),

-- Missing intervals are named only when nothing they are made of is missing too.
obstacles AS (
    SELECT
        model_id,
        dataset_id,
        note,
        coalesce(
            nullif(concat_ws('; ', answers, probes, samples, test_set), ''), intervals
        ) AS obstacle
    FROM missing
),

present AS (
    SELECT
        stage_loss.*,
        fresh_intervals.lower,
        fresh_intervals.upper,
        coalesce(fresh_intervals.margin, 0.02) AS margin,
        fresh_intervals.lower > fresh_intervals.margin AND obstacles.obstacle IS NULL
            AS is_present,
        obstacles.obstacle,
        obstacles.note,
        interval_states.total_lower,
        interval_states.total_upper,
        reference_bounds.reference_lower > test_counts.chance AS has_signal
    FROM stage_loss
    LEFT JOIN fresh_intervals
        ON
            stage_loss.model_id = fresh_intervals.model_id
            AND stage_loss.dataset_id = fresh_intervals.dataset_id
            AND stage_loss.stage = fresh_intervals.stage
            AND fresh_intervals.is_fresh
    LEFT JOIN obstacles
        ON stage_loss.model_id = obstacles.model_id AND stage_loss.dataset_id = obstacles.dataset_id
    LEFT JOIN interval_states
        ON
            stage_loss.model_id = interval_states.model_id
            AND stage_loss.dataset_id = interval_states.dataset_id
    LEFT JOIN reference_bounds
        ON
            stage_loss.model_id = reference_bounds.model_id
            AND stage_loss.dataset_id = reference_bounds.dataset_id
    LEFT JOIN test_counts
        ON
            stage_loss.model_id = test_counts.model_id
            AND stage_loss.dataset_id = test_counts.dataset_id
),

ranked AS (
    SELECT
        *,
        coalesce(is_present, FALSE) AND row_number() OVER (
            PARTITION BY model_id, dataset_id
            ORDER BY coalesce(is_present, FALSE) DESC, round(loss, 9) DESC, stage_order ASC
        ) = 1 AS is_primary
    FROM present
),

named AS (
    SELECT
        *,
        max(failure_mode) FILTER (WHERE is_primary) OVER (PARTITION BY model_id, dataset_id)
            AS primary_mode
    FROM ranked
),

judged AS (
    SELECT
        *,
        CASE
            WHEN obstacle IS NOT NULL THEN 'undetermined'
            WHEN primary_mode IS NOT NULL THEN primary_mode
            WHEN has_signal AND total_lower <= margin AND total_upper <= 0.10 THEN 'healthy'
            ELSE 'undetermined'
        END AS verdict
    FROM named
),

explained AS (
    SELECT
        *,
        CASE
            WHEN obstacle IS NOT NULL THEN obstacle
            WHEN verdict <> 'undetermined' THEN NULL
            WHEN NOT has_signal
                THEN
                    'nothing was read for certain beyond the majority class, by a probe, a '
                    || 'baseline or the model itself, so there was nothing to lose'
            WHEN total_lower > margin
                THEN
                    'something is lost for certain, but not for certain in any one stage: more '
                    || 'test images would settle where'
            ELSE
                'too few test images to tell a healthy model from a failing one: more would '
                || 'settle it'
        END AS doubt
    FROM judged
)

SELECT
    model_id,
    dataset_id,
    failure_mode,
    stage_order,
    loss,
    lower,
    upper,
    margin,
    coalesce(is_present, FALSE) AS is_present,
    is_primary,
    verdict,
    nullif(concat_ws('; ', doubt, CASE WHEN obstacle IS NULL THEN note END), '') AS reason
FROM explained
