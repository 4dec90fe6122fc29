//! `token_service.signing`: what tokens are signed with.

use std::path::PathBuf;

use portpass_authority::keyring::KeyFiles;
use portpass_jose::{Algorithm, SigningKey};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{ConfigError, Files, Located};

/// An algorithm for generated keys, or the files of a key.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SigningSection {
    /// ES256 (default), ES384, ES512, EdDSA, or one of RS* and PS* for a key from a file.
    pub algorithm: Option<Located<String>>,
    /// The key's certificate and its intermediate certificates, in PEM form. With the key it is read again when it
    /// changes.
    pub certificate: Option<Located<PathBuf>>,
    /// The private key, in PEM form. Absent: portpass generates keys, keeps them in the database and renews them.
    pub key: Option<Located<PathBuf>>,
}

/// What `signing` means.
#[derive(Debug)]
pub enum Signing {
    /// Keys of our own making, in the database.
    Ring(Algorithm),
    /// A key from a file, with its certificates.
    Files(Box<SigningFiles>),
}

/// A key and its certificates as they were read, and where to read them again.
#[derive(Debug)]
pub struct SigningFiles {
    /// Where they are.
    pub files: KeyFiles,
    /// What was in them.
    pub signing: SigningKey,
}

impl SigningSection {
    /// Reads and parses the files; they must belong together.
    pub(crate) fn build(
        typed: Option<Located<Self>>,
        files: &Files,
    ) -> Result<Signing, ConfigError> {
        let key = "token_service.signing";
        let Some(Located { value: section, place }) = typed else {
            return Ok(Signing::Ring(Algorithm::Es256));
        };
        let algorithm = section.algorithm.map(|typed| algorithm(&typed, files)).transpose()?;
        let missing = |name: &str| files.error(&place, key, format!("the key `{name}` is missing"));
        let (certificate, private) = match (section.certificate, section.key) {
            (None, None) => {
                return ring(algorithm).map_err(|message| files.error(&place, key, message));
            }
            (Some(certificate), Some(private)) => (certificate, private),
            (Some(_), None) => return Err(missing("key")),
            (None, Some(_)) => {
                return Err(missing("certificate").hint("x5c needs the certificate of the key"));
            }
        };
        // Unreadable files get the error that names the line.
        let _ = zeroize::Zeroizing::new(files.read(&format!("{key}.key"), &private)?);
        files.read(&format!("{key}.certificate"), &certificate)?;
        let pair = KeyFiles {
            certificate: files.resolve(&certificate),
            key: files.resolve(&private),
            algorithm,
        };
        let signing = pair.read().map_err(|error| {
            let of_key = error.path() == pair.key;
            let (typed, name) =
                if of_key { (&private, "key") } else { (&certificate, "certificate") };
            files.error(&typed.place, &format!("{key}.{name}"), error.to_string())
        })?;
        Ok(Signing::Files(Box::new(SigningFiles { files: pair, signing })))
    }
}

fn algorithm(typed: &Located<String>, files: &Files) -> Result<Algorithm, ConfigError> {
    typed.value.parse().map_err(|_| {
        let message = format!("unknown algorithm {:?}", typed.value);
        files
            .error(&typed.place, "token_service.signing.algorithm", message)
            .hint(format!("expected one of {}", portpass_jose::Algorithms::PUBLIC_KEY))
    })
}

fn ring(algorithm: Option<Algorithm>) -> Result<Signing, String> {
    match algorithm.unwrap_or(Algorithm::Es256) {
        generated @ (Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 | Algorithm::EdDsa) => {
            Ok(Signing::Ring(generated))
        }
        other => {
            Err(format!("portpass does not generate {other} keys; set `key` and `certificate`"))
        }
    }
}
