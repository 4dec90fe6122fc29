//! What happened before: so many rows of each kind, put in by hand.

use std::path::Path;

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

/// Puts so many rows of each kind into a database.
pub(crate) async fn fill(path: &Path, rows: u32) {
    let options = SqliteConnectOptions::new().filename(path);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql("BEGIN").execute(&mut connection).await.unwrap();
    for statement in STATEMENTS {
        let statement = format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) {statement}"
        );
        sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    }
    sqlx::raw_sql("COMMIT").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// A digest's bytes and an identifier's, of a number and of what kind of thing it is; the times are long
/// ago, and what is alive is so for long.
const STATEMENTS: &[&str] = &[
    // Dead sessions of `robot`, and live ones of as many others.
    "INSERT INTO refresh_token (id, hash, source, account, account_name, credential_version, service,
         client, created_at, idle_until, expires_at, revoked_at, revoked_why)
     SELECT CAST(printf('dead%012d', i) AS BLOB), CAST(printf('dead%028d', i) AS BLOB), 'ldap', 'robot',
         'robot', '1', 'registry', 'docker', i, 9000000000000, 9000000000000, 1790000000000 + i, 'crowded'
     FROM n",
    "INSERT INTO refresh_token (id, hash, source, account, account_name, credential_version, service,
         client, created_at, idle_until, expires_at, last_used_at)
     SELECT CAST(printf('live%012d', i) AS BLOB), CAST(printf('live%028d', i) AS BLOB), 'ldap',
         'account' || i, 'account' || i, '1', 'registry', 'docker', i, 9000000000000, 9000000000000, i
     FROM n",
    "INSERT INTO audit (at, action, actor, detail) SELECT i, 'token-issued', 'robot', '{}' FROM n",
    // One repository with as many tags of as many manifests, each with a blob, and as many repositories.
    "INSERT INTO repository (name, created_at) SELECT printf('r%08d', i), 0 FROM n",
    "INSERT INTO repository (name, created_at) SELECT 'large', 0 FROM n WHERE i = 1",
    "INSERT INTO blob (digest, location, size, generation, touched_at)
     SELECT CAST(x'01' || printf('blob%028d', i) AS BLOB), 'o/' || i, 1, 1, 0 FROM n",
    "INSERT INTO repository_blob (repository, digest, media_type, touched_at)
     SELECT r.id, CAST(x'01' || printf('blob%028d', i) AS BLOB), 'a/b', 0 FROM n
     JOIN repository r ON r.name = 'large'",
    "INSERT INTO repository_blob (repository, digest, media_type, touched_at)
     SELECT r.id, CAST(x'01' || printf('blob%028d', i) AS BLOB), 'a/b', 0 FROM n
     JOIN repository r ON r.name = printf('r%08d', i)",
    // All but every hundredth of them, and ten at least, refer to one subject as another type.
    "INSERT INTO manifest (repository, digest, media_type, size, pushed_at, subject, artifact_type, bytes)
     SELECT r.id, CAST(x'01' || printf('made%028d', i) AS BLOB), 'm/n', 2, 0,
         CAST(x'01' || printf('made%028d', 0) AS BLOB),
         CASE WHEN i <= 10 THEN 'wanted' ELSE 'other' END, x'7b7d'
     FROM n JOIN repository r ON r.name = 'large'",
    "INSERT INTO manifest_link (repository, manifest, kind, target)
     SELECT r.id, CAST(x'01' || printf('made%028d', i) AS BLOB), 'blob',
         CAST(x'01' || printf('blob%028d', i) AS BLOB)
     FROM n JOIN repository r ON r.name = 'large'",
    "INSERT INTO tag (repository, name, manifest, tagged_at)
     SELECT r.id, printf('t%08d', i), CAST(x'01' || printf('made%028d', i) AS BLOB), 0
     FROM n JOIN repository r ON r.name = 'large'",
    "INSERT INTO upload (id, repository, progress, version, started_at, updated_at, account)
     SELECT CAST(printf('sess%012d', i) AS BLOB), 'large', x'', 1, 9000000000000, 9000000000000,
         'account' || i
     FROM n",
];
