-- The file of an image holds what it held when the dataset was registered, as far as it is there.
SELECT
    dataset_id,
    sample_id,
    uri
FROM changed_image
