-- Length of a vector.
CREATE OR REPLACE MACRO l2_norm(v) AS sqrt(list_dot_product(v, v));
