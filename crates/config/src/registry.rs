//! `registry`: the registry that this process is.

mod catalog;
mod gc;
mod immutable;
mod maintenance;
mod notifications;
mod retention;
mod rules;
mod span;
mod validation;

use std::path::PathBuf;

use portpass_registry::Rules;
use schemars::JsonSchema;
use serde::Deserialize;

pub use self::{
    catalog::Catalog,
    gc::{Gc, GcSchedule},
    notifications::{NotificationEndpoint, NotificationsConfig},
    validation::Children,
};
use self::{
    catalog::CatalogSection, gc::GcSection, maintenance::MaintenanceSection,
    notifications::NotificationsSection, retention::RetentionSection,
    validation::ValidationSection,
};
pub(crate) use self::{
    gc::UntaggedSection, immutable::ImmutableSection, notifications::EndpointSection,
    retention::RetentionRuleSection,
};
use super::{
    ConfigError, Files, Located, Location, Part,
    auth::{Auth, AuthSection},
};

/// The section `registry`. Absent: this process is no registry.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistrySection {
    /// Who has access: exactly one access controller. Absent: the registry trusts the token service in this process.
    pub auth: Option<Located<AuthSection>>,
    /// Where the blobs are, and whether clients may delete.
    pub storage: Option<StorageSection>,
    /// Who is told of pushes, pulls and deletes.
    pub notifications: Option<NotificationsSection>,
    /// What a manifest needs to be accepted.
    pub validation: Option<ValidationSection>,
    /// How repositories are listed.
    pub catalog: Option<CatalogSection>,
    /// What answers say.
    pub http: Option<AnswersSection>,
    /// Tags that must not move: a push of another manifest under such a tag is refused, and so is deleting it.
    pub immutable: Option<Vec<Located<ImmutableSection>>>,
    /// Which tags stay, and which go.
    pub retention: Option<RetentionSection>,
}

/// The section `registry.http`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswersSection {
    /// Whether the `Location` of an upload has a query, as distribution's has: some scripts put `&digest=` behind it.
    /// Default: no
    pub upload_query: Option<bool>,
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
    /// Who is told of what happens.
    pub notifications: NotificationsConfig,
    /// Whether the manifests that an index names have to be there.
    pub children: Children,
    /// How repositories are listed.
    pub catalog: Catalog,
    /// Whether the URLs of uploads have a query.
    pub upload_query: bool,
    /// What repositories may hold, and for how long.
    pub rules: Rules,
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
        let notifications = self.notifications.unwrap_or_default().build(files);
        let groups = auth.group_knowledge();
        let rules = Rules {
            immutable: immutable::build(self.immutable, groups, files)?,
            retention: self.retention.unwrap_or_default().build(files)?,
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
            notifications: files.usable(
                Part::Serving,
                notifications,
                NotificationsConfig::default,
            )?,
            children: self.validation.unwrap_or_default().build(files)?,
            catalog: self.catalog.unwrap_or_default().build(files)?,
            upload_query: self.http.and_then(|http| http.upload_query).unwrap_or(false),
            rules,
        })
    }
}

/// Whether the registry can learn who is in which group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GroupKnowledge {
    /// From the token service in this process.
    InProcess,
    /// It cannot.
    None,
}

impl RegistryAuth {
    fn group_knowledge(&self) -> GroupKnowledge {
        match self {
            Self::InProcess => GroupKnowledge::InProcess,
            Self::Configured(_) => GroupKnowledge::None,
        }
    }

    /// Tokens say who may do what; the other controllers let everybody do everything.
    fn knows_rights(&self) -> bool {
        match self {
            Self::InProcess | Self::Configured(Auth::Token(_)) => true,
            Self::Configured(Auth::Htpasswd(_) | Auth::Silly(_) | Auth::None) => false,
        }
    }
}
