-- What each fault of a pair costs without the other. Older trials have none of it.
ALTER TABLE fault_trial ADD COLUMN first_cost DOUBLE;         -- the one further upstream
ALTER TABLE fault_trial ADD COLUMN second_cost DOUBLE;
