-- What a self-test's trial has to tell beside its verdict. Older trials have none of it.
ALTER TABLE fault_trial ADD COLUMN trial_kind VARCHAR;        -- healthy, destroying, shifting, pair
ALTER TABLE fault_trial ADD COLUMN stages VARCHAR;            -- in pipeline order, by +
ALTER TABLE fault_trial ADD COLUMN present_stages VARCHAR;    -- those reported present
ALTER TABLE fault_trial ADD COLUMN answer_accuracy DOUBLE;
ALTER TABLE fault_trial ADD COLUMN total_loss DOUBLE;
ALTER TABLE fault_trial ADD COLUMN seconds DOUBLE;
