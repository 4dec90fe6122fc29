//! One file of credentials, docker's or podman's: they differ in what a key may be.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Credential, CredentialSource, CredentialsError,
    document::{Object, quoted},
};
use crate::host::Host;

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// A host; a scheme and a path around it count for nothing.
    Hosts,
    /// A host, or a host and the first words of a repository's name.
    Prefixes,
}

/// A file that was read.
#[derive(Debug)]
pub(super) struct AuthFile {
    place: CredentialSource,
    keys: Keys,
    document: Object,
    auths: Object,
}

impl AuthFile {
    /// Reads a file; one that is not there is empty.
    pub(super) fn read(path: &Path, keys: Keys) -> Result<Self, CredentialsError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            // Who has no home has `HOME=/dev/null`, and nothing is below that.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                String::new()
            }
            Err(error) => {
                return Err(CredentialsError::Io { path: path.to_owned(), action: "read", error });
            }
        };
        Self::parse(CredentialSource::File(path.to_owned()), keys, &text)
    }

    /// Reads the text of such a file.
    pub(super) fn parse(
        place: CredentialSource,
        keys: Keys,
        text: &str,
    ) -> Result<Self, CredentialsError> {
        let malformed = |error: serde_json::Error| {
            // The reader's own words may quote a value.
            let reason = match error.classify() {
                serde_json::error::Category::Data => {
                    "it must be an object, and so must \"auths\"".to_owned()
                }
                _ => format!("line {}, column {} is not JSON", error.line(), error.column()),
            };
            CredentialsError::Malformed { place: place.clone(), reason }
        };
        let document = Object::parse(text).map_err(malformed)?;
        let auths = document.get("auths").map_err(malformed)?.unwrap_or_default();
        Ok(Self { place, keys, document, auths })
    }

    /// The name of the helper that keeps this registry's credentials, if one does.
    pub(super) fn helper(&self, host: &Host) -> Result<Option<String>, CredentialsError> {
        let malformed = |_| self.malformed("\"credHelpers\" or \"credsStore\"");
        let helpers: Object =
            self.document.get("credHelpers").map_err(malformed)?.unwrap_or_default();
        let own = helpers.names().find(|name| *name == host.credential_key());
        let name = match own.or_else(|| helpers.names().find(|name| host.is_meant_by(name))) {
            Some(key) => helpers.get(key).map_err(malformed)?,
            None => self.document.get("credsStore").map_err(malformed)?,
        };
        // An empty name is how one host is kept out of a store.
        Ok(name.filter(|name: &String| !name.is_empty()))
    }

    /// The credential under the key that fits best.
    pub(super) fn find(
        &self,
        host: &Host,
        repository: Option<&str>,
    ) -> Result<Option<Credential>, CredentialsError> {
        let mut fitting: Vec<(usize, &str)> = self
            .auths
            .names()
            .filter_map(|key| Some((self.fit(key, host, repository)?, key)))
            .collect();
        fitting.sort_by_key(|(fit, _)| std::cmp::Reverse(*fit));
        for (_, key) in fitting {
            let wrong = |why| CredentialsError::Entry {
                key: key.to_owned(),
                place: self.place.clone(),
                why,
            };
            let entry: Option<Entry> =
                self.auths.get(key).map_err(|_| wrong("is not an object of strings"))?;
            if let Some(credential) = entry.unwrap_or_default().credential().map_err(wrong)? {
                return Ok(Some(credential));
            }
        }
        Ok(None)
    }

    /// The keys of its entries, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.auths.names()
    }

    /// What is wrong with an entry for Go's programs: they take `auth` only with its padding, and
    /// docker then takes nothing of the whole file.
    pub(super) fn fault(&self, key: &str) -> Option<&'static str> {
        let Ok(entry) = self.auths.get::<Entry>(key) else {
            return Some("is not an object of strings");
        };
        let entry = entry.unwrap_or_default();
        let auth = entry.auth.as_ref().map_or("", |auth| auth.expose_secret());
        if auth.is_empty() {
            return None;
        }
        match entry.auth.as_ref().map(decode) {
            Some(Err(why)) => Some(why),
            _ if STANDARD.decode(auth).is_err() => {
                Some("has an \"auth\" without its padding (`=`), which Go does not decode")
            }
            _ => None,
        }
    }

    /// Whether the password of an entry ends with a newline, as `echo` without `-n` makes it.
    pub(super) fn ends_with_newline(&self, key: &str) -> bool {
        let entry: Option<Entry> = self.auths.get(key).ok().flatten();
        let pair = entry.and_then(|entry| decode(&entry.auth?).ok());
        pair.is_some_and(|(_, password)| password.expose_secret().ends_with('\n'))
    }

    /// The name that an entry has beside its secret.
    pub(super) fn username(&self, key: &str) -> Option<String> {
        let entry: Entry = self.auths.get(key).ok().flatten()?;
        let pair = entry.auth.as_ref().and_then(|auth| decode(auth).ok());
        pair.map(|(name, _)| name).or(entry.username)
    }

    /// How well a key fits, if it does: the length of a repository's prefix, else the exact key
    /// before those that only mean the same.
    pub(super) fn fit(&self, key: &str, host: &Host, repository: Option<&str>) -> Option<usize> {
        if key == host.credential_key() {
            return Some(1);
        }
        if !host.is_meant_by(key) {
            return None;
        }
        match key.split_once('/') {
            Some((_, prefix)) if self.keys == Keys::Prefixes && !key.contains("://") => {
                let rest = repository?.strip_prefix(prefix)?;
                (rest.is_empty() || rest.starts_with('/')).then_some(1 + prefix.len())
            }
            _ => Some(0),
        }
    }

    /// Puts a credential under this registry's key, in place of whatever means the same.
    pub(super) fn put(
        &mut self,
        host: &Host,
        credential: Option<&Credential>,
    ) -> Result<(), CredentialsError> {
        let key = host.credential_key();
        self.auths.retain(|name| name == key || !host.is_meant_by(name));
        let entry = match credential {
            Some(credential) => written(credential)?,
            // A helper has it; docker leaves this mark.
            None => Object::default(),
        };
        let raw = entry.to_raw(2).map_err(|_| self.malformed("an entry"))?;
        self.auths.set(key, raw);
        Ok(())
    }

    /// Removes what means this registry; says whether there was any.
    pub(super) fn remove(&mut self, host: &Host) -> bool {
        !self.auths.retain(|name| !host.is_meant_by(name))
    }

    /// Writes the file anew, readable by its owner alone unless it was readable by more; a reader
    /// sees the old one or the new one, never a part.
    pub(super) fn write(&self, path: &Path) -> Result<(), CredentialsError> {
        let failed = |error: io::Error| CredentialsError::Io {
            path: path.to_owned(),
            action: "written",
            error,
        };
        let mut document = self.document.clone();
        document.set("auths", self.auths.to_raw(1).map_err(|_| self.malformed("\"auths\""))?);
        // Where the file is a link, what it points to is written.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let folder = target.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
        let mut file = tempfile::NamedTempFile::new_in(&folder).map_err(failed)?;
        io::Write::write_all(&mut file, format!("{}\n", document.to_text(0)).as_bytes())
            .map_err(failed)?;
        if let Ok(old) = fs::metadata(&target) {
            file.as_file().set_permissions(old.permissions()).map_err(failed)?;
        }
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&target).map_err(|error| failed(error.error))?;
        Ok(())
    }

    fn malformed(&self, what: &str) -> CredentialsError {
        CredentialsError::Malformed {
            place: self.place.clone(),
            reason: format!("{what} has the wrong form"),
        }
    }
}

/// An entry of `auths`, as docker and podman write it.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: Option<SecretString>,
    username: Option<String>,
    password: Option<SecretString>,
    identitytoken: Option<SecretString>,
    registrytoken: Option<SecretString>,
}

impl Entry {
    /// What it amounts to; `None` for docker's empty mark.
    fn credential(self) -> Result<Option<Credential>, &'static str> {
        let full = |secret: Option<SecretString>| {
            secret.filter(|secret| !secret.expose_secret().is_empty())
        };
        if let Some(token) = full(self.registrytoken) {
            return Ok(Some(Credential::RegistryToken(token)));
        }
        let pair = match full(self.auth) {
            Some(auth) => Some(decode(&auth)?),
            None => self.username.filter(|name| !name.is_empty()).zip(self.password),
        };
        if let Some(token) = full(self.identitytoken) {
            return Ok(Some(Credential::IdentityToken {
                username: pair.map(|(name, _)| name),
                token,
            }));
        }
        match pair {
            Some((_, password)) if password.expose_secret().is_empty() => {
                Err("has a name without a password")
            }
            Some((username, password)) => Ok(Some(Credential::Password { username, password })),
            None => Ok(None),
        }
    }
}

/// `auth` is `name:password` in base64, which some writers leave unpadded.
fn decode(auth: &SecretString) -> Result<(String, SecretString), &'static str> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&alphabet::STANDARD, config)
        .decode(auth.expose_secret().trim())
        .map_err(|_| "has an \"auth\" that is not base64")?;
    let pair = SecretString::from(
        String::from_utf8(bytes).map_err(|_| "has an \"auth\" that is not text")?,
    );
    match pair.expose_secret().split_once(':') {
        Some((name, password)) if !name.is_empty() => {
            Ok((name.to_owned(), password.trim_matches('\0').to_owned().into()))
        }
        _ => Err("has an \"auth\" without a name and a colon"),
    }
}

/// An entry as docker writes it: with an identity token, the password's place is empty.
fn written(credential: &Credential) -> Result<Object, CredentialsError> {
    let (name, password, token) = match credential {
        Credential::Password { username, password } => {
            (Some(username.as_str()), password.expose_secret(), None)
        }
        Credential::IdentityToken { username, token } => {
            (username.as_deref(), "", Some(("identitytoken", token)))
        }
        Credential::RegistryToken(token) => (None, "", Some(("registrytoken", token))),
    };
    let mut entry = Object::default();
    let mut add = |member: &str, value: &str| {
        RawValue::from_string(quoted(value))
            .map(|raw| entry.set(member, raw))
            .map_err(|_| CredentialsError::Username)
    };
    if let Some(name) = name {
        if name.is_empty() || name.contains(':') {
            return Err(CredentialsError::Username);
        }
        add("auth", &STANDARD.encode(format!("{name}:{password}")))?;
    }
    if let Some((member, token)) = token {
        add(member, token.expose_secret())?;
    }
    Ok(entry)
}
