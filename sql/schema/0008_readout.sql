-- What is known of readouts that packages brought, so that a lake can be read without them.
CREATE TABLE package_readout (
    name VARCHAR NOT NULL,
    reads VARCHAR NOT NULL,                    -- image, final or class
    slots INTEGER NOT NULL,
    everywhere BOOLEAN NOT NULL,
    identity VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (name)
);
