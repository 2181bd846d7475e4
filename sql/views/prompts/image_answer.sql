-- Grain: one row per (model, dataset, method, prompt, sample) that was asked about its own image and
-- about at least one control, options in the order that the prompt gives: what was named each time.
--
-- changes tells whether the answer is another one where the image is of another class, follows
-- whether it is then that image's class, keeps whether it stays with another image of its own class.
-- A reply that names no class is an answer of its own: two of them are the same.
WITH given AS (
    SELECT
        *,
        CASE WHEN parsed THEN predicted_class_index END AS named
    FROM unseen_answer
    WHERE option_order = 'given' AND NOT starts_with(method, 'imported:')
),

own AS (
    SELECT *
    FROM given
    WHERE image_control = 'own'
),

controls AS (
    SELECT
        model_id,
        dataset_id,
        method,
        prompt_id,
        sample_id,
        bool_or(image_control = 'blank') AS has_blank,
        bool_or(image_control = 'other') AS has_other,
        bool_or(image_control = 'same_class') AS has_same,
        max(named) FILTER (WHERE image_control = 'blank') AS blank_class_index,
        max(named) FILTER (WHERE image_control = 'other') AS other_class_index,
        max(named) FILTER (WHERE image_control = 'same_class') AS same_class_index
    FROM given
    WHERE image_control <> 'own'
    GROUP BY model_id, dataset_id, method, prompt_id, sample_id
),

donors AS (
    SELECT
        image_donor.dataset_id,
        image_donor.sample_id,
        sample.class_index AS donor_class_index
    FROM image_donor
    INNER JOIN sample
        ON image_donor.dataset_id = sample.dataset_id AND image_donor.donor_id = sample.sample_id
    WHERE image_donor.image_control = 'other'
)

SELECT
    own.model_id,
    own.dataset_id,
    own.method,
    own.prompt_id,
    own.sample_id,
    sample.split,
    sample.class_index,
    own.named AS predicted_class_index,
    coalesce(own.named = sample.class_index, FALSE) AS is_right,
    controls.blank_class_index,
    CASE
        WHEN controls.has_blank
            THEN coalesce(controls.blank_class_index = sample.class_index, FALSE)
    END AS is_right_blank,
    controls.other_class_index,
    CASE
        WHEN controls.has_other
            THEN coalesce(own.named, -1) <> coalesce(controls.other_class_index, -1)
    END AS changes,
    CASE
        WHEN controls.has_other
            THEN coalesce(controls.other_class_index = donors.donor_class_index, FALSE)
    END AS follows,
    controls.same_class_index,
    CASE
        WHEN controls.has_same
            THEN coalesce(own.named, -1) = coalesce(controls.same_class_index, -1)
    END AS keeps
FROM own
INNER JOIN controls
    ON
        own.model_id = controls.model_id
        AND own.dataset_id = controls.dataset_id
        AND own.method = controls.method
        AND own.prompt_id = controls.prompt_id
        AND own.sample_id = controls.sample_id
INNER JOIN sample
    ON own.dataset_id = sample.dataset_id AND own.sample_id = sample.sample_id
LEFT JOIN donors
    ON own.dataset_id = donors.dataset_id AND own.sample_id = donors.sample_id
