//! The tables, brought up to date: every migration the database does not have yet, in order, all in
//! one transaction. Migrations are only ever added to [`MIGRATIONS`], never changed.

use portpass_protocol::Digest;
use sqlx::{Row as _, SqliteConnection};

use crate::StateError;

/// One step from one version of the tables to the next.
struct Migration {
    version: i64,
    text: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, text: include_str!("sql/0001_initial.sql") },
    Migration { version: 3, text: include_str!("sql/0003_live_rows.sql") },
    Migration { version: 5, text: include_str!("sql/0005_audit_chain.sql") },
    Migration { version: 7, text: include_str!("sql/0007_robots.sql") },
    Migration { version: 9, text: include_str!("sql/0009_not_before.sql") },
    Migration { version: 11, text: include_str!("sql/0011_used_tokens.sql") },
    Migration { version: 13, text: include_str!("sql/0013_key_files.sql") },
    Migration { version: 21, text: include_str!("sql/0021_ended_secrets.sql") },
    Migration { version: 23, text: include_str!("sql/0023_gc.sql") },
    Migration { version: 25, text: include_str!("sql/0025_retention.sql") },
    Migration { version: 29, text: include_str!("sql/0029_pulls.sql") },
    Migration { version: 31, text: include_str!("sql/0031_events.sql") },
];

/// Brings the tables up to date, or says why this program must not touch them.
pub(crate) async fn migrate(connection: &mut SqliteConnection) -> Result<(), StateError> {
    migrate_with(connection, MIGRATIONS).await
}

async fn migrate_with(
    connection: &mut SqliteConnection,
    migrations: &[Migration],
) -> Result<(), StateError> {
    // The common start reads only: it neither waits for a writer nor makes one wait.
    if pending(connection, migrations).await?.is_empty() {
        return Ok(());
    }
    // Two processes may come here at once: the second finds nothing left to do.
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    let outcome = apply(connection, migrations).await;
    let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
    sqlx::query(end).execute(&mut *connection).await?;
    outcome
}

async fn apply(
    connection: &mut SqliteConnection,
    migrations: &[Migration],
) -> Result<(), StateError> {
    sqlx::query(
        "CREATE TABLE IF NOT EXISTS schema_version
             (version BIGINT NOT NULL PRIMARY KEY, checksum TEXT NOT NULL)",
    )
    .execute(&mut *connection)
    .await?;
    for migration in pending(connection, migrations).await? {
        sqlx::raw_sql(migration.text).execute(&mut *connection).await?;
        sqlx::query("INSERT INTO schema_version (version, checksum) VALUES ($1, $2)")
            .bind(migration.version)
            .bind(checksum(migration))
            .execute(&mut *connection)
            .await?;
        tracing::info!(version = migration.version, "migrated the database");
    }
    Ok(())
}

/// The migrations that the database does not have, or why none may be applied.
async fn pending<'m>(
    connection: &mut SqliteConnection,
    migrations: &'m [Migration],
) -> Result<Vec<&'m Migration>, StateError> {
    let applied = applied(connection).await?;
    let known = migrations.iter().map(|migration| migration.version).max().unwrap_or(0);
    if let Some((found, _)) = applied.iter().find(|(version, _)| *version > known) {
        return Err(StateError::Newer { found: *found, known });
    }
    let mut pending = Vec::new();
    for migration in migrations {
        match applied.iter().find(|(version, _)| *version == migration.version) {
            None => pending.push(migration),
            Some((_, text)) if *text == checksum(migration) => {}
            Some(_) => return Err(StateError::Altered { version: migration.version }),
        }
    }
    Ok(pending)
}

/// Versions and checksums in the database, newest first.
async fn applied(connection: &mut SqliteConnection) -> Result<Vec<(i64, String)>, StateError> {
    let tables = sqlx::query("SELECT name FROM sqlite_master WHERE type = 'table'")
        .fetch_all(&mut *connection)
        .await?;
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let named = |row: &sqlx::sqlite::SqliteRow| {
        row.try_get("name").is_ok_and(|name: &str| name == "schema_version")
    };
    if !tables.iter().any(named) {
        return Err(StateError::Foreign);
    }
    let rows = sqlx::query("SELECT version, checksum FROM schema_version ORDER BY version DESC")
        .fetch_all(&mut *connection)
        .await?;
    rows.iter().map(|row| Ok((row.try_get("version")?, row.try_get("checksum")?))).collect()
}

fn checksum(migration: &Migration) -> String {
    Digest::sha256(migration.text.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};

    use super::*;

    const FIRST: Migration = Migration { version: 1, text: "CREATE TABLE one (id BIGINT);" };

    #[tokio::test]
    async fn only_what_is_missing_is_applied() {
        let mut connection = empty().await;
        migrate_with(&mut connection, &[FIRST]).await.unwrap();
        let text = "CREATE TABLE two (id BIGINT); INSERT INTO two VALUES (7);";
        let both = [FIRST, Migration { version: 2, text }];
        migrate_with(&mut connection, &both).await.unwrap();
        migrate_with(&mut connection, &both).await.unwrap();
        let rows = sqlx::query("SELECT id FROM two").fetch_all(&mut connection).await.unwrap();
        assert_eq!(rows.len(), 1, "the second migration ran once");
        let older = migrate_with(&mut connection, &[FIRST]).await.unwrap_err();
        assert!(matches!(older, StateError::Newer { found: 2, known: 1 }), "{older:?}");
    }

    #[tokio::test]
    async fn a_migration_that_fails_changes_nothing() {
        let mut connection = empty().await;
        let text = "CREATE TABLE two (id BIGINT); INSERT INTO absent VALUES (7);";
        let both = [FIRST, Migration { version: 2, text }];
        migrate_with(&mut connection, &both).await.unwrap_err();
        assert!(applied(&mut connection).await.unwrap().is_empty());
        migrate_with(&mut connection, &[FIRST]).await.unwrap();
    }

    /// A full disk, a power cut or a mistake of ours: the program from before still starts.
    #[tokio::test]
    async fn a_migration_that_breaks_off_leaves_the_database_to_the_program_from_before() {
        let mut connection = empty().await;
        migrate_with(&mut connection, &[FIRST]).await.unwrap();
        sqlx::query("INSERT INTO one VALUES (7)").execute(&mut connection).await.unwrap();
        let second = "ALTER TABLE one ADD COLUMN name TEXT; UPDATE one SET id = 8;";
        let third = "DROP TABLE one; CREATE TABLE two (id BIGINT); INSERT INTO absent VALUES (1);";
        let all =
            [FIRST, Migration { version: 2, text: second }, Migration { version: 3, text: third }];
        migrate_with(&mut connection, &all).await.unwrap_err();
        migrate_with(&mut connection, &[FIRST]).await.unwrap();
        let row = sqlx::query("SELECT * FROM one").fetch_one(&mut connection).await.unwrap();
        assert_eq!((row.len(), row.get::<i64, _>("id")), (1, 7));
    }

    async fn empty() -> SqliteConnection {
        SqliteConnectOptions::new().in_memory(true).connect().await.unwrap()
    }
}
