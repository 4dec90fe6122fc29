//! What lies in every place for credentials, used or not: for telling why one is not found.

use std::{
    fs,
    path::{Path, PathBuf},
};

use secrecy::ExposeSecret as _;

use super::{
    CredentialsError, Place,
    file::{AuthFile, Keys},
    helper::Helper,
    places::Places,
};
use crate::host::Host;

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Docker, and who reads its file: containerd's tools, crane, oras, helm, regclient.
    Docker,
    /// Podman, skopeo, buildah.
    Podman,
}

/// One place.
#[derive(Debug)]
pub struct Surveyed {
    /// Which clients read it.
    pub owner: Owner,
    /// Where it is.
    pub place: Place,
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
    /// Whose it is.
    pub username: Option<String>,
}

/// Reads every place, in the order in which they count. Blocks.
pub fn survey(places: &Places, host: &Host, repository: Option<&str>) -> Vec<Surveyed> {
    let mut surveyed = Vec::new();
    if let Some(text) = &places.docker_auth_config {
        let place = Place::Given("DOCKER_AUTH_CONFIG");
        let read = AuthFile::parse(place.clone(), Keys::Hosts, text.expose_secret());
        surveyed.push(look(Owner::Docker, place, true, read, host, None, &[]));
    }
    let docker = places.docker.iter().map(|path| (Owner::Docker, path, Keys::Hosts));
    let podman = places.podman.iter().map(|path| (Owner::Podman, path, Keys::Prefixes));
    for (owner, path, keys) in docker.chain(podman) {
        let exists = fs::symlink_metadata(path).is_ok();
        let read = AuthFile::read(path, keys);
        let place = Place::File(path.clone());
        surveyed.push(look(owner, place, exists, read, host, repository, &places.helpers));
    }
    surveyed
}

fn look(
    owner: Owner,
    place: Place,
    exists: bool,
    read: Result<AuthFile, CredentialsError>,
    host: &Host,
    repository: Option<&str>,
    folders: &[PathBuf],
) -> Surveyed {
    let file = match read {
        Ok(file) => file,
        Err(error) => return Surveyed { owner, place, exists, entries: Err(error), helper: None },
    };
    let named = match file.helper(host) {
        Ok(named) => named,
        Err(error) => return Surveyed { owner, place, exists, entries: Err(error), helper: None },
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
    Surveyed { owner, place, exists, entries, helper }
}
