-- What is measured on a dataset: one score that everything rests on. What was written before this
-- migration rests on accuracy and keeps it.
ALTER TABLE dataset ADD COLUMN score VARCHAR DEFAULT 'accuracy';          -- accuracy, balanced_accuracy
ALTER TABLE dataset ALTER COLUMN score SET NOT NULL;
ALTER TABLE stage_interval ADD COLUMN score VARCHAR DEFAULT 'accuracy';
ALTER TABLE stage_interval ALTER COLUMN score SET NOT NULL;
ALTER TABLE health_interval ADD COLUMN score VARCHAR DEFAULT 'accuracy';
ALTER TABLE health_interval ALTER COLUMN score SET NOT NULL;
ALTER TABLE pair_interval ADD COLUMN score VARCHAR DEFAULT 'accuracy';
ALTER TABLE pair_interval ALTER COLUMN score SET NOT NULL;
ALTER TABLE fault_trial ADD COLUMN score VARCHAR DEFAULT 'accuracy';
ALTER TABLE fault_trial ALTER COLUMN score SET NOT NULL;
