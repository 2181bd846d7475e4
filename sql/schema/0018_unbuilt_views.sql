-- What a catalogue could not build, and what tells it that a commit record is another than the one
-- it took in: the date of the file, held against no clock.
CREATE TABLE unbuilt_view (
    name VARCHAR PRIMARY KEY,
    reason VARCHAR NOT NULL
);

CREATE TABLE record_file (
    commit_id VARCHAR PRIMARY KEY,
    modified_ns BIGINT NOT NULL
);
