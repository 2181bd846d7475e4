-- How pixels became 8-bit RGB where a dataset had to decide it; sample.uri holds the same, per image.
ALTER TABLE dataset ADD COLUMN pixel_rule VARCHAR;
