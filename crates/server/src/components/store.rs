//! The directory of the blobs: whose it is, before anything in it is touched.
//!
//! ```text
//! our name and pairing in it           ─> opened
//! another's, or of another copy        ─> refused, or taken over where its objects are those of our rows
//! objects and no name (older versions) ─> the same, but without being asked
//! nothing                              ─> a new store, unless our rows name blobs: then it is not mounted
//! distribution's tree                  ─> refused
//! ```
//! Each start draws a new pairing and writes it to the database first, where the one before counts too until the store
//! has the new one: so a start may be broken off anywhere, and no older copy of the database knows the store again.

use std::{
    collections::HashMap,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::SystemTime,
};

use portpass_admin::blocking;
use portpass_config::Adoption;
use portpass_registry::upkeep::{StoreComparison, UpkeepError};
use portpass_state::{Db, StateError};
use portpass_storage::{
    BlobStore, CachingStore, FsStore, Keys, OpenFiles, StoreError,
    owner::{self, Claim, Found, Owner, OwnerError, Signed},
};

use super::StartError;

/// The stores that this process has claimed. A configuration that is read again finds its own here.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<HashMap<PathBuf, Weak<Claim>>>);

/// What opening a store needs.
pub(super) struct StoreOpener<'a> {
    pub(super) db: &'a Db,
    pub(super) keys: Keys,
    pub(super) open_files: OpenFiles,
    pub(super) installation: String,
    /// A fresh one.
    pub(super) pairing: String,
    pub(super) now: SystemTime,
    pub(super) adoption: Adoption,
}

impl StoreOpener<'_> {
    /// The blobs in `root`, which is made if it is not there.
    pub(super) async fn open(
        self,
        root: &Path,
        claims: &Claims,
    ) -> Result<Arc<dyn BlobStore>, StartError> {
        let claim = match claims.held(root) {
            Some(claim) => claim,
            None => self.claim(root, claims).await?,
        };
        let store = self.store(root).await?.claimed(claim).with_open_files(self.open_files.clone());
        Ok(Arc::new(CachingStore::new(Arc::new(store))))
    }

    async fn claim(&self, root: &Path, claims: &Claims) -> Result<Arc<Claim>, StartError> {
        let path = root.to_owned();
        let found = blocking(move || {
            owner::require_unused(&path)?;
            owner::inspect(&path)
        });
        let found = found.await.map_err(StorageError::from)?;
        let known = self.check_owner(root, &found).await?;
        let (path, seen) = (root.to_owned(), found.clone());
        let claim = blocking(move || owner::claim(&path, &seen)).await;
        let claim = Arc::new(claim.map_err(StorageError::from)?);
        if known == Recognition::New {
            // What lies there may be somebody else's after all: nothing is swept for a day. From the first word of the
            // pairing on, the next start knows the store, so this comes before it.
            self.db.serving_anew(self.now).await?;
        }
        self.pair(root, found, &claim, known).await?;
        Ok(claims.keep(root, claim))
    }

    /// Whether the store is that of the database; refuses one that is not.
    async fn check_owner(&self, root: &Path, found: &Found) -> Result<Recognition, StartError> {
        let owner = match found {
            Found::Of(owner) => owner,
            Found::Distribution => {
                return Err(StorageError::Distribution { root: root.to_owned() }.into());
            }
            Found::Nothing => return self.check_empty(root).await,
            Found::Objects => return self.check_contents(root).await,
        };
        let ours = owner.installation == self.installation;
        if ours && self.db.pairing().await?.is_of(&owner.pairing) {
            return Ok(Recognition::Known);
        }
        let root_of = || root.to_owned();
        match (self.adoption, ours) {
            (Adoption::IfItFits, _) => self.check_contents(root).await,
            (Adoption::Never, true) => Err(StorageError::OtherCopy { root: root_of() }.into()),
            (Adoption::Never, false) => Err(StorageError::Another { root: root_of() }.into()),
        }
    }

    /// Has database and store know each other by a new pairing. Where a disk is full they go on with the old one.
    async fn pair(
        &self,
        root: &Path,
        found: Found,
        claim: &Arc<Claim>,
        known: Recognition,
    ) -> Result<(), StartError> {
        let before = match found {
            Found::Of(owner) => Some(owner.pairing),
            Found::Nothing | Found::Objects | Found::Distribution => None,
        };
        let unwritten = match self.write_pairing(before.as_deref(), claim).await {
            Ok(Signed::Signed) => None,
            Ok(Signed::ReadOnly) => Some("it is read only".to_owned()),
            Err(error) if known == Recognition::Known && error.is_disk_full() => {
                Some(error.to_string())
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(why) = unwritten {
            let root = root.display();
            tracing::warn!("{root} is not writable ({why}): clients can pull, but not push");
        }
        Ok(())
    }

    async fn write_pairing(
        &self,
        before: Option<&str>,
        claim: &Arc<Claim>,
    ) -> Result<Signed, StorageError> {
        self.db.set_pairing(&self.pairing, before).await?;
        let owner =
            Owner { installation: self.installation.clone(), pairing: self.pairing.clone() };
        let claim = Arc::clone(claim);
        let signed = blocking(move || claim.sign(&owner)).await?;
        if signed == Signed::Signed {
            self.db.set_pairing(&self.pairing, None).await?;
        }
        Ok(signed)
    }

    /// An empty directory is a new store, or one whose volume is not mounted.
    async fn check_empty(&self, root: &Path) -> Result<Recognition, StartError> {
        let named = self.db.held_blobs(None, 1).await?;
        if named.is_empty() {
            return Ok(Recognition::New);
        }
        if self.adoption == Adoption::Never {
            return Err(StorageError::Gone { root: root.to_owned() }.into());
        }
        tracing::warn!(
            "{} is empty, and the server uses it anyway: push the images of the database again",
            root.display()
        );
        Ok(Recognition::New)
    }

    async fn check_contents(&self, root: &Path) -> Result<Recognition, StartError> {
        let (path, keys) = (root.to_owned(), self.keys.clone());
        // Nothing is tried out in what may be somebody else's.
        let store = blocking(move || FsStore::open_unprobed(path, keys)).await?;
        let fit = StoreComparison::of(self.db, &store).await.map_err(StorageError::from)?;
        if !fit.is_match() {
            if owner::is_distribution_store(root) {
                return Err(StorageError::Distribution { root: root.to_owned() }.into());
            }
            return Err(StorageError::Misfit { root: root.to_owned(), fit }.into());
        }
        tracing::info!(
            blobs = fit.blobs,
            missing = fit.missing,
            objects = fit.objects,
            unknown = fit.unknown,
            "the blobs in {} are those of this database: they belong to this installation from now on",
            root.display()
        );
        Ok(Recognition::New)
    }

    async fn store(&self, root: &Path) -> Result<FsStore, StoreError> {
        let (root, keys) = (root.to_owned(), self.keys.clone());
        blocking(move || FsStore::open(root, keys)).await
    }
}

/// Whether the store was known to be the database's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recognition {
    Known,
    /// It is new to it.
    New,
}

impl Claims {
    fn held(&self, root: &Path) -> Option<Arc<Claim>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(root)?.upgrade()
    }

    fn keep(&self, root: &Path, claim: Arc<Claim>) -> Arc<Claim> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, claim| claim.strong_count() > 0);
        held.insert(root.to_owned(), Arc::downgrade(&claim));
        claim
    }
}

/// Why a directory of blobs is not used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The name of another installation stands there.
    #[error(
        "the blobs in {} belong to another installation than the database in the data directory: the server would remove them",
        root.display()
    )]
    Another {
        /// The directory.
        root: PathBuf,
    },
    /// The name of this installation stands there, but of another copy of its database.
    #[error(
        "the blobs in {} were last used with another copy of the database in the data directory: this one is older, or was restored; the server would remove the blobs that were pushed since",
        root.display()
    )]
    OtherCopy {
        /// The directory.
        root: PathBuf,
    },
    /// Objects that the rows do not know.
    #[error("{}", misfit(root, fit))]
    Misfit {
        /// The directory.
        root: PathBuf,
        /// What was compared.
        fit: StoreComparison,
    },
    /// Nothing is there, and the database names blobs.
    #[error(
        "{} contains no blobs, but the database names some: is the volume mounted, and is this the right directory?",
        root.display()
    )]
    Gone {
        /// The directory.
        root: PathBuf,
    },
    /// Distribution's own tree.
    #[error(
        "{} is the directory of a distribution registry (`docker/registry/v2` lies in it): its files have another format",
        root.display()
    )]
    Distribution {
        /// The directory.
        root: PathBuf,
    },
    /// It cannot be looked at.
    #[error(transparent)]
    Owner(#[from] OwnerError),
    /// The rows cannot be compared with it.
    #[error("the blobs cannot be compared with the database: {0}")]
    Compare(#[from] UpkeepError),
    /// The database.
    #[error(transparent)]
    State(#[from] StateError),
}

impl StorageError {
    fn is_disk_full(&self) -> bool {
        match self {
            Self::Owner(OwnerError::File { source, .. }) => {
                matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
            }
            Self::State(error) => error.is_disk_full(),
            _ => false,
        }
    }

    /// What may help.
    pub(super) fn hints(&self) -> &'static [&'static str] {
        match self {
            Self::Another { .. } => &[
                "start with the data directory that these blobs belong to (`--data`), or name another `registry.storage.filesystem.rootdirectory`",
                "after a restore from a backup, `portpass serve --adopt-storage` takes them over, if the database names them",
            ],
            Self::OtherCopy { .. } => &[
                "start with the data directory that was used last (`--data`)",
                "if it is lost, `portpass serve --adopt-storage` continues with this one, if it names the blobs",
            ],
            Self::Gone { .. } => &[
                "mount it, or set `registry.storage.filesystem.rootdirectory`",
                "if the blobs are lost, `portpass serve --adopt-storage` begins with an empty store; then push the images again",
            ],
            Self::Misfit { .. } => &[
                "start with the data directory that these blobs belong to (`--data`), or name another `registry.storage.filesystem.rootdirectory`",
            ],
            Self::Distribution { .. } => &[
                "name another `registry.storage.filesystem.rootdirectory`, best on the same file system, and bring its images in: `portpass import storage DIRECTORY`",
            ],
            Self::Owner(_) | Self::Compare(_) | Self::State(_) => &[],
        }
    }
}

fn misfit(root: &Path, fit: &StoreComparison) -> String {
    let root = root.display();
    let StoreComparison { blobs, missing, objects, .. } = fit;
    if *blobs == 0 {
        return format!(
            "{root} holds {objects} blobs, and the database in the data directory names none of them: they belong to another installation, and the server would remove them"
        );
    }
    format!(
        "{root} lacks {missing} of the {blobs} blobs that the database names: these are not its blobs"
    )
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn opening(db: &Db, day: u32, adoption: Adoption) -> StoreOpener<'_> {
        StoreOpener {
            db,
            keys: Arc::new(|| 7),
            open_files: OpenFiles::new(16, 4),
            installation: "ours".to_owned(),
            pairing: format!("of-day-{day}"),
            now: SystemTime::UNIX_EPOCH + DAY * day,
            adoption,
        }
    }

    /// The disk fails where a kill would do the same: the database has the new pairing, the store has the old one.
    #[tokio::test]
    async fn a_store_that_was_taken_over_has_its_day_though_the_start_was_broken_off() {
        let outer = tempfile::tempdir().unwrap();
        let (root, claims) = (outer.path().join("blobs"), Claims::default());
        let db = Db::in_memory().await.unwrap();
        let at = |day: u32| SystemTime::UNIX_EPOCH + DAY * day;
        db.serving_since(at(1)).await.unwrap();
        let claim = owner::claim(&root, &Found::Nothing).unwrap();
        claim
            .sign(&Owner { installation: "ours".into(), pairing: "of-another-copy".into() })
            .unwrap();
        drop(claim);
        let error = opening(&db, 29, Adoption::Never).open(&root, &claims).await.unwrap_err();
        assert!(error.to_string().contains("another copy"), "{error}");
        assert_eq!(db.serving_since(at(29)).await.unwrap(), at(1));

        let in_the_way = root.join("portpass.store-new");
        std::fs::create_dir(&in_the_way).unwrap();
        let error = opening(&db, 30, Adoption::IfItFits).open(&root, &claims).await.unwrap_err();
        assert!(error.to_string().contains("portpass.store"), "{error}");
        std::fs::remove_dir(&in_the_way).unwrap();

        // The next start knows the store, and asks no more.
        opening(&db, 31, Adoption::Never).open(&root, &claims).await.unwrap();
        assert_eq!(db.serving_since(at(31)).await.unwrap(), at(30));
    }
}
