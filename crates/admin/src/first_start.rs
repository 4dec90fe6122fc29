//! The first start makes the account of the administrator. Later starts find it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use portpass_authority::audit::Action;
use portpass_password::{HashPool, MinLength, min_length::TooShort, pool::Busy};
use portpass_state::{AccountId, Addition, AuditRecord, Db, NewAccount, StateError};
use portpass_token::Random;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::{
    blocking,
    data_directory::{FileMode, write_file},
};

/// The account that the first start makes, and how to learn its password.
#[derive(Debug)]
pub enum Administrator {
    /// It was made just now.
    Created {
        /// Where its password stands; absent if the operator gave it.
        password_file: Option<PathBuf>,
        /// For a terminal only. Absent if the operator gave it.
        password: Option<SecretString>,
    },
    /// It was made at an earlier start, and its first password still holds and stands here.
    InitialPassword {
        /// Readable by the owner alone.
        password_file: PathBuf,
    },
    /// It was made at an earlier start; whoever runs this knows the password.
    Managed,
}

/// What the first start needs.
pub struct FirstStart<'a> {
    /// The data directory.
    pub data: &'a Path,
    /// The database in it.
    pub db: &'a Db,
    /// Where passwords are hashed.
    pub pool: &'a HashPool,
    /// Where a password comes from that nobody gave.
    pub random: &'a dyn Random,
    /// `PORTPASS_ADMIN_PASSWORD_FILE`
    pub given: Option<&'a Path>,
    /// How long a given password is at least.
    pub min_length: MinLength,
    /// The time of the record in the audit trail.
    pub now: SystemTime,
}

impl FirstStart<'_> {
    /// Makes the account `admin`, once in the life of a database: whoever removes it later wants it gone.
    pub async fn administrator(&self) -> Result<Administrator, FirstStartError> {
        if self.db.meta(INSTALLED).await?.is_some() {
            return self.known().await;
        }
        // A crash may have come between the account and the mark.
        let made = match self.db.account(ADMIN).await? {
            Some(_) => self.known().await?,
            None => self.make().await?,
        };
        self.db.set_meta(INSTALLED, ADMIN).await?;
        Ok(made)
    }

    async fn make(&self) -> Result<Administrator, FirstStartError> {
        let (password, written) = self.initial_password().await?;
        let mut salt = [0; 16];
        self.random.fill(&mut salt);
        let hash = self.pool.hash(password.clone(), salt).await?;
        let mut id = [0; 16];
        self.random.fill(&mut id);
        let account = NewAccount {
            id: AccountId::from_random(id),
            name: ADMIN.to_owned(),
            password_hash: Some(SecretString::from(hash.expose())),
            groups: std::collections::BTreeSet::new(),
        };
        let audit = AuditRecord {
            at: self.now,
            action: Action::AccountAdded.as_str().to_owned(),
            actor: None,
            object: Some(ADMIN.to_owned()),
            address: None,
            request: None,
            detail: serde_json::json!({ "by": "first start" }),
        };
        match self.db.add_account(&account, &audit).await? {
            Addition::Added => {
                let shown = written.is_some().then_some(password);
                Ok(Administrator::Created { password_file: written, password: shown })
            }
            Addition::Exists => self.known().await,
        }
    }

    /// A password and, if it was made up here, the file that it stands in by now: an account whose
    /// password nobody knows would be for good.
    async fn initial_password(&self) -> Result<(SecretString, Option<PathBuf>), FirstStartError> {
        let path = self.data.join(PASSWORD_FILE);
        let failed = |what: &'static str| {
            let path = path.clone();
            move |source| FirstStartError::File { path, what, source }
        };
        if let Some(given) = self.given {
            // A start that crashed may have left one that never counted.
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("remove")(error));
                }
                Ok(()) | Err(_) => {}
            }
            let password = read_password(given)?;
            self.min_length.check(&password).map_err(|problem| FirstStartError::TooShort {
                path: given.to_path_buf(),
                problem,
            })?;
            return Ok((password, None));
        }
        let password = generate_password(self.random);
        let line = Zeroizing::new(format!("{}\n", password.expose_secret()));
        let target = path.clone();
        blocking(move || write_file(&target, line.as_bytes(), &FileMode::Private))
            .await
            .map_err(failed("write"))?;
        Ok((password, Some(path)))
    }

    /// The file with the first password counts as long as nobody has set another.
    async fn known(&self) -> Result<Administrator, FirstStartError> {
        let password_file = self.data.join(PASSWORD_FILE);
        let there = password_file.try_exists().unwrap_or(false);
        let first =
            self.db.account(ADMIN).await?.is_some_and(|admin| admin.credential_version == 1);
        if there && !first {
            tracing::warn!(
                "{} contains a password that is not valid any more: delete it",
                password_file.display()
            );
        }
        Ok(if there && first {
            Administrator::InitialPassword { password_file }
        } else {
            Administrator::Managed
        })
    }
}

/// Removes the file with the first password once another was set: what it says would mislead, and it
/// may be in use elsewhere. Whether there was one. Blocks.
pub(crate) fn remove_initial_password(data: &Path) -> io::Result<Option<PathBuf>> {
    let path = data.join(PASSWORD_FILE);
    match fs::remove_file(&path) {
        Ok(()) => Ok(Some(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The first line of a file, as secrets are mounted into containers.
fn read_password(path: &Path) -> Result<SecretString, FirstStartError> {
    let failed = |source| FirstStartError::Given { path: path.to_path_buf(), source };
    let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        return Err(FirstStartError::NoPassword { path: path.to_path_buf() });
    }
    Ok(SecretString::from(password))
}

/// 125 random bits in letters and digits that cannot be mistaken for each other.
fn generate_password(random: &dyn Random) -> SecretString {
    let mut bytes = Zeroizing::new([0; 25]);
    random.fill(&mut *bytes);
    let mut password = String::with_capacity(MinLength::MAX);
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 && index % 5 == 0 {
            password.push('-');
        }
        password.push(char::from(LETTERS[usize::from(byte % 32)]));
    }
    SecretString::from(password)
}

/// Why the first start did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FirstStartError {
    /// A file in the data directory, or one that was named.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file of the administrator's password cannot be read.
    #[error("PORTPASS_ADMIN_PASSWORD_FILE names {}, which cannot be read: {source}", path.display())]
    Given {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The administrator's password may not be set.
    #[error(
        "{} (PORTPASS_ADMIN_PASSWORD_FILE): {problem}, as `token_service.passwords.min_length` demands", path.display()
    )]
    TooShort {
        /// Which.
        path: PathBuf,
        /// What it would need.
        problem: TooShort,
    },
    /// The administrator's password file is empty.
    #[error("{} (PORTPASS_ADMIN_PASSWORD_FILE) contains no password", path.display())]
    NoPassword {
        /// Which.
        path: PathBuf,
    },
    /// The database.
    #[error(transparent)]
    State(#[from] StateError),
    /// Nothing else hashes at the first start.
    #[error(transparent)]
    Busy(#[from] Busy),
}

/// The account that the rules of the embedded default name.
pub const ADMIN: &str = "admin";

const PASSWORD_FILE: &str = "admin-password";
const INSTALLED: &str = "administrator";
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

#[cfg(test)]
mod tests {
    use std::{
        num::NonZeroUsize,
        os::unix::fs::MetadataExt as _,
        sync::atomic::{AtomicU8, Ordering},
    };

    use portpass_password::pool::PoolSettings;

    use super::*;

    /// Counts, so that no two answers are alike.
    #[derive(Debug, Default)]
    struct Counting(AtomicU8);

    impl Random for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for byte in bytes {
                *byte = self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    struct Fixture {
        data: tempfile::TempDir,
        db: Db,
        pool: HashPool,
        random: Counting,
    }

    impl Fixture {
        async fn new() -> Self {
            let one = NonZeroUsize::MIN;
            Self {
                data: tempfile::tempdir().unwrap(),
                db: Db::in_memory().await.unwrap(),
                pool: HashPool::new(PoolSettings { threads: one, queue: 1 }),
                random: Counting::default(),
            }
        }

        async fn start(&self, given: Option<&Path>) -> Result<Administrator, FirstStartError> {
            let installer = FirstStart {
                data: self.data.path(),
                db: &self.db,
                pool: &self.pool,
                random: &self.random,
                given,
                min_length: MinLength::default(),
                now: SystemTime::UNIX_EPOCH,
            };
            installer.administrator().await
        }

        fn file(&self) -> PathBuf {
            self.data.path().join(PASSWORD_FILE)
        }
    }

    #[tokio::test]
    async fn the_first_start_writes_the_password_for_the_owner_alone() {
        let fixture = Fixture::new().await;
        let Administrator::Created { password_file, password } = fixture.start(None).await.unwrap()
        else {
            panic!()
        };
        assert_eq!(password_file, Some(fixture.file()));
        let password = password.unwrap();
        assert_eq!(
            fs::read_to_string(fixture.file()).unwrap(),
            format!("{}\n", password.expose_secret())
        );
        assert_eq!(fs::metadata(fixture.file()).unwrap().mode() & 0o777, 0o600);
        assert_eq!(password.expose_secret().len(), 29);
        let account = fixture.db.account(ADMIN).await.unwrap().unwrap();
        assert!(account.password_hash.unwrap().expose_secret().starts_with("$argon2id$"));
    }

    #[tokio::test]
    async fn later_starts_change_nothing() {
        let fixture = Fixture::new().await;
        let _first = fixture.start(None).await.unwrap();
        let written = fs::read(fixture.file()).unwrap();
        let hash = fixture.db.account(ADMIN).await.unwrap().unwrap().password_hash.unwrap();
        assert!(matches!(
            fixture.start(None).await.unwrap(),
            Administrator::InitialPassword { .. }
        ));
        assert_eq!(fs::read(fixture.file()).unwrap(), written);
        let again = fixture.db.account(ADMIN).await.unwrap().unwrap().password_hash.unwrap();
        assert_eq!(hash.expose_secret(), again.expose_secret());
    }

    #[tokio::test]
    async fn a_crash_before_the_account_leaves_nothing_that_counts() {
        let fixture = Fixture::new().await;
        fs::write(fixture.file(), "of the start that crashed\n").unwrap();
        let Administrator::Created { password, .. } = fixture.start(None).await.unwrap() else {
            panic!()
        };
        let written = fs::read_to_string(fixture.file()).unwrap();
        assert_eq!(written.trim(), password.unwrap().expose_secret());
    }

    #[tokio::test]
    async fn a_given_password_is_written_nowhere_and_an_empty_one_is_refused() {
        let fixture = Fixture::new().await;
        let given = fixture.data.path().join("given");
        fs::write(&given, "\n").unwrap();
        assert!(matches!(
            fixture.start(Some(&given)).await,
            Err(FirstStartError::NoPassword { .. })
        ));
        fs::write(&given, "correct\n").unwrap();
        let short = fixture.start(Some(&given)).await.unwrap_err().to_string();
        assert!(short.contains("fewer than 8") && !short.contains("correct"), "{short}");
        let gone = fixture.start(Some(&fixture.data.path().join("gone"))).await.unwrap_err();
        assert!(gone.to_string().contains("PORTPASS_ADMIN_PASSWORD_FILE"), "{gone}");
        fs::write(&given, "correct horse\n").unwrap();
        fs::write(fixture.file(), "left by a crash").unwrap();
        let made = fixture.start(Some(&given)).await.unwrap();
        assert!(
            matches!(made, Administrator::Created { password_file: None, password: None }),
            "{made:?}"
        );
        assert!(!fixture.file().exists());
    }

    #[tokio::test]
    async fn an_administrator_that_was_removed_stays_removed() {
        let fixture = Fixture::new().await;
        let _first = fixture.start(None).await.unwrap();
        let audit = AuditRecord {
            at: SystemTime::UNIX_EPOCH,
            action: "account-removed".to_owned(),
            actor: None,
            object: None,
            address: None,
            request: None,
            detail: serde_json::json!({}),
        };
        assert_eq!(
            fixture.db.remove_account(ADMIN, &audit).await.unwrap(),
            portpass_state::Change::Done
        );
        assert!(matches!(fixture.start(None).await.unwrap(), Administrator::Managed));
        assert!(fixture.db.account(ADMIN).await.unwrap().is_none());
    }
}
