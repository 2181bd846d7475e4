-- Grain: one row per readout: those that Layerhouse brings, by the facts of
-- warehouse/vocabulary.py, which a test holds equal, and those that packages brought to this lake.
WITH known AS (
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
        ('grid', 'image', 4, FALSE),
        ('reply', 'reply', 1, FALSE),
        ('tokens', 'image', 0, FALSE)
    ) AS listed (name, reads, slots, everywhere)
    UNION ALL
    SELECT
        package_readout.name,
        package_readout.reads,
        package_readout.slots,
        package_readout.everywhere
    FROM package_readout
)

SELECT
    name,
    reads,
    slots,
    everywhere,
    -- A class token usually does not go through the connector, so it proves nothing.
    reads <> 'class' AS is_evidence
FROM known
