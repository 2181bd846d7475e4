-- How commands name a model and dataset: as the lake has them, by what the model is made of, which those
-- need that run it, and the model to which nothing was done.
SELECT
    extract_command.arguments,
    extract_command.making,
    concat(
        ' --model ',
        shell_word(model.name),
        ' --dataset ',
        shell_word(extract_command.dataset_id)
    ) AS plain
FROM extract_command
INNER JOIN model ON extract_command.model_id = model.model_id
WHERE extract_command.model_id = $model AND extract_command.dataset_id = $dataset
