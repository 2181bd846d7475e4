-- Of two numbers that of the score which a dataset rests on: plain accuracy where nothing else is said.
CREATE OR REPLACE MACRO by_score(score, balanced, plain) AS
CASE WHEN score = 'balanced_accuracy' THEN balanced ELSE plain END;
