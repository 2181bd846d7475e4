-- The smallest loss that lies `z` standard errors above `bound` where `n` independent images are
-- looked at: the l with l = bound + z * sqrt((noise + l - l^2) / n). `noise` is the share of images
-- that are right before a stage only or after it only beside those that are lost; the variance is
-- then that of a difference of paired shares, as McNemar (1947) has it.
CREATE OR REPLACE MACRO loss_beyond(noise, n, bound, z) AS
(
    2 * n * bound + z ^ 2
    + z * sqrt(
        greatest(z ^ 2 + 4 * n * bound * (1 - bound) + 4 * (n + z ^ 2) * noise, 0)
    )
) / (2 * (n + z ^ 2));
