-- Certificates of keys from files: the one that signs (`until` is NULL), and those that it replaced, as long as
-- a token of theirs may live. The keys stay in their files.
CREATE TABLE key_file (
    certificate BLOB NOT NULL PRIMARY KEY,
    id TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    until BIGINT
);
