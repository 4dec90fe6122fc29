//! All sources of credentials with their entries, used or not. They explain why a credential is not
//! found.

use std::{
    fs,
    path::{Path, PathBuf},
};

use secrecy::ExposeSecret as _;

use super::{
    CredentialSource, CredentialsError,
    file::{AuthFile, Keys},
    helper::Helper,
    paths::CredentialPaths,
};
use crate::host::Host;

/// Which clients use a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Docker, and the tools that read its file: containerd's tools, crane, oras, helm, regclient.
    Docker,
    /// Podman, skopeo, buildah.
    Podman,
}

/// One source of credentials.
#[derive(Debug)]
pub struct SourceReport {
    /// Which clients read it.
    pub owner: Owner,
    /// Where it is.
    pub place: CredentialSource,
    /// Whether there is anything.
    pub exists: bool,
    /// Its entries, or why it cannot be read.
    pub entries: Result<Vec<Entry>, CredentialsError>,
    /// The helper that it names for this registry: its program, or nothing if there is none.
    pub helper: Option<(String, Option<PathBuf>)>,
}

/// One entry of a file.
#[derive(Debug)]
pub struct Entry {
    /// The registry, or its prefix of a repository, as it is written there.
    pub key: String,
    /// How well it fits this registry and repository, if it is looked up for them.
    pub fit: Option<usize>,
    /// What is wrong with it for Go's programs.
    pub fault: Option<&'static str>,
    /// Whether its password ends with a newline.
    pub newline: bool,
    /// The user name.
    pub username: Option<String>,
}

/// Reads every place, in the order in which they count. Blocks.
pub fn list_sources(
    paths: &CredentialPaths,
    host: &Host,
    repository: Option<&str>,
) -> Vec<SourceReport> {
    let mut reports = Vec::new();
    if let Some(text) = &paths.docker_auth_config {
        let place = CredentialSource::Given("DOCKER_AUTH_CONFIG");
        let read = AuthFile::parse(place.clone(), Keys::Hosts, text.expose_secret());
        reports.push(report(Owner::Docker, place, true, read, host, None, &[]));
    }
    let docker = paths.docker.iter().map(|path| (Owner::Docker, path, Keys::Hosts));
    let podman = paths.podman.iter().map(|path| (Owner::Podman, path, Keys::Prefixes));
    for (owner, path, keys) in docker.chain(podman) {
        let exists = fs::symlink_metadata(path).is_ok();
        let read = AuthFile::read(path, keys);
        let place = CredentialSource::File(path.clone());
        reports.push(report(owner, place, exists, read, host, repository, &paths.helpers));
    }
    reports
}

fn report(
    owner: Owner,
    place: CredentialSource,
    exists: bool,
    read: Result<AuthFile, CredentialsError>,
    host: &Host,
    repository: Option<&str>,
    folders: &[PathBuf],
) -> SourceReport {
    let file = match read {
        Ok(file) => file,
        Err(error) => {
            return SourceReport { owner, place, exists, entries: Err(error), helper: None };
        }
    };
    let named = match file.helper(host) {
        Ok(named) => named,
        Err(error) => {
            return SourceReport { owner, place, exists, entries: Err(error), helper: None };
        }
    };
    let helper = named.map(|name| {
        let found = Helper::find(&name, folders, Path::new("")).ok();
        (name, found.map(|helper| helper.program().to_owned()))
    });
    let entry = |key: &str| Entry {
        key: key.to_owned(),
        fit: file.fit(key, host, repository),
        fault: file.fault(key),
        newline: file.ends_with_newline(key),
        username: file.username(key),
    };
    let entries = Ok(file.names().map(entry).collect());
    SourceReport { owner, place, exists, entries, helper }
}
