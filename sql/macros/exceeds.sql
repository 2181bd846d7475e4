-- How every verdict, note and mark holds a number against a limit: to nine digits, since 0.90 - 0.88 is
-- a little more than 0.02 in binary. Reaching a limit is not being exceeded by it.
CREATE OR REPLACE MACRO exceeds(number, bound) AS
round(number, 9) > round(bound, 9);
