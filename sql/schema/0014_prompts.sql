-- How a question was put, and how it was put otherwise: other prompts, the options in another order,
-- another image in the place of the sample's own. Answers from before have the defaults.
CREATE TABLE prompt (
    prompt_id VARCHAR PRIMARY KEY,
    template VARCHAR NOT NULL,
    system VARCHAR,
    option_style VARCHAR NOT NULL,             -- none, list, letters, numbers
    option_order VARCHAR NOT NULL,             -- given, reversed
    synonyms JSON,
    language VARCHAR NOT NULL,
    reply_prefix VARCHAR,
    run_id VARCHAR NOT NULL
);

-- The key of `answer` is (model_id, dataset_id, sample_id, method, prompt_id, option_order,
-- image_control) from here on.
ALTER TABLE answer ADD COLUMN prompt_id VARCHAR DEFAULT 'default';
ALTER TABLE answer ADD COLUMN option_order VARCHAR DEFAULT 'given';  -- given, rotated:1, rotated:2, …
ALTER TABLE answer ADD COLUMN image_control VARCHAR DEFAULT 'own';   -- own, blank, other, same_class
ALTER TABLE answer ALTER COLUMN prompt_id SET NOT NULL;
ALTER TABLE answer ALTER COLUMN option_order SET NOT NULL;
ALTER TABLE answer ALTER COLUMN image_control SET NOT NULL;
