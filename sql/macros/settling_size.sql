-- How many independent images show at 80% power on which side of `bound` a loss lies: `smallest_loss`
-- solved for n with one variance, that at the loss; z = 1.959964 + 0.841621, z^2 = 7.848878.
-- NULL where nothing varies but by rounding: one image would do, which nobody believes.
CREATE OR REPLACE MACRO settling_size(noise, loss, bound) AS
(
    CASE
        WHEN noise + abs(loss) - loss ^ 2 > 1e-9
            THEN 7.848878 * (noise + abs(loss) - loss ^ 2) / nullif((loss - bound) ^ 2, 0)
    END
);
