-- An answer says how its question was put: a prompt of the lake (default needs no row), its options
-- as given or rotated, the sample's own image or a control.
SELECT
    answer.model_id,
    answer.dataset_id,
    answer.prompt_id,
    answer.option_order,
    answer.image_control,
    count(*) AS n_answers
FROM answer
LEFT JOIN prompt ON answer.prompt_id = prompt.prompt_id
WHERE
    (answer.prompt_id <> 'default' AND prompt.prompt_id IS NULL)
    OR NOT regexp_full_match(answer.option_order, 'given|rotated:[1-9][0-9]*')
    OR answer.image_control NOT IN ('own', 'blank', 'other', 'same_class')
GROUP BY ALL
