-- Robots, and keys of accounts of any source. Of a secret there is its SHA-256 alone.
CREATE TABLE robot (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    permission TEXT NOT NULL,
    expires_at BIGINT,
    disabled_at BIGINT,
    created_at BIGINT NOT NULL
);

CREATE TABLE robot_secret (
    robot BLOB NOT NULL REFERENCES robot (id) ON DELETE CASCADE,
    id BLOB NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    used_at BIGINT,
    PRIMARY KEY (robot, id)
);

-- `account` is no reference: most sources of accounts are not this database.
CREATE TABLE api_key (
    id BLOB NOT NULL PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    source TEXT NOT NULL,
    account TEXT NOT NULL,
    account_name TEXT NOT NULL,
    description TEXT NOT NULL,
    permission TEXT NOT NULL,
    expires_at BIGINT,
    created_at BIGINT NOT NULL,
    used_at BIGINT
);
CREATE INDEX api_key_account ON api_key (source, account);

-- When an account of any source last got a token; it is written some seconds later.
CREATE TABLE account_use (
    source TEXT NOT NULL,
    account TEXT NOT NULL,
    used_at BIGINT NOT NULL,
    PRIMARY KEY (source, account)
);

INSERT INTO counter (name, value) VALUES ('robots', 0);
