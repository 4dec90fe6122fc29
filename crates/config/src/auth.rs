//! `registry.auth`: distribution's own block, word for word, and `limits` for htpasswd.

use std::{fmt, path::PathBuf};

use portpass_jose::{Algorithm, Algorithms, KeySet, TrustRoots};
use portpass_password::Formats;
use portpass_protocol::challenge::Quotable;
use portpass_registry::controller::Realm;
use portpass_token::{Issuer, ServiceName, Trust, VerifierSettings};
use schemars::{JsonSchema, Schema};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

use serde_json::Value;

use super::{
    ConfigError, Files, Located, Location, Part,
    limits::{Attempts, LimitsSection},
};

/// Exactly one access controller.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(rename_all = "lowercase", transform = allow_the_word_none)]
pub enum AuthSection {
    /// Tokens of a token service. The registry needs only its public keys.
    Token(Box<TokenSection>),
    /// The users of an htpasswd file. They may do everything.
    Htpasswd(HtpasswdSection),
    /// Everyone who sends any `Authorization` header. For tests.
    Silly(SillySection),
    /// Everybody has access, without authentication.
    None(NoneSection),
}

/// The section `registry.auth.token`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenSection {
    /// URL of the token service, as clients reach it.
    #[schemars(required)]
    pub realm: Option<Located<String>>,
    /// The token service's name for this registry: `aud` in its tokens.
    #[schemars(required)]
    pub service: Option<Located<String>>,
    /// The name of the token service: `iss` in its tokens.
    #[schemars(required)]
    pub issuer: Option<Located<String>>,
    /// Certificates of the token service's keys, or of their root, in PEM form. This or `jwks`, or both.
    pub rootcertbundle: Option<Located<PathBuf>>,
    /// Public keys of the token service as a JSON Web Key Set.
    pub jwks: Option<Located<PathBuf>>,
    /// Algorithms that tokens may be signed with. Default: `EdDSA`, ES*, PS* and RS*. HMAC (HS*) is refused.
    #[schemars(with = "Option<Vec<String>>")]
    pub signingalgorithms: Option<Vec<Located<String>>>,
    /// Build the realm from the address that the client used.
    pub autoredirect: Option<bool>,
    /// The path of such a realm. Default: /auth/token
    pub autoredirectpath: Option<Located<String>>,
}

/// The section `registry.auth.htpasswd`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HtpasswdSection {
    /// What clients show when they ask for a password.
    #[schemars(required)]
    pub realm: Option<Located<String>>,
    /// The file, as `htpasswd -B` writes it. A change takes effect within two seconds.
    #[schemars(required)]
    pub path: Option<Located<PathBuf>>,
    /// Limits on failed logins, by address and by account.
    pub limits: Option<LimitsSection>,
}

/// The section `registry.auth.silly`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SillySection {
    /// The realm of the challenge.
    #[schemars(required)]
    pub realm: Option<Located<String>>,
    /// The service of the challenge.
    #[schemars(required)]
    pub service: Option<Located<String>>,
}

/// `none: {}`.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoneSection {}

/// What `registry.auth` means.
#[derive(Debug)]
pub enum Auth {
    /// Tokens, with keys that were read and parsed.
    Token(Box<Token>),
    /// The users of a file.
    Htpasswd(Htpasswd),
    /// Whoever presents anything.
    Silly(Silly),
    /// Everybody.
    None,
}

/// What `registry.auth.token` means.
#[derive(Debug)]
pub struct Token {
    /// Where clients get tokens.
    pub realm: Realm,
    /// What the challenge calls this registry; also the audience.
    pub service: Quotable,
    /// Issuer, audience and algorithms.
    pub settings: VerifierSettings,
    /// Keys and roots.
    pub trust: Trust,
}

/// What `registry.auth.htpasswd` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Htpasswd {
    /// What clients show.
    pub realm: Quotable,
    /// The file; it is there and can be read.
    pub path: PathBuf,
    /// Whether attempts are limited.
    pub attempts: Attempts,
}

/// What `registry.auth.silly` means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silly {
    /// The realm of the challenge.
    pub realm: Quotable,
    /// The service of the challenge.
    pub service: Quotable,
}

impl Auth {
    /// Who may come in, for people.
    pub fn description(&self) -> &'static str {
        match self {
            Self::Token(_) => "tokens of a token service elsewhere",
            Self::Htpasswd(_) => "the users of an htpasswd file",
            Self::Silly(_) => "everyone who sends any `Authorization`",
            Self::None => "everybody",
        }
    }
}

impl AuthSection {
    /// The word that chooses this controller.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Htpasswd(_) => "htpasswd",
            Self::Silly(_) => "silly",
            Self::None(_) => "none",
        }
    }

    /// The controller of that word with nothing said about it yet.
    pub(crate) fn empty(word: &str) -> Option<Self> {
        match word {
            "token" => Some(Self::Token(Box::default())),
            "htpasswd" => Some(Self::Htpasswd(HtpasswdSection::default())),
            "silly" => Some(Self::Silly(SillySection::default())),
            // CF6: only this word is compared without case.
            _ if word.eq_ignore_ascii_case("none") => Some(Self::None(NoneSection {})),
            _ => None,
        }
    }

    /// Reads files, parses keys.
    pub(crate) fn build(self, place: &Location, files: &Files) -> Result<Auth, ConfigError> {
        let section = Section { key: format!("registry.auth.{}", self.word()), place, files };
        Ok(match self {
            Self::Token(token) => Auth::Token(Box::new(token.build(&section)?)),
            Self::Htpasswd(htpasswd) => Auth::Htpasswd(htpasswd.build(&section)?),
            Self::Silly(silly) => Auth::Silly(Silly {
                realm: section.quotable("realm", silly.realm)?,
                service: section.quotable("service", silly.service)?,
            }),
            Self::None(_) => Auth::None,
        })
    }
}

impl TokenSection {
    fn build(self, section: &Section<'_>) -> Result<Token, ConfigError> {
        // CF1: all three are needed, also the realm that `autoredirect` does not use.
        let fixed = Realm::Fixed(section.realm(self.realm)?);
        let realm = if self.autoredirect.unwrap_or(false) {
            Realm::SameOrigin {
                path: section.path_of_url("autoredirectpath", self.autoredirectpath)?,
            }
        } else {
            fixed
        };
        let service = section.quotable("service", self.service)?;
        let issuer = section.text("issuer", self.issuer)?;
        let mut settings =
            VerifierSettings::new(Issuer::new(issuer.value), ServiceName::new(service.as_str()));
        if let Some(allowed) = section.algorithms(&self.signingalgorithms.unwrap_or_default())? {
            settings.allowed = allowed;
        }
        let trust = section.trust(self.rootcertbundle.as_ref(), self.jwks.as_ref());
        let nothing = || Trust::new(TrustRoots::none(), KeySet::new());
        let trust = section.files.usable(Part::Serving, trust, nothing)?;
        Ok(Token { realm, service, settings, trust })
    }
}

impl HtpasswdSection {
    fn build(self, section: &Section<'_>) -> Result<Htpasswd, ConfigError> {
        let realm = section.quotable("realm", self.realm)?;
        let path = self.path.ok_or_else(|| section.missing("path"))?;
        // HT3: distribution makes a file that is not there, and with it an account for everything.
        let path = section.files.htpasswd(
            &section.key_of("path"),
            &path,
            Formats::Current,
            Part::Serving,
        )?;
        let attempts = LimitsSection::build(self.limits.as_ref());
        if attempts == Attempts::Unlimited {
            let key = section.key_of("limits");
            section.files.warn(section.place, &key, "the number of failed logins is not limited");
        }
        Ok(Htpasswd { realm, path, attempts })
    }
}

/// The section that is being built, for errors that name it.
struct Section<'a> {
    key: String,
    place: &'a Location,
    files: &'a Files,
}

impl Section<'_> {
    fn key_of(&self, name: &str) -> String {
        format!("{}.{name}", self.key)
    }

    fn missing(&self, name: &str) -> ConfigError {
        self.files.error(self.place, &self.key, format!("the key `{name}` is missing"))
    }

    fn error(&self, name: &str, typed: &Located<String>, message: &str) -> ConfigError {
        self.files.error(&typed.place, &self.key_of(name), message)
    }

    fn text(
        &self,
        name: &str,
        typed: Option<Located<String>>,
    ) -> Result<Located<String>, ConfigError> {
        let typed = typed.ok_or_else(|| self.missing(name))?;
        if typed.value.is_empty() {
            return Err(self.error(name, &typed, "the value is empty"));
        }
        Ok(typed)
    }

    /// A text that a challenge can carry as it is (CH11).
    fn quotable(
        &self,
        name: &'static str,
        typed: Option<Located<String>>,
    ) -> Result<Quotable, ConfigError> {
        let typed = self.text(name, typed)?;
        Quotable::new(name, &typed.value)
            .map_err(|error| self.error(name, &typed, &error.to_string()))
    }

    /// Clients take the realm as it stands: absolute, and nothing that they would stumble over (R4).
    fn realm(&self, typed: Option<Located<String>>) -> Result<Quotable, ConfigError> {
        let typed = self.text("realm", typed)?;
        let refuse = |message: &str| {
            self.error("realm", &typed, message)
                .hint("write a URL that clients can reach, as in https://auth.example.com/token")
        };
        let url = url::Url::parse(&typed.value)
            .map_err(|error| refuse(&format!("not an absolute URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse("a realm is an http or https URL"));
        }
        if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("a realm has neither user nor fragment"));
        }
        self.quotable("realm", Some(typed))
    }

    /// CF5: an empty path is the default one.
    fn path_of_url(
        &self,
        name: &'static str,
        typed: Option<Located<String>>,
    ) -> Result<Quotable, ConfigError> {
        let path = typed
            .filter(|typed| !typed.value.is_empty())
            .unwrap_or_else(|| Located::default_value("/auth/token".to_owned()));
        if !path.value.starts_with('/') {
            return Err(self.error(name, &path, "a path begins with `/`"));
        }
        self.quotable(name, Some(path))
    }

    /// CF4: an empty list means the default. JW12: no algorithm with a shared secret.
    fn algorithms(&self, typed: &[Located<String>]) -> Result<Option<Algorithms>, ConfigError> {
        let parse = |name: &Located<String>| {
            let expected = format!("expected some of {}", Algorithms::PUBLIC_KEY);
            let refuse = |message: String| self.error("signingalgorithms", name, &message);
            let algorithm = name.value.parse::<Algorithm>().map_err(|_| {
                refuse(format!("unknown algorithm {:?}", name.value)).hint(expected.as_str())
            })?;
            if Algorithms::PUBLIC_KEY.contains(algorithm) {
                return Ok(algorithm);
            }
            Err(refuse(format!(
                "{algorithm} is an HMAC: it needs a shared secret, and the keys here are public"
            ))
            .hint(expected))
        };
        let allowed = typed.iter().map(parse).collect::<Result<Algorithms, _>>()?;
        Ok(Some(allowed).filter(|allowed| !allowed.is_empty()))
    }

    /// CF2, CF3.
    fn trust(
        &self,
        bundle: Option<&Located<PathBuf>>,
        jwks: Option<&Located<PathBuf>>,
    ) -> Result<Trust, ConfigError> {
        let mut roots = TrustRoots::none();
        if let Some(path) = bundle {
            let key = self.key_of("rootcertbundle");
            let pem = self.files.read(&key, path)?;
            roots = TrustRoots::from_pem(&pem).map_err(|error| {
                let file = self.files.resolve(path);
                self.files
                    .error(&path.place, &key, format!("{}: {error}", file.display()))
                    .hint("expected certificates in PEM form, as `portpass signing-key export --format bundle` writes them")
            })?;
        }
        let mut keys = KeySet::new();
        if let Some(path) = jwks {
            let key = self.key_of("jwks");
            keys = KeySet::from_jwks(&self.files.read_text(&key, path)?).map_err(|error| {
                let file = self.files.resolve(path);
                self.files.error(&path.place, &key, format!("{}: {error}", file.display()))
            })?;
            for skipped in keys.skipped() {
                let message =
                    format!("key {} of the set is not used: {}", skipped.index + 1, skipped.why);
                self.files.warn(&path.place, &key, message);
            }
        }
        let trust = Trust::new(roots, keys);
        if trust.is_empty() {
            return Err(self
                .files
                .error(self.place, &self.key, "there is no key to check tokens with")
                .hint("name the token service's certificates as `rootcertbundle` or its keys as `jwks`"));
        }
        Ok(trust)
    }
}

/// By hand, because `auth: none` is a word where the others are maps, and because two controllers
/// deserve a sentence of their own.
impl<'de> Deserialize<'de> for AuthSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AuthVisitor)
    }
}

/// `auth: none`, beside the maps.
fn allow_the_word_none(schema: &mut Schema) {
    if let Some(alternatives) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        alternatives.push(serde_json::json!({ "const": "none" }));
    }
}

struct AuthVisitor;

impl<'de> Visitor<'de> for AuthVisitor {
    type Value = AuthSection;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one of `token`, `htpasswd`, `silly` and `none`, with its settings")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<AuthSection, E> {
        match AuthSection::empty(word) {
            Some(none @ AuthSection::None(_)) => Ok(none),
            Some(_) => Err(E::custom(format!("`{word}` needs its settings"))),
            None => Err(E::unknown_variant(word, WORDS)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AuthSection, A::Error> {
        let Some(word) = map.next_key::<String>()? else {
            return Err(A::Error::custom("no access controller is given"));
        };
        let section = match word.as_str() {
            "token" => AuthSection::Token(map.next_value()?),
            "htpasswd" => AuthSection::Htpasswd(map.next_value()?),
            "silly" => AuthSection::Silly(map.next_value()?),
            _ if word.eq_ignore_ascii_case("none") => AuthSection::None(map.next_value()?),
            _ => return Err(A::Error::unknown_variant(&word, WORDS)),
        };
        match map.next_key::<String>()? {
            None => Ok(section),
            Some(second) => Err(A::Error::custom(two_controllers(section.word(), &second))),
        }
    }
}

/// CF6.
pub(crate) fn two_controllers(first: &str, second: &str) -> String {
    format!("there are two access controllers, `{first}` and `{second}`; exactly one is expected")
}

const WORDS: &[&str] = &["token", "htpasswd", "silly", "none"];
