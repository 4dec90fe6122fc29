//! `registry`: the registry that this process is.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    ConfigError, Files, Located, Location,
    auth::{Auth, AuthSection},
};

/// What was typed under `registry`. Absent: this process is no registry.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistrySection {
    /// Who may come in; exactly one controller. Absent: the token service in this process is trusted directly.
    pub auth: Option<Located<AuthSection>>,
    /// Where blobs lie, and whether anything may be deleted.
    pub storage: Option<StorageSection>,
}

/// What was typed under `registry.storage`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StorageSection {
    /// Blobs in a directory.
    pub filesystem: Option<FilesystemSection>,
    /// Deleting tags, manifests and blobs.
    pub delete: Option<DeleteSection>,
}

/// What was typed under `registry.storage.filesystem`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesystemSection {
    /// The directory. Default: `blobs` in the data directory.
    pub rootdirectory: Option<Located<PathBuf>>,
}

/// What was typed under `registry.storage.delete`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteSection {
    /// Whether anything may be deleted at all. Default: yes where tokens say who may, else no.
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
                    .hint("a registry that is open to everybody says so: `auth: { none: {} }`")
                    .hint("to trust a token service elsewhere: `auth: { token: { realm, service, issuer, rootcertbundle } }`")
                    .hint("to run one in this process, add a section `token_service`"));
            }
        };
        let storage = self.storage.unwrap_or_default();
        let blobs = storage.filesystem.and_then(|filesystem| filesystem.rootdirectory);
        let deletes =
            storage.delete.and_then(|delete| delete.enabled).unwrap_or(auth.knows_rights());
        Ok(Registry {
            auth,
            blobs: blobs.map_or_else(|| data.join("blobs"), |path| files.resolve(&path)),
            deletes,
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
