//! Whether a registry's credentials may go where its challenge points.

use reqwest::Url;

use crate::transport::{NetworkZone, shown};

/// How a registry was reached. [`Realm::check`] compares realms with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryEndpoint {
    /// The origin that answered.
    pub origin: Url,
    /// The zone of the address that answered.
    pub zone: NetworkZone,
    /// Whether plain HTTP was asked for beyond loopback.
    pub plain_http: bool,
}

/// The URL of a token service that may get the registry's credentials. Only [`Realm::check`]
/// makes one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Realm {
    url: Url,
    zone: NetworkZone,
}

impl Realm {
    /// Checks the realm of a registry's challenge.
    ///
    /// Its host may be any: registry and token service are often on different ones. It has to be
    /// HTTPS if the registry is; plain HTTP is for loopback, for the registry's own host, and for
    /// those who asked for it. It must not be nearer to us than the registry itself, which for a
    /// name is decided when it is resolved.
    pub fn check(realm: &str, registry: &RegistryEndpoint) -> Result<Self, RealmError> {
        let shown_realm: String = realm.chars().take(128).collect();
        let mut url = match Url::parse(realm) {
            Ok(url) if url.has_host() => url,
            _ => return Err(RealmError::NotAbsolute { realm: shown_realm }),
        };
        url.set_fragment(None);
        if !matches!(url.scheme(), "http" | "https") {
            return Err(RealmError::Scheme { realm: shown_realm });
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RealmError::CredentialStore);
        }
        if url.origin() == registry.origin.origin() {
            return Ok(Self { url, zone: registry.zone });
        }
        if url.scheme() == "http" {
            let same_host = url.host() == registry.origin.host();
            let loopback = zone_of(&url) == NetworkZone::Loopback;
            if registry.origin.scheme() == "https" {
                return Err(RealmError::Downgrade { realm: shown(&url) });
            }
            if !(registry.plain_http || same_host || loopback) {
                return Err(RealmError::Plain { realm: shown(&url) });
            }
        }
        if !registry.zone.allows_host(&url) {
            return Err(RealmError::TooNear { realm: shown(&url), near: zone_of(&url).as_str() });
        }
        Ok(Self { url, zone: registry.zone })
    }

    /// The URL; its query, if it has one, is kept (TG1).
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The nearest zone that the token service may be in.
    pub(crate) fn zone(&self) -> NetworkZone {
        self.zone
    }

    /// For messages: the URL without its query.
    pub fn shown(&self) -> String {
        shown(&self.url)
    }
}

/// The zone of a URL's host, as far as its spelling says.
fn zone_of(url: &Url) -> NetworkZone {
    [NetworkZone::Public, NetworkZone::Private, NetworkZone::LinkLocal]
        .into_iter()
        .find(|zone| zone.allows_host(url))
        .unwrap_or(NetworkZone::Loopback)
}

/// Why a realm gets no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RealmError {
    /// `https://user:password@…`
    #[error("the registry's realm contains a user name or a password")]
    CredentialStore,
    /// From TLS to plain HTTP.
    #[error("the registry speaks HTTPS, but its realm {realm} is plain HTTP")]
    Downgrade {
        /// Without its query.
        realm: String,
    },
    /// Relative, empty, or the remains of a template.
    #[error("the registry's realm {realm:?} is not an absolute URL")]
    NotAbsolute {
        /// As written, shortened.
        realm: String,
    },
    /// Plain HTTP to another machine.
    #[error("the registry's realm {realm} is plain HTTP on another machine")]
    Plain {
        /// Without its query.
        realm: String,
    },
    /// Neither `http` nor `https`.
    #[error("the registry's realm {realm:?} is neither http nor https")]
    Scheme {
        /// As written, shortened.
        realm: String,
    },
    /// An address of a network that the registry is not in.
    #[error("the registry's realm {realm} is a {near} address, but the registry is not")]
    TooNear {
        /// Without its query.
        realm: String,
        /// `private`, `link-local`, `loopback`.
        near: &'static str,
    },
}

impl RealmError {
    /// What may help.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::CredentialStore | Self::NotAbsolute { .. } | Self::Scheme { .. } => {
                "`realm` in the registry's `auth: token:` must be the token service's URL, as in https://auth.example.com/token"
            }
            Self::Downgrade { .. } => {
                "make `realm` https; behind a proxy that speaks TLS, X-Forwarded-Proto must reach the server that builds the realm"
            }
            Self::Plain { .. } => "use --plain-http to send credentials there",
            Self::TooNear { .. } => {
                "`realm` must be an address that clients can reach; a copied `localhost` or a container's own address is not"
            }
        };
        vec![hint.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn endpoint(origin: &str, zone: NetworkZone, plain_http: bool) -> RegistryEndpoint {
        RegistryEndpoint { origin: Url::parse(origin).unwrap(), zone, plain_http }
    }

    /// CL10
    #[test]
    fn credentials_go_where_the_registry_points_if_that_is_as_safe() {
        let public = endpoint("https://registry.example.com/", NetworkZone::Public, false);
        let private = endpoint("https://10.0.0.5:5000/", NetworkZone::Private, false);
        let local = endpoint("http://127.0.0.1:5000/", NetworkZone::Loopback, false);
        let asked = endpoint("http://192.0.2.7:5000/", NetworkZone::Public, true);
        let table = [
            (&public, "https://auth.example.com/token?x=y"),
            (&public, "https://elsewhere.example.org:8443/token"),
            (&public, "https://registry.example.com/token"),
            (&private, "https://10.0.0.6:5013/token"),
            (&private, "https://10.0.0.5:5000/token"),
            (&private, "https://auth.example.com/token"),
            (&local, "http://127.0.0.1:5013/registry/v1/token"),
            (&local, "http://localhost:5013/token"),
            (&local, "https://auth.example.com/token"),
            (&asked, "http://192.0.2.7:5013/registry/v1/token"),
            (&asked, "http://auth.example.com/token"),
        ];
        for (registry, realm) in table {
            let checked = Realm::check(realm, registry);
            assert_eq!(
                checked.as_ref().map(|realm| realm.url().as_str()),
                Ok(realm),
                "{registry:?}"
            );
        }
    }

    /// CL7, CL10
    #[test]
    fn realms_that_credentials_must_not_go_to_are_named() {
        let public = endpoint("https://registry.example.com/", NetworkZone::Public, false);
        let private = endpoint("https://10.0.0.5:5000/", NetworkZone::Private, false);
        let local = endpoint("http://127.0.0.1:5000/", NetworkZone::Loopback, false);
        let refused = |realm: &str, registry| {
            let error = Realm::check(realm, registry).unwrap_err();
            assert_eq!(error.hints().len(), 1);
            error.to_string()
        };
        assert_snapshot!(refused("http://auth.example.com/token", &public), @"the registry speaks HTTPS, but its realm http://auth.example.com/token is plain HTTP");
        assert_snapshot!(refused("http://registry.example.com/token", &public), @"the registry speaks HTTPS, but its realm http://registry.example.com/token is plain HTTP");
        assert_snapshot!(refused("https://192.168.1.1/token", &public), @"the registry's realm https://192.168.1.1/token is a private address, but the registry is not");
        assert_snapshot!(refused("https://localhost:5001/auth", &public), @"the registry's realm https://localhost:5001/auth is a loopback address, but the registry is not");
        assert_snapshot!(refused("https://169.254.169.254/latest", &private), @"the registry's realm https://169.254.169.254/latest is a link-local address, but the registry is not");
        assert_snapshot!(refused("https://127.0.0.1/token", &private), @"the registry's realm https://127.0.0.1/token is a loopback address, but the registry is not");
        assert_snapshot!(refused("http://auth.example.com/token", &local), @"the registry's realm http://auth.example.com/token is plain HTTP on another machine");
        assert_snapshot!(refused("/token", &public), @r#"the registry's realm "/token" is not an absolute URL"#);
        assert_snapshot!(refused("", &public), @r#"the registry's realm "" is not an absolute URL"#);
        assert_snapshot!(refused("%!s(<nil>)", &public), @r#"the registry's realm "%!s(<nil>)" is not an absolute URL"#);
        assert_snapshot!(refused("null://token", &public), @r#"the registry's realm "null://token" is neither http nor https"#);
        assert_snapshot!(refused("file:///etc/passwd", &public), @r#"the registry's realm "file:///etc/passwd" is not an absolute URL"#);
        assert_snapshot!(refused("https://user:secret@auth.example.com/token", &public), @"the registry's realm contains a user name or a password");
    }
}
