//! `registry`: the registry that this process is.

mod gc;
mod maintenance;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

pub(crate) use self::gc::UntaggedSection;
pub use self::gc::{Gc, GcSchedule};
use super::{
    ConfigError, Files, Located, Location,
    auth::{Auth, AuthSection},
};
use gc::GcSection;
use maintenance::MaintenanceSection;

/// The section `registry`. Absent: this process is no registry.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistrySection {
    /// Who has access: exactly one access controller. Absent: the registry trusts the token service in this process.
    pub auth: Option<Located<AuthSection>>,
    /// Where the blobs are, and whether clients may delete.
    pub storage: Option<StorageSection>,
}

/// The section `registry.storage`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StorageSection {
    /// Blobs in a directory.
    pub filesystem: Option<FilesystemSection>,
    /// Deletes of tags, manifests and blobs.
    pub delete: Option<DeleteSection>,
    /// What an operator does to the storage.
    pub maintenance: Option<MaintenanceSection>,
    /// What nothing needs any more.
    pub gc: Option<GcSection>,
}

/// The section `registry.storage.filesystem`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesystemSection {
    /// The directory. Default: `blobs` in the data directory.
    pub rootdirectory: Option<Located<PathBuf>>,
}

/// The section `registry.storage.delete`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteSection {
    /// Whether clients may delete. Default: yes if tokens say who may, otherwise no.
    pub enabled: Option<bool>,
}

/// What `registry` means.
#[derive(Debug)]
pub struct Registry {
    /// Who may come in.
    pub auth: RegistryAuth,
    /// The directory of the blobs.
    pub blobs: PathBuf,
    /// Whether deletes are served.
    pub deletes: bool,
    /// Whether nothing may change, whatever the switch in the database says.
    pub read_only: bool,
    /// What nothing needs any more.
    pub gc: Gc,
}

/// Who may come in.
#[derive(Debug)]
pub enum RegistryAuth {
    /// Whoever holds a token of the token service in this process.
    InProcess,
    /// What `registry.auth` names.
    Configured(Auth),
}

impl RegistrySection {
    /// Reads keys and password files. `data` is where blobs lie by default; `beside` says whether a token
    /// service runs in this process.
    pub(crate) fn build(
        self,
        place: &Location,
        data: &std::path::Path,
        beside: bool,
        files: &Files,
    ) -> Result<Registry, ConfigError> {
        let auth = match self.auth {
            Some(auth) => RegistryAuth::Configured(auth.value.build(&auth.place, files)?),
            None if beside => RegistryAuth::InProcess,
            None => {
                return Err(files
                    .error(place, "registry", "there is neither an `auth` nor a `token_service` to trust")
                    .hint("for a registry that is open to everybody, write `auth: { none: {} }`")
                    .hint("to trust a token service elsewhere: `auth: { token: { realm, service, issuer, rootcertbundle } }`")
                    .hint("to run one in this process, add a section `token_service`"));
            }
        };
        let storage = self.storage.unwrap_or_default();
        let read_only = storage.maintenance.is_some_and(|section| section.is_read_only());
        let blobs = storage.filesystem.and_then(|filesystem| filesystem.rootdirectory);
        let deletes =
            storage.delete.and_then(|delete| delete.enabled).unwrap_or(auth.knows_rights());
        Ok(Registry {
            auth,
            blobs: blobs.map_or_else(|| data.join("blobs"), |path| files.resolve(&path)),
            deletes,
            read_only,
            gc: storage.gc.unwrap_or_default().build(files)?,
        })
    }
}

impl RegistryAuth {
    /// Tokens say who may do what; the other controllers let everybody do everything.
    fn knows_rights(&self) -> bool {
        match self {
            Self::InProcess | Self::Configured(Auth::Token(_)) => true,
            Self::Configured(Auth::Htpasswd(_) | Auth::Silly(_) | Auth::None) => false,
        }
    }
}
