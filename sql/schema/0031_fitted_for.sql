-- What a probe or a baseline was fitted for: the score by which its samples weigh and by which its
-- penalty was chosen. What was written before this migration was fitted for accuracy.
ALTER TABLE probe ADD COLUMN score VARCHAR DEFAULT 'accuracy';          -- accuracy, balanced_accuracy
ALTER TABLE probe ALTER COLUMN score SET NOT NULL;
ALTER TABLE baseline ADD COLUMN score VARCHAR DEFAULT 'accuracy';
ALTER TABLE baseline ALTER COLUMN score SET NOT NULL;
