-- Grain: one row per model: what was done to it, as the options of the command that does it. Weights
-- that are quantised in their folder, by a method and not to 4 or 8 bits, need none; a repair is
-- named, not where it lies.
SELECT
    model_id,
    name,
    CASE
        WHEN variant <> 'base'
            THEN
                replace(
                    replace(
                        replace(
                            replace(
                                replace(
                                    regexp_replace(
                                        concat('+', variant), '[+]quantization:[^0-9+][^+]*', ''
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
    END AS options
FROM model
