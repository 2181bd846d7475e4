-- A variant as the options of `layerhouse extract` that make it. Weights that are quantised in their
-- folder, by a method and not to 4 or 8 bits, need none; a repair is named, not where it lies.
CREATE OR REPLACE MACRO variant_options(variant) AS
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
END;
