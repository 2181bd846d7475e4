-- Grain: one row per readout that Layerhouse brings. The facts of warehouse/vocabulary.py, which a
-- test holds equal.
SELECT
    listed.name,
    listed.reads,
    listed.slots,
    listed.everywhere
FROM (
    VALUES
    ('mean', 'image', 1, TRUE),
    ('cls', 'class', 1, TRUE),
    ('last', 'final', 1, TRUE),
    ('grid', 'image', 4, FALSE)
) AS listed (name, reads, slots, everywhere)
