-- What a prompt needs for its replies.
ALTER TABLE prompt ADD COLUMN max_new_tokens INTEGER;
