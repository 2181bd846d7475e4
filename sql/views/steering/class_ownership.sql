-- Grain: one row per (model, dataset, direction, class): is it read, is it answered, is it owned?
--
-- Owned: of all places and strengths the one where its direction moves its own answer furthest (by
-- p_value, then z) does so beyond random directions at the 5% level of the whole family, and more
-- than its sham. Read: the informedness of probes at that locus lies above that of those on
-- shuffled labels and above 0, which is chance (few samples may bring those below it); the readout
-- is `last` where the last token is moved, else `mean`, the kind the one preferred. Answered: that
-- of the likelihoods lies above 0. NULL where nothing was probed or answered.
WITH furthest AS (
    SELECT
        *,
        count(*) OVER (PARTITION BY model_id, dataset_id, direction) AS n_family,
        if(tokens = 'image', 'mean', 'last') AS readout
    FROM steer_flow
    QUALIFY row_number() OVER (
        PARTITION BY model_id, dataset_id, direction, class_index
        ORDER BY p_value ASC, z DESC, depth ASC, tokens ASC, strength ASC
    ) = 1
),

probes AS (
    SELECT class_informedness.*
    FROM class_informedness
    LEFT JOIN probe_kind ON class_informedness.kind = probe_kind.name
    WHERE class_informedness.source = 'probe'
    QUALIFY row_number() OVER (
        PARTITION BY
            class_informedness.model_id,
            class_informedness.dataset_id,
            class_informedness.module,
            class_informedness.layer,
            class_informedness.readout,
            class_informedness.control,
            class_informedness.class_index
        ORDER BY probe_kind.preference ASC NULLS LAST, class_informedness.kind ASC
    ) = 1
)

SELECT
    furthest.model_id,
    furthest.dataset_id,
    furthest.direction,
    furthest.class_index,
    furthest.label,
    furthest.n_family,
    furthest.module,
    furthest.layer,
    furthest.depth,
    furthest.tokens,
    furthest.strength,
    furthest.readout,
    probes.informedness AS read_informedness,
    probes.lower AS read_lower,
    shuffled.informedness AS control_informedness,
    exceeds(probes.lower, if(shuffled.informedness < 0, 0, shuffled.informedness)) AS is_read,
    answers.informedness AS answer_informedness,
    answers.lower AS answer_lower,
    exceeds(answers.lower, 0) AS is_answered,
    furthest.n,
    furthest.effect,
    furthest.lower AS effect_lower,
    furthest.upper AS effect_upper,
    furthest.turned_share,
    furthest.unsteered_share,
    furthest.sham_effect,
    furthest.random_mean,
    furthest.random_most,
    furthest.z,
    furthest.p_value,
    furthest.is_beyond AS is_owned
FROM furthest
LEFT JOIN probes
    ON
        furthest.model_id = probes.model_id
        AND furthest.dataset_id = probes.dataset_id
        AND furthest.class_index = probes.class_index
        AND furthest.module = probes.module
        AND furthest.layer = probes.layer
        AND furthest.readout = probes.readout
        AND probes.control = 'none'
LEFT JOIN probes AS shuffled
    ON
        furthest.model_id = shuffled.model_id
        AND furthest.dataset_id = shuffled.dataset_id
        AND furthest.class_index = shuffled.class_index
        AND furthest.module = shuffled.module
        AND furthest.layer = shuffled.layer
        AND furthest.readout = shuffled.readout
        AND shuffled.control = 'shuffled_labels'
LEFT JOIN class_informedness AS answers
    ON
        furthest.model_id = answers.model_id
        AND furthest.dataset_id = answers.dataset_id
        AND furthest.class_index = answers.class_index
        AND answers.source = 'answer'
        AND answers.method = 'likelihood'
