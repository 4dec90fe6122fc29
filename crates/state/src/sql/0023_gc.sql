-- Garbage collection: what nothing keeps, since when, and who held it last.

-- Blobs --------------------------------------------------------------------------------------

-- The repository that let go of the blob last, and of the object before its row went.
ALTER TABLE blob ADD COLUMN released_by TEXT;
ALTER TABLE garbage ADD COLUMN released_by TEXT;
-- NULL and zero where an object was never a blob's.
ALTER TABLE garbage ADD COLUMN digest BLOB;
ALTER TABLE garbage ADD COLUMN size BIGINT NOT NULL DEFAULT 0;

-- Manifests ----------------------------------------------------------------------------------

-- Manifests that may have nothing that keeps them: no tag, no index and no subject. A collection looks at
-- these alone. `since` is NULL until it has looked; `condemned_at` is set a grace period before the end.
CREATE TABLE orphan (
    repository BIGINT NOT NULL,
    manifest BLOB NOT NULL,
    since BIGINT,
    condemned_at BIGINT,
    PRIMARY KEY (repository, manifest),
    FOREIGN KEY (repository, manifest) REFERENCES manifest (repository, digest) ON DELETE CASCADE
);
CREATE INDEX orphan_unseen ON orphan (repository, manifest) WHERE since IS NULL;
CREATE INDEX orphan_waiting ON orphan (since) WHERE condemned_at IS NULL;
CREATE INDEX orphan_condemned ON orphan (condemned_at) WHERE condemned_at IS NOT NULL;

INSERT INTO orphan (repository, manifest)
    SELECT manifest.repository, manifest.digest FROM manifest
    WHERE NOT EXISTS (SELECT 1 FROM tag t
            WHERE t.repository = manifest.repository AND t.manifest = manifest.digest)
        AND NOT EXISTS (SELECT 1 FROM manifest_link l WHERE l.repository = manifest.repository
            AND l.kind = 'manifest' AND l.target = manifest.digest);

-- What comes without a tag may be one. Its time begins anew when it is pushed again.
CREATE TRIGGER manifest_pushed AFTER INSERT ON manifest BEGIN
    INSERT INTO orphan (repository, manifest) VALUES (new.repository, new.digest)
        ON CONFLICT (repository, manifest) DO NOTHING;
END;
CREATE TRIGGER manifest_pushed_again AFTER UPDATE OF pushed_at ON manifest BEGIN
    INSERT INTO orphan (repository, manifest) VALUES (new.repository, new.digest)
        ON CONFLICT (repository, manifest) DO UPDATE SET since = NULL, condemned_at = NULL;
END;

-- What a tag or an index names is none.
CREATE TRIGGER tag_set AFTER INSERT ON tag BEGIN
    DELETE FROM orphan WHERE repository = new.repository AND manifest = new.manifest;
END;
CREATE TRIGGER child_linked AFTER INSERT ON manifest_link WHEN new.kind = 'manifest' BEGIN
    DELETE FROM orphan WHERE repository = new.repository AND manifest = new.target;
END;

-- What lost one of its tags, its index or its subject may be one, if it is there at all.
CREATE TRIGGER tag_moved AFTER UPDATE OF manifest ON tag BEGIN
    DELETE FROM orphan WHERE repository = new.repository AND manifest = new.manifest;
    INSERT INTO orphan (repository, manifest) SELECT m.repository, m.digest FROM manifest m
        WHERE m.repository = old.repository AND m.digest = old.manifest
            AND old.manifest <> new.manifest
        ON CONFLICT (repository, manifest) DO UPDATE SET since = NULL, condemned_at = NULL;
END;
CREATE TRIGGER tag_removed AFTER DELETE ON tag BEGIN
    INSERT INTO orphan (repository, manifest) SELECT m.repository, m.digest FROM manifest m
        WHERE m.repository = old.repository AND m.digest = old.manifest
        ON CONFLICT (repository, manifest) DO UPDATE SET since = NULL, condemned_at = NULL;
END;
CREATE TRIGGER child_unlinked AFTER DELETE ON manifest_link WHEN old.kind = 'manifest' BEGIN
    INSERT INTO orphan (repository, manifest) SELECT m.repository, m.digest FROM manifest m
        WHERE m.repository = old.repository AND m.digest = old.target
        ON CONFLICT (repository, manifest) DO UPDATE SET since = NULL, condemned_at = NULL;
END;
CREATE TRIGGER subject_removed AFTER DELETE ON manifest BEGIN
    INSERT INTO orphan (repository, manifest) SELECT m.repository, m.digest FROM manifest m
        WHERE m.repository = old.repository AND m.subject = old.digest
        ON CONFLICT (repository, manifest) DO UPDATE SET since = NULL, condemned_at = NULL;
END;
