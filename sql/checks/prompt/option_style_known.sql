-- A prompt lists the classes in one of the known ways, in one of the known orders, or not at all.
SELECT
    prompt_id,
    option_style,
    option_order
FROM prompt
WHERE
    option_style NOT IN ('none', 'list', 'letters', 'numbers')
    OR option_order NOT IN ('given', 'reversed')
    OR (option_style <> 'none') <> contains(template, '{options}')
