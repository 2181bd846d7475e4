-- Grain: one row per (model, dataset) with probes or answers: the command that runs the model over
-- the dataset again, and the arguments by which other commands name the two: as they are in the lake,
-- or, for those that run the model too, by what it is made of. Weights that are quantised in their
-- folder, by a method and not to 4 or 8 bits, need no option.
WITH examined AS (
    SELECT DISTINCT
        model_id,
        dataset_id
    FROM stage_candidate
),

made AS (
    SELECT
        examined.model_id,
        examined.dataset_id,
        concat(
            ' --model ',
            shell_word(model_options.name),
            model_options.options,
            ' --dataset ',
            shell_word(examined.dataset_id),
            CASE
                WHEN diagnosed_prompt.prompt_id <> 'default'
                    THEN concat(' --prompt ', shell_word(diagnosed_prompt.prompt_id))
            END
        ) AS making
    FROM examined
    LEFT JOIN model_options ON examined.model_id = model_options.model_id
    LEFT JOIN diagnosed_prompt
        ON
            examined.model_id = diagnosed_prompt.model_id
            AND examined.dataset_id = diagnosed_prompt.dataset_id
)

SELECT
    model_id,
    dataset_id,
    concat('layerhouse extract', making) AS command,
    concat(' --model ', shell_word(model_id), ' --dataset ', shell_word(dataset_id)) AS arguments,
    making
FROM made
