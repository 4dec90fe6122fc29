-- The trail gets bounds and a chain. `written` counts what all rows up to this one have taken, those that
-- are gone included, so that the difference of two rows is what lies between them. `hash` is of the row and
-- of the hash before it; rows from before this migration have none.
ALTER TABLE audit ADD COLUMN written BIGINT NOT NULL DEFAULT 0;
ALTER TABLE audit ADD COLUMN hash BLOB;

UPDATE audit SET written = counted.total FROM (
    SELECT sequence, SUM(2 * (OCTET_LENGTH(action) + COALESCE(OCTET_LENGTH(actor), 0)
            + COALESCE(OCTET_LENGTH(object), 0) + COALESCE(OCTET_LENGTH(address), 0)
            + COALESCE(OCTET_LENGTH(request), 0) + OCTET_LENGTH(detail) + 100))
        OVER (ORDER BY sequence) AS total
    FROM audit
) AS counted WHERE counted.sequence = audit.sequence;

CREATE INDEX audit_at ON audit (at);

-- The last row that was removed, in one row: what is left follows it.
CREATE TABLE audit_anchor (
    id BIGINT NOT NULL PRIMARY KEY,
    sequence BIGINT NOT NULL,
    written BIGINT NOT NULL,
    hash BLOB
);
INSERT INTO audit_anchor (id, sequence, written, hash) VALUES (1, 0, 0, NULL);
