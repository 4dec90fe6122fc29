-- Tokens of workloads that may be used once, each until it would have expired.
CREATE TABLE used_token (
    hash BLOB NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX used_token_expires_at ON used_token (expires_at);
