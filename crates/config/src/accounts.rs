//! `token_service.accounts`: where accounts come from.

mod http;
mod ldap;
pub(crate) mod section;
mod workload;

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use portpass_authority::subject::{Group, SourceName};
use portpass_federation::ldap::settings::GroupLookup;
use portpass_password::Formats;
use schemars::JsonSchema;
use serde::Deserialize;

use self::{http::HttpSection, ldap::LdapSection, workload::WorkloadSection};
pub use self::{
    http::HttpSource,
    ldap::LdapSource,
    workload::{WorkloadKeys, WorkloadSource},
};
use super::{ConfigError, Files, Located, Location, Part};

/// One source of accounts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Users, robots and API keys in portpass's database.
    Local(LocalSection),
    /// The users of an htpasswd file.
    Htpasswd(HtpasswdSource),
    /// The accounts that a service of yours knows, asked over HTTP.
    Http(Box<HttpSection>),
    /// The accounts of an LDAP directory, as Active Directory is one.
    Ldap(Box<LdapSection>),
    /// Jobs and pods that prove themselves by a token of their issuer.
    Workload(Box<WorkloadSection>),
}

/// `local: {}`
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalSection {}

/// The section `htpasswd`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HtpasswdSource {
    /// The file, as `htpasswd -B` writes it. A change takes effect within two seconds.
    #[schemars(required)]
    pub path: Option<Located<PathBuf>>,
    /// Also accept the hashes of older `htpasswd`: apr1, SHA-1 and sha-crypt. Default: no
    pub legacy_hashes: Option<bool>,
}

/// What one source means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountSource {
    /// Our database.
    Local,
    /// This file; it is there and can be read.
    Htpasswd {
        /// Which.
        path: PathBuf,
        /// Which hashes count.
        formats: Formats,
    },
    /// This service; nobody knows yet whether it answers.
    Http(Arc<HttpSource>),
    /// This directory; nobody knows yet whether it answers.
    Ldap(Arc<LdapSource>),
    /// Those for whom an issuer vouches.
    Workload(Box<WorkloadSource>),
}

impl AccountSource {
    /// Whether it decides about tokens of an issuer.
    pub fn is_workload(&self) -> bool {
        matches!(self, Self::Workload(_))
    }

    /// What rules call it.
    pub fn name(&self) -> SourceName {
        match self {
            Self::Local => SourceName::local(),
            Self::Htpasswd { .. } => SourceName::htpasswd(),
            Self::Http(source) => source.name.clone(),
            Self::Ldap(source) => source.name.clone(),
            Self::Workload(source) => source.name.clone(),
        }
    }

    /// The groups that it can say an account is in; `None` where only the source knows.
    pub(crate) fn groups(&self) -> Option<BTreeSet<Group>> {
        match self {
            Self::Local | Self::Http(_) => None,
            Self::Htpasswd { .. } => Some(BTreeSet::new()),
            Self::Ldap(source) => {
                matches!(source.settings.groups, GroupLookup::None).then(BTreeSet::new)
            }
            Self::Workload(source) => source.groups(),
        }
    }
}

/// Reads the files; each name of a source can be there once, since rules and refresh tokens have nothing else.
pub(crate) fn build(
    typed: Option<Located<Vec<Located<Source>>>>,
    files: &Files,
) -> Result<Vec<AccountSource>, ConfigError> {
    let key = "token_service.accounts";
    let Some(typed) = typed else { return Ok(vec![AccountSource::Local]) };
    if typed.value.is_empty() {
        let error = files.error(&typed.place, key, "the list is empty: nobody could log in");
        return Err(error.hint("expected `- local: {}` or `- htpasswd: { path: FILE }`"));
    }
    let mut sources: Vec<AccountSource> = Vec::new();
    for Located { value, place } in typed.value {
        let source = match value {
            Source::Local(LocalSection {}) => AccountSource::Local,
            Source::Htpasswd(section) => {
                let key = format!("{key}.htpasswd");
                let path = section
                    .path
                    .ok_or_else(|| files.error(&place, &key, "the key `path` is missing"))?;
                let formats = match section.legacy_hashes {
                    Some(true) => Formats::Legacy,
                    Some(false) | None => Formats::Current,
                };
                let path =
                    files.htpasswd(&format!("{key}.path"), &path, formats, Part::Accounts)?;
                AccountSource::Htpasswd { path, formats }
            }
            Source::Http(section) => {
                let built = section.build(&place, files).map(Some);
                match files.usable(Part::Accounts, built, || None)? {
                    Some(source) => AccountSource::Http(Arc::new(source)),
                    None => continue,
                }
            }
            Source::Ldap(section) => {
                let built = section.build(&place, files).map(Some);
                match files.usable(Part::Accounts, built, || None)? {
                    Some(source) => AccountSource::Ldap(Arc::new(source)),
                    None => continue,
                }
            }
            Source::Workload(section) => {
                let built = section.build(&format!("{key}.workload"), &place, files).map(Some);
                let Some(source) = files.usable(Part::Accounts, built, || None)? else { continue };
                check_issuer(&source, &sources, &place, files)?;
                AccountSource::Workload(Box::new(source))
            }
        };
        if sources.iter().any(|known| known.name() == source.name()) {
            let message = format!("`{}` is there twice", source.name().as_str());
            let error = files.error(&place, key, message);
            return Err(error.hint(match source {
                AccountSource::Http(_) => {
                    "rules and refresh tokens name a source by this word: give a service another `name`"
                }
                AccountSource::Ldap(_) => {
                    "rules and refresh tokens name a source by this word: give a directory another `name`"
                }
                AccountSource::Workload(_) => {
                    "rules name a source by this word: give an issuer another `name`"
                }
                AccountSource::Local | AccountSource::Htpasswd { .. } => {
                    "rules and refresh tokens name a source by this word"
                }
            }));
        }
        sources.push(source);
    }
    Ok(sources)
}

/// A token is decided about by the source of its issuer: there can be one.
fn check_issuer(
    source: &WorkloadSource,
    others: &[AccountSource],
    place: &Location,
    files: &Files,
) -> Result<(), ConfigError> {
    let same = |other: &AccountSource| matches!(other, AccountSource::Workload(other) if other.rules.issuer == source.rules.issuer);
    if !others.iter().any(same) {
        return Ok(());
    }
    let message = format!("the issuer {} is there twice", source.rules.issuer);
    let error = files.error(place, "token_service.accounts.workload", message);
    Err(error.hint("put its accounts into one section: `audience` takes a list"))
}
