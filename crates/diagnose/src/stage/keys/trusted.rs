//! The registry's files of keys, and the token service's own key.

use std::time::Duration;

use portpass_jose::{
    Certificate, Excerpt, KeyId, KeySet, SigningKey, TrustRoots, VerifyingKey,
    json::{self, Value},
};
use portpass_protocol::challenge::KnownClient;

use crate::{Check, Finding, InputFile, Needs, run::Run, time::date};

/// How many keys are shown.
const SHOWN: usize = 8;
/// When a certificate is about to end.
const SOON: Duration = Duration::from_hours(24 * 30);

/// What the registry trusts, as far as its files were given.
#[derive(Debug, Default)]
pub(super) struct Trusted {
    /// Every key.
    pub(super) keys: Vec<Key>,
    /// The certificates among them.
    pub(super) roots: TrustRoots,
}

/// A key that is trusted.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) public: VerifyingKey,
    /// Its `kid` in a JWKS, if that is where it is from.
    pub(super) name: Option<String>,
    certificate: Option<Certificate>,
}

impl Key {
    /// Whether it is from a JWK set, where its name is all that distribution goes by.
    pub(super) fn is_jwk(&self) -> bool {
        self.certificate.is_none()
    }

    /// Whether an id is one under which distribution, either of them, knows this key.
    pub(super) fn is_called(&self, id: &str) -> bool {
        match &self.name {
            Some(name) => name == id,
            None => self.derived(id),
        }
    }

    /// Whether an id is made from this key.
    pub(super) fn derived(&self, id: &str) -> bool {
        KeyId::rfc7638(&self.public).as_str() == id || KeyId::libtrust(&self.public).as_str() == id
    }

    /// One line with all its names.
    pub(super) fn line(&self) -> String {
        let what = match (&self.certificate, &self.name) {
            (Some(certificate), _) => format!(
                "certificate {}, valid until {}",
                Excerpt::of(certificate.subject()),
                date(certificate.not_after())
            ),
            (None, Some(name)) => format!("JWK {}", Excerpt::of(name)),
            (None, None) => "JWK without `kid`".to_owned(),
        };
        let (libtrust, thumbprint) = (KeyId::libtrust(&self.public), self.public.id());
        format!("{what}, {}: libtrust {libtrust}, RFC 7638 {thumbprint}", self.public.key_type())
    }
}

/// KEY-01 and KEY-07.
pub(super) fn check(run: &mut Run) -> Trusted {
    let settings = run.observed.settings.clone();
    algorithms(run, settings.algorithms.as_ref());
    let mut trusted = Trusted::default();
    if settings.bundle.is_none() && settings.jwks.is_none() {
        let needs = Needs::Input("--bundle FILE, --jwks FILE or --registry-config FILE");
        let checks = [Check::Key01, Check::Key02, Check::Key03, Check::Key04, Check::Key07];
        run.skip(&checks, &needs);
        return trusted;
    }
    let mut problems = Vec::new();
    for (given, read) in [(&settings.bundle, bundle as Reader), (&settings.jwks, jwks as Reader)] {
        if let Some(given) = given
            && let Err(why) = read(given, &mut trusted)
        {
            problems.push(format!("{}: {why}", given.path.display()));
        }
    }
    let finding = match problems.first() {
        None => Finding::pass(Check::Key01, format!("{} keys are trusted", trusted.keys.len())),
        Some(problem) => run
            .token_fault(Check::Key01, problem.clone())
            .breaks(&KnownClient::ALL)
            .fix("`rootcertbundle` must be the token service's certificate in PEM (`-----BEGIN CERTIFICATE-----`), and the registry must be able to read the file. `openssl x509 -inform DER -in FILE` converts DER to PEM. `jwks` must be a JSON object with `keys`")
            .rows(&["F86"]),
    };
    let lines = trusted.keys.iter().take(SHOWN).map(Key::line);
    run.record(lines.fold(finding, Finding::evidence));
    dates(run, &trusted);
    trusted
}

type Reader = fn(&InputFile, &mut Trusted) -> Result<(), String>;

fn bundle(given: &InputFile, trusted: &mut Trusted) -> Result<(), String> {
    // The bytes around the blocks may not be text.
    let bytes = as_bytes(given)?;
    let text = String::from_utf8_lossy(bytes);
    if bytes.first() == Some(&0x30) && !text.contains("-----BEGIN") {
        return Err("it is DER, but must be PEM".to_owned());
    }
    trusted.roots = TrustRoots::from_pem(bytes).map_err(|error| {
        if text.contains("PRIVATE KEY-----") {
            "it is a private key, not a certificate".to_owned()
        } else if text.contains("PUBLIC KEY-----") {
            "it is a public key, not a certificate".to_owned()
        } else if text.trim_start().starts_with('{') {
            "it is JSON, not a certificate; put a JWK set into `jwks`".to_owned()
        } else {
            error.to_string()
        }
    })?;
    let certificates = trusted.roots.certificates().iter();
    trusted.keys.extend(certificates.map(|certificate| Key {
        public: certificate.key().clone(),
        name: None,
        certificate: Some(certificate.clone()),
    }));
    Ok(())
}

fn jwks(given: &InputFile, trusted: &mut Trusted) -> Result<(), String> {
    let text = as_text(given)?;
    if text.contains("-----BEGIN") {
        return Err("it is PEM, not a JWK set; put certificates into `rootcertbundle`".to_owned());
    }
    let set = KeySet::from_jwks(text).map_err(|error| error.to_string())?;
    if set.is_empty() {
        return Err("no key in it can verify tokens".to_owned());
    }
    let object = json::parse_object(text.as_bytes()).map_err(|error| error.to_string())?;
    let entries = object.get("keys").and_then(Value::as_array).into_iter().flatten();
    trusted.keys.extend(entries.filter_map(|entry| {
        let public = VerifyingKey::from_jwk(&entry.to_string()).ok()?;
        let name = entry.get("kid").and_then(Value::as_str).map(str::to_owned);
        Some(Key { public, name, certificate: None })
    }));
    Ok(())
}

fn as_bytes(given: &InputFile) -> Result<&[u8], String> {
    let bytes = given.content.as_ref().map_err(|error| format!("it cannot be read: {error}"))?;
    if bytes.trim_ascii().is_empty() { Err("it is empty".to_owned()) } else { Ok(bytes) }
}

fn as_text(given: &InputFile) -> Result<&str, String> {
    std::str::from_utf8(as_bytes(given)?).map_err(|_| "it is not text".to_owned())
}

/// Candidates of distribution 3.0 wanted no list; later versions want one.
fn algorithms(run: &mut Run, algorithms: Option<&Value>) {
    let Some(algorithms) = algorithms.filter(|value| !value.is_array()) else { return };
    let summary = format!("`signingalgorithms` is {}, but must be a list", json::kind(algorithms));
    let finding = run
        .token_fault(Check::Key01, summary)
        .breaks(&KnownClient::ALL)
        .fix("write it as a list (`signingalgorithms: [RS256, ES256]`), or leave it out. Release candidates of distribution 3.0 do not start with the list either: run 3.0 or later")
        .rows(&["F90"]);
    run.record(finding);
}

fn dates(run: &mut Run, trusted: &Trusted) {
    let certificates = trusted.roots.certificates();
    if certificates.is_empty() {
        let why = Needs::Nothing("there is no certificate that could expire");
        return run.skip(&[Check::Key07], &why);
    }
    let now = run.registry_time();
    let ends = certificates.iter().filter(|certificate| certificate.not_after() < now + SOON);
    let line = |certificate: &Certificate| {
        format!(
            "{} is valid until {}",
            Excerpt::of(certificate.subject()),
            date(certificate.not_after())
        )
    };
    let lines: Vec<String> = ends.map(line).take(SHOWN).collect();
    let finding = match lines.first() {
        None => Finding::pass(Check::Key07, "every certificate of the bundle is valid for another month"),
        // Whoever names the key by id is taken on: only chains are held to the dates.
        Some(first) => Finding::warn(Check::Key07, first.clone())
            .fix("renew it, and give the registry the old and the new one until all tokens of the old one have expired. From that day on, the registry refuses tokens with `x5c`, but not those with `kid`")
            .rows(&["F88"]),
    };
    run.record(lines.into_iter().skip(1).fold(finding, Finding::evidence));
}

/// KEY-05
pub(super) fn token_key(run: &mut Run, trusted: &Trusted) {
    let Some(given) = run.inputs.token_key.clone() else {
        return run.skip(&[Check::Key05], &Needs::Input("--token-key FILE"));
    };
    let key = as_bytes(&given).and_then(|bytes| {
        let key = match std::str::from_utf8(bytes) {
            Ok(text) if text.trim_start().starts_with('{') => SigningKey::from_jwk(text, None),
            _ => SigningKey::from_pem(bytes, None),
        };
        key.map_err(|error| error.to_string())
    });
    let key = match key {
        Ok(key) => key,
        Err(why) => {
            let summary = format!("{} is not a signing key: {why}", given.path.display());
            return run.record(Finding::warn(Check::Key05, summary));
        }
    };
    if trusted.keys.is_empty() {
        let needs = Needs::Input("--bundle FILE or --jwks FILE");
        return run.skip(&[Check::Key05], &needs);
    }
    let own = key.public();
    let shown =
        format!("the signing key: libtrust {}, RFC 7638 {}", KeyId::libtrust(own), own.id());
    let finding = if trusted.keys.iter().any(|known| known.public == *own) {
        Finding::pass(Check::Key05, "the registry trusts the token service's key")
    } else {
        run.token_fault(Check::Key05, "the registry does not trust the token service's key")
            .breaks(&KnownClient::ALL)
            .fix("give the registry the certificate of exactly this key (`openssl x509 -pubkey -noout -in CERTIFICATE` and `openssl pkey -pubout -in KEY` must print the same), and restart it")
            .rows(&["F84", "F85"])
    };
    run.record(finding.evidence(shown));
}
