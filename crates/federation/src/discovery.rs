//! From an issuer's URL to its keys (OpenID Connect Discovery, RFC 8414).
//!
//! Of the document two members are needed, `issuer` and `jwks_uri`: those of Kubernetes and GitHub Actions leave out
//! others that the specification demands.

use portpass_jose::{
    KeySet,
    json::{self, Value},
    set::JwksError,
};
use url::Url;

use crate::{
    issuer_url::{IssuerUrl, IssuerUrlError, secure_url},
    web::{Web, WebError},
};

/// Fetches the keys that an issuer signs with now.
pub(crate) async fn fetch(web: &Web, issuer: &IssuerUrl) -> Result<KeySet, DiscoveryError> {
    let document = web.get(&issuer.discovery(), MAX_DOCUMENT).await?;
    let keys = web.get(&jwks_uri(&document, issuer)?, MAX_KEY_SET).await?;
    key_set(&keys)
}

/// Reads a discovery document; `issuer` has to be the one that was asked for, byte for byte (§4.3).
pub fn jwks_uri(document: &[u8], issuer: &IssuerUrl) -> Result<Url, DiscoveryError> {
    let document = json::parse_object(document)
        .map_err(|why| DiscoveryError::Document { why: why.to_string() })?;
    let member = |name: &'static str| match document.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => {
            let why = format!("`{name}` is {}, expected a string", json::kind(other));
            Err(DiscoveryError::Document { why })
        }
        None => Err(DiscoveryError::Document { why: format!("`{name}` is missing") }),
    };
    let found = member("issuer")?;
    if found != issuer.as_str() {
        return Err(DiscoveryError::Issuer { found: found.chars().take(LONGEST_SHOWN).collect() });
    }
    Ok(secure_url(member("jwks_uri")?)?)
}

/// Reads a key set. Keys of unknown kinds are passed over (RFC 7517 §5): Kubernetes publishes `kty: AKP` beside RSA.
pub fn key_set(bytes: &[u8]) -> Result<KeySet, DiscoveryError> {
    let text = std::str::from_utf8(bytes).map_err(|_| DiscoveryError::NoKeys)?;
    let keys = KeySet::from_jwks(text)?;
    if keys.is_empty() { Err(DiscoveryError::NoKeys) } else { Ok(keys) }
}

/// Why an issuer's keys are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// The document is not one.
    #[error("the discovery document makes no sense: {why}")]
    Document {
        /// Why.
        why: String,
    },
    /// It is somebody else's.
    #[error(
        "the discovery document says that its issuer is {found:?}: configure `issuer` with exactly this text, a trailing `/` included, if it is meant"
    )]
    Issuer {
        /// What it says.
        found: String,
    },
    /// The key set is not one.
    #[error(transparent)]
    Keys(#[from] JwksError),
    /// Where the keys should lie is nowhere to go.
    #[error("the discovery document's `jwks_uri` cannot be used: {0}")]
    KeysElsewhere(#[from] IssuerUrlError),
    /// There is none that could be used.
    #[error("the key set has no key that portpass can use")]
    NoKeys,
    /// The server does not answer.
    #[error(transparent)]
    Web(#[from] WebError),
}

const MAX_DOCUMENT: usize = 64 * 1024;
const MAX_KEY_SET: usize = 512 * 1024;
const LONGEST_SHOWN: usize = 200;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(document: &str) -> Result<String, String> {
        let issuer: IssuerUrl = "https://a.example/x".parse().unwrap();
        jwks_uri(document.as_bytes(), &issuer)
            .map(|url| url.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_document_needs_its_issuer_and_where_the_keys_lie() {
        assert_eq!(
            read(r#"{"issuer":"https://a.example/x","jwks_uri":"https://keys.example/jwks"}"#),
            Ok("https://keys.example/jwks".to_owned())
        );
        for (document, said) in [
            (
                r#"{"issuer":"https://a.example/x/","jwks_uri":"https://a.example/k"}"#,
                "its issuer is \"https://a.example/x/\"",
            ),
            (r#"{"issuer":"https://a.example/x"}"#, "`jwks_uri` is missing"),
            (r#"{"issuer":["https://a.example/x"]}"#, "`issuer` is a list, expected a string"),
            (r#"{"issuer":"https://a.example/x","jwks_uri":"http://a.example/k"}"#, "plain HTTP"),
            (r#"{"issuer":"a","issuer":"https://a.example/x"}"#, "appears twice"),
            ("<html>", "makes no sense"),
        ] {
            let error = read(document).unwrap_err();
            assert!(error.contains(said), "{document}: {error}");
        }
    }

    #[test]
    fn keys_of_unknown_kinds_are_passed_over() {
        let ed25519 = r#"{"kty":"OKP","crv":"Ed25519","kid":"e","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let akp = r#"{"kty":"AKP","alg":"ML-DSA-44","kid":"m","pub":"AAAA"}"#;
        let keys = key_set(format!(r#"{{"keys":[{akp},{ed25519}],"more":1}}"#).as_bytes()).unwrap();
        assert_eq!((keys.len(), keys.skipped().len()), (1, 1));
        assert_eq!(
            key_set(format!(r#"{{"keys":[{akp}]}}"#).as_bytes()).unwrap_err(),
            DiscoveryError::NoKeys
        );
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
            let issuer: IssuerUrl = "https://a.example".parse().unwrap();
            let _ = jwks_uri(&bytes, &issuer);
            let _ = key_set(&bytes);
        }
    }
}
