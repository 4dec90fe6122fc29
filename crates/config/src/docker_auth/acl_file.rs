//! `token_service.policy: { docker-auth: FILE }`: docker_auth's own ACL, in its own file.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use portpass_authority::{
    docker_auth::{Acl, EntryText},
    subject::{AccountName, Labels},
};

use super::{
    doubts::is_unconditional,
    file::{DockerAuthFile, LdapLabelSection, Read, read},
};
use crate::{ConfigError, Files, files::read_limited};

/// A file with the list that stands below `acl:` in docker_auth's configuration, or the whole configuration.
#[derive(Clone, Debug)]
pub struct AclFile {
    path: PathBuf,
    first: Arc<[u8]>,
}

/// What such a file says.
#[derive(Debug)]
pub struct AclFileContent {
    /// The entries, and the labels of the people in `users`.
    pub acl: Acl,
    /// What does not keep it from being used but should be seen.
    pub warnings: Vec<String>,
}

impl AclFile {
    pub(crate) fn new(path: PathBuf, first: Vec<u8>) -> Self {
        Self { path, first: first.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it held when the configuration was read.
    pub fn first(&self) -> &[u8] {
        &self.first
    }

    /// What it holds now. Blocks.
    pub fn read(&self) -> Result<Vec<u8>, ConfigError> {
        read_limited(&self.path).map_err(|error| {
            let name = self.path.display().to_string();
            ConfigError::at(name, format!("cannot read the ACL: {error}"))
        })
    }

    /// Understands what was read from it.
    pub fn understand(&self, bytes: &[u8]) -> Result<AclFileContent, ConfigError> {
        let name = self.path.display().to_string();
        let text = std::str::from_utf8(bytes)
            .map_err(|_| ConfigError::at(&name, "the file is not UTF-8 text"))?;
        let Read { file, unknown, .. } = read(&name, text)?;
        if let Some(unknown) = unknown.iter().find(|unknown| unknown.path.starts_with("acl[")) {
            let message = format!("unknown key `{}`", unknown.path);
            return Err(ConfigError::at(format!("{name}:{}", unknown.line), message).hint(
                "docker_auth ignores it, so that the entry matches more than it says; remove the key, or the entry",
            ));
        }
        let files = Files::relative_to(&self.path);
        for unknown in unknown {
            let message = "docker_auth does not know this key and ignores it; so does this policy";
            files.warn(&crate::Location::Line(unknown.line), &unknown.path, message);
        }
        let acl = entries(&file, &files)?;
        let people = people(&file, &files);
        let acl = Acl::parse(acl).map_err(|error| {
            let at = usize::try_from(error.entry.number()).unwrap_or_default().saturating_sub(1);
            let place = file.acl.as_ref().and_then(|acl| acl.value.get(at)).map(|e| &e.place);
            match place {
                Some(place) => {
                    files.error(place, &format!("acl[{}]", at + 1), error.problem.to_string())
                }
                None => ConfigError::at(&name, error.to_string()),
            }
        })?;
        let acl = acl.with_labels(people).with_group_labels(group_labels(&file));
        Ok(AclFileContent { acl, warnings: files.into_warnings() })
    }
}

fn entries(file: &DockerAuthFile, files: &Files) -> Result<Vec<EntryText>, ConfigError> {
    let Some(acl) = &file.acl else {
        let error = ConfigError::at(files.name(), "there is no `acl`");
        return Err(error.hint("write `acl: []` if nobody may do anything"));
    };
    if acl.value.is_empty() {
        files.warn(&acl.place, "acl", "the list is empty: nobody may do anything");
    }
    let mut entries = Vec::new();
    for (at, entry) in acl.value.iter().enumerate() {
        let key = format!("acl[{}]", at + 1);
        let text = entry.value.clone().text().map_err(|missing| {
            files.error(&entry.place, &key, format!("the key `{missing}` is missing"))
        })?;
        if is_unconditional(&text) {
            let message = "`match` has no conditions: the entry is about everybody and everything, and no entry behind it is read";
            files.warn(&entry.place, &key, message);
        }
        entries.push(text);
    }
    Ok(entries)
}

/// The labels that have the groups of the directory's accounts.
fn group_labels(file: &DockerAuthFile) -> impl Iterator<Item = String> {
    let labels = file.ldap_auth.iter().flat_map(|ldap| ldap.value.labels.iter().flatten());
    labels
        .filter(|(_, label)| label.as_ref().is_some_and(LdapLabelSection::has_groups))
        .map(|(name, _)| name.clone())
}

/// The labels of `users`. Those that cannot be ours belong to nobody here.
fn people(file: &DockerAuthFile, files: &Files) -> BTreeMap<AccountName, Labels> {
    let mut people = BTreeMap::new();
    for (name, user) in file.users.iter().flatten() {
        let Some(user) = user else { continue };
        let mut labels = Labels::default();
        for (label, value) in user.labels() {
            if let Err(error) = labels.insert(label, value) {
                let message = format!("{label:?}: {error}; it labels nobody here");
                files.warn(&crate::Location::Default, &format!("users.{name}.labels"), message);
            }
        }
        if let (Ok(name), false) = (name.parse::<AccountName>(), labels.is_empty()) {
            people.insert(name, labels);
        }
    }
    people
}
