//! The directory of the blobs: whose it is, before anything in it is touched.
//!
//! ```text
//! our name in it                       ─> opened
//! another's name                       ─> refused, or taken over where its objects are those of our rows
//! objects and no name (older versions) ─> the same, but without being asked
//! nothing                              ─> a new store, unless our rows name blobs: then it is not mounted
//! distribution's tree                  ─> refused
//! ```

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use portpass_registry::upkeep::{Fit, UpkeepError};
use portpass_state::{Db, StateError};
use portpass_storage::{
    BlobStore, FsStore, Keys, OpenFiles, Remembering, StoreError,
    owner::{self, Claim, Found, OwnerError},
};

use super::{StartError, blocking};
use crate::config::Adoption;

/// The stores that this process has claimed. A configuration that is read again finds its own here.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<HashMap<PathBuf, Weak<Claim>>>);

/// What opening a store needs.
pub(super) struct Opening<'a> {
    pub(super) db: &'a Db,
    pub(super) keys: Keys,
    pub(super) open_files: OpenFiles,
    pub(super) installation: String,
    pub(super) adoption: Adoption,
}

impl Opening<'_> {
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
        Ok(Arc::new(Remembering::new(Arc::new(store))))
    }

    async fn claim(&self, root: &Path, claims: &Claims) -> Result<Arc<Claim>, StartError> {
        let path = root.to_owned();
        let found = blocking(move || owner::look(&path)).await.map_err(StorageRefused::from)?;
        match found {
            Found::Of(id) if id == self.installation => {}
            Found::Distribution => {
                return Err(StorageRefused::Distribution { root: root.to_owned() }.into());
            }
            Found::Nothing => self.may_be_new(root).await?,
            Found::Of(_) if self.adoption == Adoption::Never => {
                return Err(StorageRefused::Another { root: root.to_owned() }.into());
            }
            Found::Of(_) | Found::Objects => self.must_fit(root).await?,
        }
        let (path, id) = (root.to_owned(), self.installation.clone());
        let claim = blocking(move || owner::claim(&path, &id)).await;
        Ok(claims.keep(root, claim.map_err(StorageRefused::from)?))
    }

    /// An empty directory is a new store, or one whose volume is not mounted.
    async fn may_be_new(&self, root: &Path) -> Result<(), StartError> {
        let named = self.db.held_blobs(None, 1).await?;
        if named.is_empty() {
            return Ok(());
        }
        if self.adoption == Adoption::Never {
            return Err(StorageRefused::Gone { root: root.to_owned() }.into());
        }
        tracing::warn!(
            "{} is empty, and is taken for the store all the same: what the database names has to be pushed again",
            root.display()
        );
        Ok(())
    }

    async fn must_fit(&self, root: &Path) -> Result<(), StartError> {
        let store = self.store(root).await?;
        let fit = Fit::of(self.db, &store).await.map_err(StorageRefused::from)?;
        if !fit.belongs() {
            return Err(StorageRefused::Misfit { root: root.to_owned(), fit }.into());
        }
        tracing::info!(
            blobs = fit.blobs,
            missing = fit.missing,
            objects = fit.objects,
            unknown = fit.unknown,
            "the blobs in {} are those of this database: the store is its own from now on",
            root.display()
        );
        Ok(())
    }

    async fn store(&self, root: &Path) -> Result<FsStore, StoreError> {
        let (root, keys) = (root.to_owned(), self.keys.clone());
        blocking(move || FsStore::open(root, keys)).await
    }
}

impl Claims {
    fn held(&self, root: &Path) -> Option<Arc<Claim>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(root)?.upgrade()
    }

    fn keep(&self, root: &Path, claim: Claim) -> Arc<Claim> {
        let claim = Arc::new(claim);
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, claim| claim.strong_count() > 0);
        held.insert(root.to_owned(), Arc::downgrade(&claim));
        claim
    }
}

/// Why a directory of blobs is not used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageRefused {
    /// The name of another installation stands there.
    #[error(
        "the blobs in {} belong to another installation than the database in the data directory; one that does not \
         know them would clear them away",
        root.display()
    )]
    Another {
        /// The directory.
        root: PathBuf,
    },
    /// Objects that the rows do not know.
    #[error("{}", misfit(root, fit))]
    Misfit {
        /// The directory.
        root: PathBuf,
        /// What was compared.
        fit: Fit,
    },
    /// Nothing is there, and the database names blobs.
    #[error(
        "{} holds no blobs, but the database names some: is the volume mounted, and is this the right directory?",
        root.display()
    )]
    Gone {
        /// The directory.
        root: PathBuf,
    },
    /// Distribution's own tree.
    #[error(
        "{} is the directory of a distribution registry (`docker/registry/v2` lies in it): its files have another form",
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

impl StorageRefused {
    /// What may help.
    pub(super) fn hints(&self) -> &'static [&'static str] {
        match self {
            Self::Another { .. } => &[
                "start with the data directory that these blobs belong to (`--data`), or name another `registry.storage.filesystem.rootdirectory`",
                "after a restore from a backup, `portpass serve --adopt-storage` takes them over, once they are found to be those that the database names",
            ],
            Self::Gone { .. } => &[
                "mount it, or set `registry.storage.filesystem.rootdirectory`",
                "if the blobs are lost, `portpass serve --adopt-storage` begins with an empty store; what is pushed again is there again",
            ],
            Self::Misfit { .. } => &[
                "start with the data directory that these blobs belong to (`--data`), or name another `registry.storage.filesystem.rootdirectory`",
            ],
            Self::Distribution { .. } => &[
                "name another `registry.storage.filesystem.rootdirectory`, and copy the images over while the old registry runs: `portpass copy OLD/NAME:TAG NEW/NAME:TAG`",
            ],
            Self::Owner(_) | Self::Compare(_) | Self::State(_) => &[],
        }
    }
}

fn misfit(root: &Path, fit: &Fit) -> String {
    let root = root.display();
    let Fit { blobs, missing, objects, .. } = fit;
    if *blobs == 0 {
        return format!(
            "{root} holds {objects} blobs, and the database in the data directory names none of them: they are another \
             installation's, and it would clear them away"
        );
    }
    format!(
        "{root} lacks {missing} of the {blobs} blobs that the database names: these are not its blobs"
    )
}
