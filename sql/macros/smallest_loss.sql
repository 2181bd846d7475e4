-- The smallest loss whose 95% interval lies above `bound` in 80 of 100 samplings of `n` independent
-- images: 0.841621 standard errors above the smallest that is found to do so, which is 1.959964 above
-- the bound (two variances, as Connor 1987, Biometrics 43:207, has it for a bound of 0). All of it
-- where no loss shows. Held by a simulation, `python -m bench.bench_power`.
CREATE OR REPLACE MACRO smallest_loss(noise, n, bound) AS
least(loss_beyond(noise, n, loss_beyond(noise, n, bound, 1.959964), 0.841621), 1);
