//! `token_service.signing`, and what single services say of it: what tokens are signed with.

use std::{path::PathBuf, sync::Arc};

use portpass_authority::{
    keyring::{KeyFiles, KeyPair},
    signer::Signer,
};
use portpass_jose::{Algorithm, Algorithms};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{ConfigError, Files, Located, Location, Part};

/// An algorithm for generated keys, or the files of a key.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SigningSection {
    /// ES256 (default), ES384, ES512, EdDSA, or one of RS* and PS*.
    pub algorithm: Option<Located<String>>,
    /// The key's certificate and its intermediate certificates, in PEM form. With the key it is read again when it
    /// changes.
    pub certificate: Option<Located<PathBuf>>,
    /// The private key, in PEM form. Absent: portpass generates keys, keeps them in the database and renews them.
    pub key: Option<Located<PathBuf>>,
}

/// What tokens are signed with. All keys are of one kind; each has the number of its [`Signer`].
#[derive(Debug)]
pub enum Signing {
    /// Keys of our own making, in the database: one of each algorithm.
    Ring(Vec<Algorithm>),
    /// Keys from files, with their certificates.
    Files(Vec<KeyPair>),
}

/// A key that is named.
enum Named {
    /// Any, of this algorithm where that was said.
    Generated(Option<Located<Algorithm>>),
    /// That of a pair of files.
    Files(KeyPair),
    /// That of a pair of files that is broken.
    Broken,
}

impl Signing {
    /// What `token_service.signing` names: the default. Reads and parses the files; they must belong together.
    pub(crate) fn build(
        typed: Option<Located<SigningSection>>,
        files: &Files,
    ) -> Result<Self, ConfigError> {
        let Some(Located { value: section, place }) = typed else {
            return Ok(Self::Ring(vec![Algorithm::Es256]));
        };
        Ok(match section.build("token_service.signing", &place, files)? {
            Named::Generated(algorithm) => {
                let algorithm = algorithm.map_or(Algorithm::Es256, |typed| typed.value);
                Self::Ring(vec![algorithm])
            }
            Named::Files(pair) => Self::Files(vec![pair]),
            Named::Broken => Self::Files(Vec::new()),
        })
    }

    /// The signer of a service, which is a new one if no service before named that key.
    pub(crate) fn signer(
        &mut self,
        section: SigningSection,
        key: &str,
        place: &Location,
        files: &Files,
    ) -> Result<Signer, ConfigError> {
        let number = match (section.build(key, place, files)?, self) {
            (Named::Generated(None) | Named::Broken, _) => 0,
            (Named::Generated(Some(Located { value: algorithm, .. })), Self::Ring(known)) => {
                number_of(known, algorithm, PartialEq::eq)
            }
            (Named::Files(pair), Self::Files(known)) => {
                number_of(known, pair, |one, other| one.files == other.files)
            }
            (Named::Generated(Some(_)), Self::Files(_)) if files.is_broken(Part::SigningKeys) => 0,
            (Named::Generated(Some(algorithm)), Self::Files(known)) => {
                the_default(known, &algorithm, key, files)?
            }
            (Named::Files(_), Self::Ring(_)) => {
                let error = files.error(place, key, "the keys of the other services are generated");
                return Err(error.hint(
                    "give `token_service.signing` a `certificate` and a `key` too: either all keys come from files, or none",
                ));
            }
        };
        Ok(Signer::numbered(number))
    }
}

impl SigningSection {
    fn build(self, key: &str, place: &Location, files: &Files) -> Result<Named, ConfigError> {
        let algorithm = self.algorithm.map(|typed| algorithm(&typed, key, files)).transpose()?;
        let missing = |name: &str| files.error(place, key, format!("the key `{name}` is missing"));
        let (certificate, private) = match (self.certificate, self.key) {
            (None, None) => return Ok(Named::Generated(algorithm)),
            (Some(certificate), Some(private)) => (certificate, private),
            (Some(_), None) => return Err(missing("key")),
            (None, Some(_)) => {
                return Err(missing("certificate").hint("x5c needs the certificate of the key"));
            }
        };
        let pair = read(&certificate, &private, algorithm, key, files).map(Named::Files);
        files.usable(Part::SigningKeys, pair, || Named::Broken)
    }
}

/// Both files, which must belong together.
fn read(
    certificate: &Located<PathBuf>,
    private: &Located<PathBuf>,
    algorithm: Option<Located<Algorithm>>,
    key: &str,
    files: &Files,
) -> Result<KeyPair, ConfigError> {
    // Unreadable files get the error that names the line.
    let _ = zeroize::Zeroizing::new(files.read(&format!("{key}.key"), private)?);
    files.read(&format!("{key}.certificate"), certificate)?;
    let pair = KeyFiles {
        certificate: files.resolve(certificate),
        key: files.resolve(private),
        algorithm: algorithm.map(|typed| typed.value),
    };
    let signing = pair.read().map_err(|error| {
        let of_key = error.path() == pair.key;
        let (typed, name) = if of_key { (private, "key") } else { (certificate, "certificate") };
        files.error(&typed.place, &format!("{key}.{name}"), error.to_string())
    })?;
    Ok(KeyPair { files: pair, signing: Arc::new(signing) })
}

/// The number of what is known, which this is from now on.
fn number_of<T>(known: &mut Vec<T>, this: T, is_same: impl Fn(&T, &T) -> bool) -> usize {
    let number = known.iter().position(|known| is_same(known, &this)).unwrap_or(known.len());
    if number == known.len() {
        known.push(this);
    }
    number
}

/// A service may say what the default key signs by: then no key of another algorithm takes its place.
fn the_default(
    known: &mut [KeyPair],
    algorithm: &Located<Algorithm>,
    key: &str,
    files: &Files,
) -> Result<usize, ConfigError> {
    let wanted = algorithm.value;
    match known {
        [default, ..] if default.signing.algorithm() == wanted => {
            default.files.algorithm = Some(wanted);
            Ok(0)
        }
        _ => {
            let there = known.first().map(|default| default.signing.algorithm().to_string());
            let message = format!(
                "no key signs by {wanted}: that of `token_service.signing` signs by {}",
                there.unwrap_or_default()
            );
            let error = files.error(&algorithm.place, &format!("{key}.algorithm"), message);
            Err(error.hint(format!(
                "give the service the `certificate` and the `key` of an {wanted} key, or leave `algorithm` out"
            )))
        }
    }
}

fn algorithm(
    typed: &Located<String>,
    key: &str,
    files: &Files,
) -> Result<Located<Algorithm>, ConfigError> {
    let parsed = typed.value.parse().ok();
    let public = parsed.filter(|algorithm| Algorithms::PUBLIC_KEY.contains(*algorithm));
    let value = public.ok_or_else(|| {
        let message = format!("unknown algorithm {:?}", typed.value);
        files
            .error(&typed.place, &format!("{key}.algorithm"), message)
            .hint(format!("expected one of {}", Algorithms::PUBLIC_KEY))
    })?;
    Ok(Located { value, place: typed.place.clone() })
}
