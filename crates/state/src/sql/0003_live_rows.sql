-- Indexes of the rows that statements look for, so that what they cost does not grow with what happened
-- before or with what others have.

-- Sessions -----------------------------------------------------------------------------------

-- NULL until the first use.
ALTER TABLE refresh_token ADD COLUMN last_used_at BIGINT;
UPDATE refresh_token SET last_used_at = used_at WHERE used_at > created_at;
DROP INDEX refresh_token_account;
ALTER TABLE refresh_token DROP COLUMN used_at;
-- From now on `idle_until` is never later than `expires_at`: a token ends at one time.
UPDATE refresh_token SET idle_until = expires_at WHERE idle_until > expires_at;
-- Those of one account are bounded in number, the live and the dead.
CREATE INDEX refresh_token_live ON refresh_token (source, account, last_used_at, created_at, client)
    WHERE revoked_at IS NULL;
CREATE INDEX refresh_token_dead ON refresh_token (source, account, last_used_at, revoked_at)
    WHERE revoked_at IS NOT NULL;
CREATE INDEX refresh_token_idle ON refresh_token (idle_until) WHERE revoked_at IS NULL;
CREATE INDEX refresh_token_revoked ON refresh_token (revoked_at) WHERE revoked_at IS NOT NULL;

-- Referrers ----------------------------------------------------------------------------------

CREATE INDEX manifest_subject_type ON manifest (repository, subject, artifact_type, digest)
    WHERE subject IS NOT NULL;

-- Sweeps -------------------------------------------------------------------------------------

-- 1 where the last thing that kept the row may have gone: a sweep looks at these alone, and takes the
-- mark off those that something keeps.
ALTER TABLE repository ADD COLUMN suspect BIGINT NOT NULL DEFAULT 1;
ALTER TABLE repository_blob ADD COLUMN suspect BIGINT NOT NULL DEFAULT 1;
ALTER TABLE blob ADD COLUMN suspect BIGINT NOT NULL DEFAULT 1;
UPDATE repository SET suspect = 0
    WHERE EXISTS (SELECT 1 FROM manifest m WHERE m.repository = repository.id)
       OR EXISTS (SELECT 1 FROM repository_blob b WHERE b.repository = repository.id);
UPDATE repository_blob SET suspect = 0 WHERE unlinked_at IS NULL AND EXISTS
    (SELECT 1 FROM manifest_link l WHERE l.repository = repository_blob.repository
     AND l.kind = 'blob' AND l.target = repository_blob.digest);
UPDATE blob SET suspect = 0
    WHERE EXISTS (SELECT 1 FROM repository_blob m WHERE m.digest = blob.digest);
CREATE INDEX repository_suspect ON repository (created_at) WHERE suspect = 1;
CREATE INDEX repository_blob_suspect ON repository_blob (touched_at)
    WHERE suspect = 1 AND unlinked_at IS NULL;
CREATE INDEX repository_blob_unlinked ON repository_blob (unlinked_at)
    WHERE unlinked_at IS NOT NULL;
CREATE INDEX blob_suspect ON blob (touched_at) WHERE suspect = 1;

-- Uploads ------------------------------------------------------------------------------------

-- Whose session it is: the name that the request was let in under, empty where nobody is known.
ALTER TABLE upload ADD COLUMN account TEXT NOT NULL DEFAULT '';
CREATE INDEX upload_account ON upload (account);
