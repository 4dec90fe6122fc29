-- From when on the tokens of an account count: `subject` is what they call it (`sub`), `at` a whole second.
-- A row goes when every token from before it has ended by itself.
CREATE TABLE not_before (
    subject TEXT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL
);
CREATE INDEX not_before_at ON not_before (at);
INSERT INTO counter (name, value) VALUES ('not_before', 0);
