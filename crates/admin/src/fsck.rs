//! Whether the registry's rows and objects are what they say, and what can be done where they are not.

use portpass_authority::policy::PathPattern;
use portpass_protocol::RepositoryName;
use portpass_registry::{
    fsck::{Fault, Finding, Fsck, Repair, Scope},
    gc::Speed,
};
use serde::Serialize;

use super::{AdminError, Installation};

/// What is to be looked at, and whether it is repaired.
#[derive(Debug, Clone)]
pub struct StorageCheck {
    /// Only repositories that this means.
    pub repository: Option<String>,
    /// Repair what can be.
    pub repair: bool,
    /// Read without a rest.
    pub fast: bool,
}

/// What was looked at, and what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StorageVerdict {
    /// Blobs that were read.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Manifests.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Objects in the store; none if only some repositories were looked at.
    pub objects: u64,
    /// What is wrong.
    pub problems: Vec<StorageFault>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StorageFault {
    /// A word for it.
    pub kind: &'static str,
    /// Of which blob or manifest.
    pub digest: Option<String>,
    /// Which tag.
    pub tag: Option<String>,
    /// Who has it.
    pub repositories: Vec<String>,
    /// The name of the object.
    pub object: Option<String>,
    /// What it is, in words.
    pub what: String,
    /// What was done: `replaced`, `set-aside` or `removed`.
    pub repaired: Option<&'static str>,
    /// What is to be done, in words.
    pub advice: &'static str,
}

impl StorageVerdict {
    /// How much is not as it should be, after what was repaired.
    pub fn broken(&self) -> usize {
        self.problems.iter().filter(|problem| problem.is_open()).count()
    }
}

impl StorageFault {
    /// Whether clients still miss something. An object that no row names is missed by nobody.
    fn is_open(&self) -> bool {
        match self.kind {
            OBJECT_UNNAMED => false,
            _ => !matches!(self.repaired, Some(REPLACED | REMOVED)),
        }
    }
}

impl Installation {
    /// Reads and hashes every blob, and looks at every row. Servers may run meanwhile.
    pub async fn check_storage(&self, check: StorageCheck) -> Result<StorageVerdict, AdminError> {
        let StorageCheck { repository, repair, fast } = check;
        let scope = match repository {
            None => Scope::All,
            Some(text) => Scope::Repositories(self.repositories_of(text).await?),
        };
        if repair {
            self.require_writable().await?;
        }
        let speed = if fast { Speed::Full } else { Speed::Paced };
        let fsck = Fsck::new(&self.db, self.blob_store().await?, speed);
        let mut checked = fsck.check(&scope, self.now()).await?;
        if repair {
            fsck.repair(&mut checked, self.now()).await?;
        }
        Ok(StorageVerdict {
            blobs: checked.blobs,
            bytes: checked.bytes,
            manifests: checked.manifests,
            tags: checked.tags,
            objects: checked.objects,
            problems: checked.findings.into_iter().map(StorageFault::from).collect(),
        })
    }

    /// The repositories that a pattern means.
    async fn repositories_of(&self, text: String) -> Result<Vec<RepositoryName>, AdminError> {
        let pattern = PathPattern::parse_fixed(&text)
            .map_err(|why| AdminError::InvalidPattern { text: text.clone(), why })?;
        let (mut names, mut last) = (Vec::new(), None::<RepositoryName>);
        loop {
            let page = self.db.catalog(last.as_ref().map(RepositoryName::as_str), PAGE).await?;
            last = page.items.last().cloned();
            names.extend(page.items.into_iter().filter(|name| pattern.means(name.as_str())));
            if !page.more {
                break;
            }
        }
        if names.is_empty() { Err(AdminError::UnknownRepository { name: text }) } else { Ok(names) }
    }
}

impl From<Finding> for StorageFault {
    fn from(finding: Finding) -> Self {
        let Finding { fault, digest, size, repositories, object, repair } = finding;
        let size = size.unwrap_or_default();
        let (kind, what, tag, advice) = match fault {
            Fault::BlobMissing => {
                ("blob-missing", "its object is not there".to_owned(), None, PUSH_AGAIN)
            }
            Fault::BlobLength { found } => (
                "blob-length",
                format!("its object has {found} bytes, not {size}"),
                None,
                PUSH_AGAIN,
            ),
            Fault::BlobDamaged => {
                ("blob-damaged", "its object has other bytes".to_owned(), None, REPAIR_AND_PUSH)
            }
            Fault::BlobUnreadable => (
                "blob-unreadable",
                "its object cannot be opened".to_owned(),
                None,
                LOOK_AT_THE_DISK,
            ),
            Fault::ManifestDamaged => {
                ("manifest-damaged", "its row has other bytes".to_owned(), None, DELETE_AND_PUSH)
            }
            Fault::TagToNothing(tag) => (
                "tag-to-nothing",
                "its manifest is not there".to_owned(),
                Some(tag.to_string()),
                "`--repair` removes it",
            ),
            Fault::ObjectUnnamed => (
                OBJECT_UNNAMED,
                format!("no row names these {size} bytes"),
                None,
                "`--repair` moves it to the trash, as the server does each day",
            ),
        };
        Self {
            kind,
            digest: digest.map(|digest| digest.to_string()),
            tag,
            repositories: repositories.iter().map(ToString::to_string).collect(),
            object: object.map(|object| object.to_string()),
            what,
            repaired: repair.map(|repair| match repair {
                Repair::Replaced => REPLACED,
                Repair::SetAside => "set-aside",
                Repair::Removed => REMOVED,
            }),
            advice: match repair {
                Some(Repair::Replaced) => "it is whole again",
                Some(Repair::Removed) => "it is gone",
                Some(Repair::SetAside) if kind == OBJECT_UNNAMED => "it is in the trash for a week",
                Some(Repair::SetAside) => {
                    "what was there is in the trash for a week; push the image again"
                }
                None => advice,
            },
        }
    }
}

const OBJECT_UNNAMED: &str = "object-unnamed";
const REPLACED: &str = "replaced";
const REMOVED: &str = "removed";
const PUSH_AGAIN: &str =
    "push the image again: the registry tells clients that this blob is unknown";
const REPAIR_AND_PUSH: &str =
    "`--repair` looks for its bytes elsewhere, or moves it to the trash; then push the image again";
const LOOK_AT_THE_DISK: &str = "look at the disk, and at who may read the object";
const DELETE_AND_PUSH: &str = "delete the manifest, and push it again";
const PAGE: usize = 1000;
