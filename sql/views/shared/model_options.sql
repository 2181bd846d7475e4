-- Grain: one row per model: what was done to it, as the options of the command that does it, words as
-- a shell takes them. Weights that are quantised in their folder, by a method and not to 4 or 8 bits,
-- need none; a repair is named, not where it lies. A + within a name (an adapter `a+b`) parts nothing.
WITH part AS (
    SELECT
        model.model_id,
        parts.nr,
        split_part(parts.word, ':', 1) AS kind,
        substr(parts.word, strpos(parts.word, ':') + 1) AS asked
    FROM model
    CROSS JOIN
        unnest(
            string_split(
                regexp_replace(
                    model.variant,
                    '[+](quantization|adapter|mend|fault|random):',
                    concat(chr(31), '\1:'),
                    'g'
                ),
                chr(31)
            )
        ) WITH ORDINALITY AS parts (word, nr)
    WHERE NOT regexp_matches(parts.word, '^quantization:[^0-9]')
),

known (kind, option) AS (
    VALUES
    ('quantization', ' --quantization '),
    ('adapter', ' --adapter '),
    ('mend', ' --adapter '),
    ('fault', ' --fault '),
    ('random', ' --random-weights ')
)

SELECT
    model.model_id,
    model.name,
    coalesce(
        string_agg(concat(known.option, shell_word(part.asked)), '' ORDER BY part.nr)
        FILTER (WHERE known.option IS NOT NULL),
        ''
    ) AS options
FROM model
LEFT JOIN part ON model.model_id = part.model_id
LEFT JOIN known ON part.kind = known.kind
GROUP BY model.model_id, model.name
