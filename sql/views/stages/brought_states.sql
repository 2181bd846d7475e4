-- Grain: one row per (model, dataset) whose states another program took: what is said where answers
-- or the states of a stage are missing, as no model can be run for them here.
SELECT DISTINCT
    model_id,
    dataset_id,
    concat(
        'no answers stored: bring them with `layerhouse answers import FILE --model ',
        shell_word(model_id),
        ' --dataset ',
        shell_word(dataset_id),
        '`'
    ) AS answers,
    ', whose states were not brought: `layerhouse import` takes a folder that holds them too under '
    || 'another name' AS stages
FROM run
WHERE command = 'import'
