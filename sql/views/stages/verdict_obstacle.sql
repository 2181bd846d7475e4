-- Grain: one row per (model, dataset) that a stage was looked at of: what stands in the way of a
-- verdict, with the command that removes it.
WITH stage_counts AS (
    -- One interval a stage, and one of the whole.
    SELECT count(*) + 1 AS n_intervals
    FROM stage
),

test_groups AS (
    SELECT
        dataset_id,
        count(DISTINCT group_id) AS n_groups
    FROM sample
    WHERE split = 'test'
    GROUP BY dataset_id
),

interval_counts AS (
    SELECT
        model_id,
        dataset_id,
        count(*) AS n_intervals,
        count(*) FILTER (WHERE is_fresh) AS n_fresh,
        min(n_groups) AS n_groups,
        max(score) AS score
    FROM loss_interval
    GROUP BY model_id, dataset_id
),

-- A stage was looked at when a probe at its own end is among its candidates.
coverage AS (
    SELECT
        model_id,
        dataset_id,
        any_value(score) AS score,
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
        max(n_test) AS largest
    FROM stage_signal
    GROUP BY model_id, dataset_id
),

missing AS (
    SELECT
        coverage.model_id,
        coverage.dataset_id,
        coalesce(
            brought.stages,
            concat(
                ': run `', extract_command.command, '`, then `layerhouse probe',
                extract_command.arguments, '`'
            )
        ) AS way_out,
        CASE
            WHEN NOT coverage.has_answers
                THEN coalesce(
                    brought.answers,
                    concat('no answers stored: run `', extract_command.command, '`')
                )
        END AS answers,
        CASE
            WHEN
                NOT coverage.has_probes
                AND coverage.model_id NOT IN (SELECT layer.model_id FROM layer)
                THEN
                    'only answers are known of this model, which were brought from elsewhere: they '
                    || 'rank beside others, but of its stages nothing can be told'
            WHEN NOT coverage.has_probes
                THEN coalesce(
                    one_each_fold.stages,
                    concat(
                        'no probes stored: run `layerhouse probe', extract_command.arguments, '`'
                    )
                )
            WHEN NOT (coverage.has_vision AND coverage.has_connector AND coverage.has_llm)
                THEN concat(
                    'no probe at the end of ',
                    concat_ws(
                        ', ',
                        CASE WHEN NOT coverage.has_vision THEN 'vision' END,
                        CASE WHEN NOT coverage.has_connector THEN 'connector' END,
                        CASE WHEN NOT coverage.has_llm THEN 'llm (readout last)' END
                    ),
                    way_out
                )
        END AS probes,
        CASE
            WHEN test_counts.smallest < test_counts.largest
                THEN concat(
                    'some stages were tested on ', test_counts.smallest, ' of ',
                    test_counts.largest, ' samples', way_out
                )
        END AS samples,
        truncation_effect.obstacle AS replies,
        CASE
            WHEN least(test_groups.n_groups, interval_counts.n_groups) < threshold.min_groups
                THEN concat(
                    'only ', least(test_groups.n_groups, interval_counts.n_groups),
                    ' test groups where intervals need ',
                    threshold.min_groups,
                    ': register more labelled images with `layerhouse datasets add`'
                )
        END AS test_set,
        CASE
            WHEN interval_counts.n_fresh = stage_counts.n_intervals THEN NULL
            ELSE concat(
                CASE
                    WHEN coalesce(interval_counts.n_intervals, 0) < stage_counts.n_intervals
                        THEN 'no intervals'
                    WHEN interval_counts.score <> coverage.score
                        THEN concat(
                            'the intervals are of ', interval_counts.score,
                            ', and the score is ', coverage.score, ' now'
                        )
                    ELSE 'the intervals are older than the probes, answers or baselines'
                END,
                ': run `layerhouse diagnose',
                extract_command.arguments,
                '`'
            )
        END AS intervals,
        CASE
            WHEN coverage.dataset_id NOT IN (SELECT baseline.dataset_id FROM baseline)
                THEN concat(
                    'no baseline, so the reference is the accuracy after vision: ',
                    '`layerhouse baseline --dataset ',
                    shell_word(coverage.dataset_id),
                    ' --architecture texture-svm` adds one'
                )
        END AS baseline
    FROM coverage
    LEFT JOIN extract_command
        ON
            coverage.model_id = extract_command.model_id
            AND coverage.dataset_id = extract_command.dataset_id
    LEFT JOIN one_each_fold
        ON
            coverage.model_id = one_each_fold.model_id
            AND coverage.dataset_id = one_each_fold.dataset_id
    LEFT JOIN brought_states AS brought
        ON coverage.model_id = brought.model_id AND coverage.dataset_id = brought.dataset_id
    LEFT JOIN test_counts
        ON
            coverage.model_id = test_counts.model_id
            AND coverage.dataset_id = test_counts.dataset_id
    LEFT JOIN test_groups ON coverage.dataset_id = test_groups.dataset_id
    LEFT JOIN interval_counts
        ON
            coverage.model_id = interval_counts.model_id
            AND coverage.dataset_id = interval_counts.dataset_id
    LEFT JOIN truncation_effect
        ON
            coverage.model_id = truncation_effect.model_id
            AND coverage.dataset_id = truncation_effect.dataset_id
    CROSS JOIN threshold
    CROSS JOIN stage_counts
)

-- Missing intervals are named only when nothing they are made of is missing too.
SELECT
    m.model_id,
    m.dataset_id,
    coalesce(
        nullif(concat_ws('; ', m.answers, m.probes, m.samples, m.replies, m.test_set), ''),
        m.intervals
    ) AS obstacle,
    nullif(
        concat_ws(
            '; ', m.baseline, likelihood_effect.note, tie_effect.note, asking_effect.note,
            restoration_effect.note, repair_effect.note
        ),
        ''
    ) AS note
FROM missing AS m
LEFT JOIN likelihood_effect
    ON
        m.model_id = likelihood_effect.model_id
        AND m.dataset_id = likelihood_effect.dataset_id
LEFT JOIN tie_effect
    ON m.model_id = tie_effect.model_id AND m.dataset_id = tie_effect.dataset_id
LEFT JOIN asking_effect
    ON m.model_id = asking_effect.model_id AND m.dataset_id = asking_effect.dataset_id
LEFT JOIN restoration_effect
    ON
        m.model_id = restoration_effect.model_id
        AND m.dataset_id = restoration_effect.dataset_id
LEFT JOIN repair_effect
    ON m.model_id = repair_effect.model_id AND m.dataset_id = repair_effect.dataset_id
