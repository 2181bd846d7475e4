-- Whose image was shown in the place of a sample's own, where answers were asked for so.
CREATE TABLE image_donor (
    dataset_id VARCHAR NOT NULL,
    sample_id VARCHAR NOT NULL,
    image_control VARCHAR NOT NULL,            -- other, same_class
    donor_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (dataset_id, sample_id, image_control)
);
