-- Grain: one row per repair that Layerhouse brings, in the order in which they are tried. The facts of
-- extract/mending/titles.py, which a test holds equal.
SELECT
    listed.stage,
    listed.repair,
    listed.number
FROM (
    VALUES
    ('answer', 'prior', 0),
    ('answer', 'probe', 1),
    ('answer', 'label-rows', 2),
    ('connector', 'finetune', 3),
    ('llm', 'heads', 4),
    ('llm', 'lora', 5),
    ('vision', 'lora', 6)
) AS listed (stage, repair, number)
