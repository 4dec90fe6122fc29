-- One text for every database: `$1` parameters, ON CONFLICT, RETURNING, times as milliseconds since
-- 1970, identifiers and digests as bytes. A digest is its algorithm's number (1 SHA-256, 2 SHA-512)
-- and its bytes, so that their order is the order of their texts. For PostgreSQL read BYTEA for
-- BLOB, an identity column for INTEGER PRIMARY KEY, and COLLATE "C" on every text.

CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- Versions that other processes watch.
CREATE TABLE counter (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counter (name, value) VALUES ('accounts', 0), ('key_ring', 0);

CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,
    at BIGINT NOT NULL,
    action TEXT NOT NULL,
    actor TEXT,
    object TEXT,
    address TEXT,
    request TEXT,
    detail TEXT NOT NULL
);

-- Accounts -----------------------------------------------------------------------------------

CREATE TABLE account (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    password_hash TEXT,
    credential_version BIGINT NOT NULL,
    disabled_at BIGINT,
    created_at BIGINT NOT NULL
);

CREATE TABLE account_group (
    account BLOB NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    PRIMARY KEY (account, name)
);

-- `account` is no reference: most sources of accounts are not this database.
CREATE TABLE refresh_token (
    id BLOB NOT NULL PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    source TEXT NOT NULL,
    account TEXT NOT NULL,
    account_name TEXT NOT NULL,
    credential_version TEXT NOT NULL,
    service TEXT NOT NULL,
    client TEXT NOT NULL,
    ceiling TEXT,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    idle_until BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    revoked_why TEXT
);
CREATE INDEX refresh_token_account ON refresh_token (source, account, client, used_at);
CREATE INDEX refresh_token_account_name ON refresh_token (account_name);

CREATE TABLE signing_key (
    id TEXT NOT NULL PRIMARY KEY,
    place BIGINT NOT NULL,
    phase TEXT NOT NULL,
    phase_at BIGINT,
    algorithm TEXT NOT NULL,
    certificate BLOB NOT NULL,
    sealed BLOB NOT NULL,
    created_at BIGINT NOT NULL
);

-- Repositories -------------------------------------------------------------------------------

CREATE TABLE repository (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

-- `bytes` comes last: what is read without it is read without its pages.
CREATE TABLE manifest (
    repository BIGINT NOT NULL REFERENCES repository (id) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    media_type TEXT NOT NULL,
    size BIGINT NOT NULL,
    pushed_at BIGINT NOT NULL,
    subject BLOB,
    artifact_type TEXT,
    annotations TEXT,
    bytes BLOB NOT NULL,
    PRIMARY KEY (repository, digest)
);
CREATE INDEX manifest_subject ON manifest (repository, subject, digest) WHERE subject IS NOT NULL;

-- `target` is no reference: what a manifest points at may be deleted while it stays.
CREATE TABLE manifest_link (
    repository BIGINT NOT NULL,
    manifest BLOB NOT NULL,
    kind TEXT NOT NULL,
    target BLOB NOT NULL,
    PRIMARY KEY (repository, manifest, kind, target),
    FOREIGN KEY (repository, manifest) REFERENCES manifest (repository, digest) ON DELETE CASCADE
);
CREATE INDEX manifest_link_target ON manifest_link (repository, kind, target);

CREATE TABLE tag (
    repository BIGINT NOT NULL,
    name TEXT NOT NULL,
    manifest BLOB NOT NULL,
    tagged_at BIGINT NOT NULL,
    PRIMARY KEY (repository, name),
    FOREIGN KEY (repository, manifest) REFERENCES manifest (repository, digest) ON DELETE CASCADE
);
CREATE INDEX tag_manifest ON tag (repository, manifest);

-- Blobs --------------------------------------------------------------------------------------

CREATE TABLE blob (
    digest BLOB NOT NULL PRIMARY KEY,
    location TEXT NOT NULL UNIQUE,
    size BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    touched_at BIGINT NOT NULL
);

CREATE TABLE repository_blob (
    repository BIGINT NOT NULL REFERENCES repository (id) ON DELETE CASCADE,
    digest BLOB NOT NULL REFERENCES blob (digest),
    media_type TEXT NOT NULL,
    touched_at BIGINT NOT NULL,
    unlinked_at BIGINT,
    PRIMARY KEY (repository, digest)
);
CREATE INDEX repository_blob_digest ON repository_blob (digest);

-- The repository by name: it need not exist before something is committed into it.
CREATE TABLE upload (
    id BLOB NOT NULL PRIMARY KEY,
    repository TEXT NOT NULL,
    progress BLOB NOT NULL,
    version BIGINT NOT NULL,
    lease_owner BLOB,
    lease_until BIGINT,
    started_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX upload_updated_at ON upload (updated_at);

-- Objects that no row above names any more.
CREATE TABLE garbage (
    location TEXT NOT NULL PRIMARY KEY,
    marked_at BIGINT NOT NULL
);
CREATE INDEX garbage_marked_at ON garbage (marked_at);
