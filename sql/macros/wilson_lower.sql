-- Lower end of the Wilson 95% interval of `hits` right among `n`; z = 1.959964. Rounding would
-- carry it past 0 where none is right.
CREATE OR REPLACE MACRO wilson_lower(hits, n) AS
greatest(
    (
        (hits / n + 1.959964 ^ 2 / (2 * n))
        - 1.959964 * sqrt(
            greatest((hits / n) * (1 - hits / n), 0) / n + 1.959964 ^ 2 / (4 * n ^ 2)
        )
    ) / (1 + 1.959964 ^ 2 / n),
    0
);
