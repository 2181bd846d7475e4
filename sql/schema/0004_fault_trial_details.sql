-- What a self-test's trial has to tell beside its verdict. Older trials have none of it.
ALTER TABLE fault_trial ADD COLUMN trial_kind VARCHAR;        -- healthy, destroying, shifting, pair
ALTER TABLE fault_trial ADD COLUMN stages VARCHAR;            -- vision+connector; in pipeline order
ALTER TABLE fault_trial ADD COLUMN present_stages VARCHAR;    -- stages reported as present, likewise
ALTER TABLE fault_trial ADD COLUMN answer_accuracy DOUBLE;
ALTER TABLE fault_trial ADD COLUMN total_loss DOUBLE;
ALTER TABLE fault_trial ADD COLUMN seconds DOUBLE;
