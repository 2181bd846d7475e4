-- A name as one word of a command line, as shlex.quote has it; NULL stays NULL.
CREATE OR REPLACE MACRO shell_word(word) AS
CASE
    WHEN regexp_full_match(word, '[a-zA-Z0-9_@%+=:,./-]+') THEN word
    ELSE '''' || replace(word, '''', '''"''"''') || ''''
END;
