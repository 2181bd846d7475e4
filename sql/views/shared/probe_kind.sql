-- Grain: one row per kind of probe that Layerhouse brings. The facts of warehouse/vocabulary.py,
-- which a test holds equal.
SELECT
    listed.name,
    listed.preference
FROM (VALUES ('linear', 0), ('mlp', 1), ('attentive', 2)) AS listed (name, preference)
