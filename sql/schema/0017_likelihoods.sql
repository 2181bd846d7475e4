-- Likelihoods that count the end of a reply, and two corrections of them. Older answers have none.
ALTER TABLE answer ADD COLUMN label_logprobs_per_token FLOAT[];
ALTER TABLE answer ADD COLUMN label_pmi FLOAT[];
ALTER TABLE answer ADD COLUMN end_token VARCHAR;
