-- Grain: one row. The facts of warehouse/vocabulary.py, which a test holds equal.
SELECT
    0.02::DOUBLE AS margin,
    0.10::DOUBLE AS healthy_upper,
    20 AS min_groups,
    0.02::DOUBLE AS most_truncated,
    8 AS longer_budget,
    0.10::DOUBLE AS costly,
    0.05::DOUBLE AS cheap,
    0.05::DOUBLE AS shortcut,
    0.01::DOUBLE AS ranking_gain,
    0.8::DOUBLE AS undone
