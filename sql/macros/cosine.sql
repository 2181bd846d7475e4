-- Cosine of the angle between two vectors of one width; NULL where either has no length.
CREATE OR REPLACE MACRO cosine(a, b) AS
list_dot_product(a, b) / nullif(sqrt(list_dot_product(a, a) * list_dot_product(b, b)), 0);
