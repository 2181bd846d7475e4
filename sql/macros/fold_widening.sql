-- How much wider than the bootstrap's an interval of out-of-fold predictions is made
-- (docs/method.md).
CREATE OR REPLACE MACRO fold_widening(n_groups) AS 1 + 3.5 / sqrt(n_groups);
