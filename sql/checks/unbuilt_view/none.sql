-- Every view and mart builds from the rows that the lake holds.
SELECT
    name,
    reason
FROM unbuilt_view
