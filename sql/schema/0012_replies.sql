-- How generated replies ended, and all of what was generated. Older answers have none of it.
ALTER TABLE answer ADD COLUMN finish_reason VARCHAR;    -- stop, length
ALTER TABLE answer ADD COLUMN n_tokens INTEGER;
ALTER TABLE answer ADD COLUMN raw_text VARCHAR;
