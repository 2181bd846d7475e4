-- Grain: one row per (model, dataset) with probes or answers: the command that runs the model over
-- the dataset again, and the arguments by which other commands name the two. Weights that are
-- quantised in their folder, by a method and not to 4 or 8 bits, need no option.
WITH examined AS (
    SELECT DISTINCT
        model_id,
        dataset_id
    FROM stage_candidate
)

SELECT
    examined.model_id,
    examined.dataset_id,
    concat(
        'layerhouse extract --model ',
        model.name,
        CASE
            WHEN model.variant <> 'base'
                THEN replace(
                    replace(
                        replace(
                            replace(
                                replace(
                                    regexp_replace(
                                        concat('+', model.variant),
                                        '[+]quantization:[^0-9+][^+]*',
                                        ''
                                    ),
                                    '+mend:',
                                    ' --adapter '
                                ),
                                '+adapter:',
                                ' --adapter '
                            ),
                            '+fault:',
                            ' --fault '
                        ),
                        '+quantization:',
                        ' --quantization '
                    ),
                    '+random:',
                    ' --random-weights '
                )
            ELSE ''
        END,
        ' --dataset ',
        examined.dataset_id,
        CASE
            WHEN diagnosed_prompt.prompt_id <> 'default'
                THEN concat(' --prompt ', diagnosed_prompt.prompt_id)
        END
    ) AS command,
    concat(' --model ', examined.model_id, ' --dataset ', examined.dataset_id) AS arguments
FROM examined
LEFT JOIN model ON examined.model_id = model.model_id
LEFT JOIN diagnosed_prompt
    ON
        examined.model_id = diagnosed_prompt.model_id
        AND examined.dataset_id = diagnosed_prompt.dataset_id
