//! A registry as docker and podman on this machine reach it.

use std::sync::Arc;

use portpass_token::SystemClock;

use super::{Error, Registry};
use crate::{
    credentials::{CredentialFiles, CredentialPaths},
    host::Host,
    transport::{CertificatePaths, Settings, Transport},
};

impl Registry {
    /// Opens a registry with the configuration of docker and podman on this machine.
    ///
    /// `host` is `HOST` or `HOST:PORT`. [`Registry::from_environment`] says what is used. No
    /// request is sent yet.
    ///
    /// # Errors
    /// [`Error::Name`] if `host` names no registry, [`Error::Transport`] if a file of certificates
    /// cannot be used.
    pub fn open(host: &str) -> Result<Self, Error> {
        Self::from_environment(host.parse()?)
    }

    /// A registry with the configuration of docker and podman on this machine.
    ///
    /// | Part | Source |
    /// | --- | --- |
    /// | credentials | `DOCKER_AUTH_CONFIG`, docker's `config.json` with its helpers, podman's `auth.json` |
    /// | trusted certificates | the system's, and the `certs.d` folders of docker, podman and containerd |
    /// | plain HTTP | on loopback only |
    /// | clock | the system's |
    ///
    /// The files of certificates are read now, those of credentials when a request needs them.
    /// [`Registry::new`] takes the parts.
    ///
    /// # Errors
    /// [`Error::Transport`] if a file of certificates cannot be used.
    pub fn from_environment(host: Host) -> Result<Self, Error> {
        let get = |name: &str| std::env::var_os(name)?.into_string().ok();
        let mut settings = Settings::default();
        settings.trust_certs_d(&host, &CertificatePaths::from_environment(get))?;
        let credentials = CredentialFiles::new(CredentialPaths::from_environment(get));
        let transport = Arc::new(Transport::new(settings));
        Ok(Self::new(host, transport, Arc::new(credentials), Arc::new(SystemClock)))
    }
}

#[cfg(test)]
mod tests {
    use portpass_testkit::http::{Served, reply};

    use super::*;

    #[tokio::test]
    async fn one_line_opens_a_registry_and_loopback_may_be_plain() {
        let served =
            Served::always(reply(200, r#"{"repositories":["team/app"],"tags":["v1"]}"#)).await;
        let registry = Registry::open(&served.address.to_string()).unwrap().into_session();
        assert_eq!(registry.catalog().await.unwrap().len(), 1);
        let tags = registry.repository("team/app").unwrap().tags().await.unwrap();
        assert_eq!(tags.len(), 1);
        assert!(registry.repository("Team").is_err());
    }

    #[test]
    fn a_text_that_names_no_registry_opens_none() {
        assert!(matches!(Registry::open("a b"), Err(Error::Name(_))));
    }
}
