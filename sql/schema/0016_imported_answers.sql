-- Models of which there are answers from elsewhere alone, as of an API's, are known by a title: what
-- they are built like nobody says.
ALTER TABLE model ADD COLUMN title VARCHAR;
ALTER TABLE model ALTER COLUMN model_type DROP NOT NULL;
ALTER TABLE model ALTER COLUMN n_parameters DROP NOT NULL;
ALTER TABLE model ALTER COLUMN dtype DROP NOT NULL;

-- What letters stood for in a question from elsewhere; of our own the prompt says it.
ALTER TABLE answer ADD COLUMN options VARCHAR[];
