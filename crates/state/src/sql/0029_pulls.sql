-- What was pulled, when last and how often. Tables of their own: a pull is written down without its manifest's bytes.

CREATE TABLE tag_pull (
    repository BIGINT NOT NULL,
    tag TEXT NOT NULL,
    pulls BIGINT NOT NULL,
    pulled_at BIGINT NOT NULL,
    PRIMARY KEY (repository, tag),
    FOREIGN KEY (repository, tag) REFERENCES tag (repository, name) ON DELETE CASCADE
);

CREATE TABLE manifest_pull (
    repository BIGINT NOT NULL,
    manifest BLOB NOT NULL,
    pulls BIGINT NOT NULL,
    pulled_at BIGINT NOT NULL,
    PRIMARY KEY (repository, manifest),
    FOREIGN KEY (repository, manifest) REFERENCES manifest (repository, digest) ON DELETE CASCADE
);
