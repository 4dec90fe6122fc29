//! Docker's and podman's files as one credential store.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use secrecy::ExposeSecret as _;

use super::{
    Credential, CredentialSource, CredentialStore, CredentialsError, FoundCredential,
    file::{AuthFile, Keys},
    helper::Helper,
    paths::CredentialPaths,
};
use crate::host::Host;

/// Reads docker's file, then podman's, with the helpers they name; writes docker's.
#[derive(Debug)]
pub struct CredentialFiles {
    paths: CredentialPaths,
}

impl CredentialFiles {
    /// A store with these files.
    pub fn new(paths: CredentialPaths) -> Self {
        Self { paths }
    }

    /// From a file, or from the helper that it names for this registry. As for docker, a helper that
    /// has nothing ends the search in that file.
    async fn find_in(
        &self,
        path: &Path,
        keys: Keys,
        host: &Host,
        repository: Option<&str>,
    ) -> Result<Option<FoundCredential>, CredentialsError> {
        let file = read(path, keys).await?;
        if let Some(name) = file.helper(host)? {
            let helper = Helper::find(&name, &self.paths.helpers, path)?;
            let kept = helper.get(host.credential_key()).await?;
            let place = CredentialSource::Helper(helper.name().to_owned());
            return Ok(kept.map(|credential| FoundCredential { credential, place }));
        }
        let kept = file.find(host, repository)?;
        Ok(kept.map(|credential| FoundCredential {
            credential,
            place: CredentialSource::File(path.to_owned()),
        }))
    }

    fn docker(&self) -> Result<&Path, CredentialsError> {
        self.paths.docker.as_deref().ok_or(CredentialsError::NoPlace)
    }
}

#[async_trait]
impl CredentialStore for CredentialFiles {
    async fn get(
        &self,
        host: &Host,
        repository: Option<&str>,
    ) -> Result<Option<FoundCredential>, CredentialsError> {
        if let Some(text) = &self.paths.docker_auth_config {
            let place = CredentialSource::Given("DOCKER_AUTH_CONFIG");
            let given = AuthFile::parse(place.clone(), Keys::Hosts, text.expose_secret())?;
            if let Some(credential) = given.find(host, None)? {
                return Ok(Some(FoundCredential { credential, place }));
            }
        }
        let docker = self.paths.docker.iter().map(|path| (path, Keys::Hosts));
        let podman = self.paths.podman.iter().map(|path| (path, Keys::Prefixes));
        for (path, keys) in docker.chain(podman) {
            if let Some(found) = self.find_in(path, keys, host, repository).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn store(
        &self,
        host: &Host,
        credential: &Credential,
    ) -> Result<CredentialSource, CredentialsError> {
        let path = self.docker()?;
        let mut file = read(path, Keys::Hosts).await?;
        let place = if let Some(name) = file.helper(host)? {
            let helper = Helper::find(&name, &self.paths.helpers, path)?;
            helper.store(host.credential_key(), credential).await?;
            file.put(host, None)?;
            CredentialSource::Helper(name)
        } else {
            file.put(host, Some(credential))?;
            CredentialSource::File(path.to_owned())
        };
        write(file, path).await?;
        Ok(place)
    }

    async fn erase(&self, host: &Host) -> Result<Vec<CredentialSource>, CredentialsError> {
        let Some(path) = self.paths.docker.as_deref() else { return Ok(Vec::new()) };
        let mut file = read(path, Keys::Hosts).await?;
        let mut erased = Vec::new();
        if let Some(name) = file.helper(host)? {
            let helper = Helper::find(&name, &self.paths.helpers, path)?;
            if helper.erase(host.credential_key()).await? {
                erased.push(CredentialSource::Helper(name));
            }
        }
        // Docker's empty mark is nothing that was kept.
        let kept = !matches!(file.find(host, None), Ok(None));
        if file.remove(host) {
            write(file, path).await?;
        }
        if kept {
            erased.push(CredentialSource::File(path.to_owned()));
        }
        Ok(erased)
    }
}

async fn read(path: &Path, keys: Keys) -> Result<AuthFile, CredentialsError> {
    let path = path.to_owned();
    blocking(path.clone(), "read", move || AuthFile::read(&path, keys)).await
}

async fn write(file: AuthFile, path: &Path) -> Result<(), CredentialsError> {
    let path = path.to_owned();
    blocking(path.clone(), "written", move || file.write(&path)).await
}

async fn blocking<T: Send + 'static>(
    path: PathBuf,
    action: &'static str,
    work: impl FnOnce() -> Result<T, CredentialsError> + Send + 'static,
) -> Result<T, CredentialsError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(CredentialsError::Io { path, action, error: error.into() }))
}
