//! KEY-02, KEY-03 and KEY-04: the token's key among those that are trusted, and its signature.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use portpass_jose::{
    Algorithm, Certificate, ChainError, Excerpt, TrustRoots, VerifyingKey, curve_of_base_point,
    json::{Map, Value},
};
use portpass_protocol::challenge::KnownClient;
use secrecy::ExposeSecret as _;

use super::trusted::{Key, Trusted};
use crate::{Check, Finding, Needs, base_point, run::Run, stage::jwt};

/// A token taken apart for checking.
struct Signed {
    header: Map<String, Value>,
    message: String,
    signature: Vec<u8>,
    algorithm: Algorithm,
}

impl Signed {
    fn of(run: &Run) -> Option<Self> {
        let token = run.observed.token.as_ref()?;
        let text = jwt::bare(token.text.expose_secret());
        let header = token.decoded.as_ref()?.header.clone();
        let (message, signature) = text.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let algorithm = header.get("alg")?.as_str()?.parse().ok()?;
        Some(Self { header, message: message.to_owned(), signature, algorithm })
    }

    fn is_by(&self, key: &VerifyingKey) -> bool {
        key.verify(self.algorithm, self.message.as_bytes(), &self.signature).is_ok()
    }

    fn id(&self) -> Option<&str> {
        let embedded = self.header.get("jwk").and_then(|jwk| jwk.get("kid"));
        embedded.or_else(|| self.header.get("kid")).and_then(Value::as_str)
    }
}

pub(super) fn check(run: &mut Run, trusted: &Trusted) {
    let Some(signed) = Signed::of(run) else { return };
    let chain = jwt::read_chain(&signed.header);
    // A certificate that is brought along needs nobody's files to be held against the signature.
    let leaf = chain.first().and_then(|der| Certificate::from_der(der).ok());
    if let Some(leaf) = leaf.filter(|leaf| !run.failed(Check::Jwt06) && !signed.is_by(leaf.key())) {
        let finding = run
            .token_fault(
                Check::Key03,
                "the signature was not made with the key of the token's own certificate",
            )
            .evidence(format!("certificate {}", Excerpt::of(leaf.subject())))
            .breaks(&KnownClient::ALL)
            .fix("sign with the key that the certificate was made for")
            .rows(&["F84"]);
        return run.record(finding);
    }
    if trusted.keys.is_empty() {
        return;
    }
    let by_chain = !jwt::chain(&signed.header).is_empty();
    if by_chain && !run.failed(Check::Jwt06) {
        follow(run, trusted, &chain);
    } else if by_chain {
        run.skip(&[Check::Key02, Check::Key03], &Needs::Check(Check::Jwt06));
    } else if signed.id().is_some() {
        look_up(run, trusted, &signed);
    } else {
        run.skip(&[Check::Key02, Check::Key03], &Needs::Check(Check::Jwt04));
    }
    let known = by_chain || trusted.keys.iter().any(|key| signed.is_by(&key.public));
    not_of_tls(run, trusted, known);
}

/// KEY-02 and KEY-03 for a token that brings its certificates.
fn follow(run: &mut Run, trusted: &Trusted, chain: &[Vec<u8>]) {
    let now = run.registry_time();
    let Err(error) = trusted.roots.verify(chain, now) else {
        let vouched = "the bundle verifies the token's certificate";
        run.record(Finding::pass(Check::Key02, vouched));
        let signed = "the signature was made with its certificate's key";
        return run.record(Finding::pass(Check::Key03, signed));
    };
    if tls(run, trusted).is_some() {
        return run.skip(&[Check::Key02], &Needs::Check(Check::Key04));
    }
    let (fix, rows): (_, &[&'static str]) = match &error {
        ChainError::OutOfDate(_) => (
            "renew the certificate, and give it to the registry as well as to the token service",
            &["F88"],
        ),
        ChainError::UnknownIssuer { .. } | ChainError::NoBundle => (
            "put the certificate of the token's signer, or of the authority that issued it, into the registry's rootcertbundle. Put the certificates between the two into `x5c`",
            &["F85", "F87"],
        ),
        ChainError::BadSignature { .. } => (
            "the bundle has a certificate of that name with another key: one of the two was replaced. Give the registry the current one",
            &["F84", "F87"],
        ),
        _ => (
            "make the certificates again: an authority needs `CA:TRUE`, and the certificates that it issues must follow its constraints",
            &["F87"],
        ),
    };
    let finding = run
        .token_fault(Check::Key02, jwt::short(&error))
        .breaks(&KnownClient::ALL)
        .fix(fix)
        .rows(rows);
    run.record(finding);
}

/// KEY-02 and KEY-03 for a token that names its key.
fn look_up(run: &mut Run, trusted: &Trusted, signed: &Signed) {
    let id = signed.id().unwrap_or_default().to_owned();
    let found = trusted.keys.iter().find(|key| key.is_called(&id));
    let Some(found) = found else {
        return not_found(run, trusted, signed, &id);
    };
    let summary = format!("the registry trusts the key {}", Excerpt::of(&id));
    run.record(Finding::pass(Check::Key02, summary).evidence(found.line()));
    let finding = if signed.is_by(&found.public) {
        Finding::pass(
            Check::Key03,
            format!("its {} signature was made with that key", signed.algorithm),
        )
    } else if found.public.algorithms().contains(signed.algorithm) {
        run.token_fault(Check::Key03, "the signature was not made with the key that the token names: under that name, the registry trusts another key than the one that the token service signs with")
            .breaks(&KnownClient::ALL)
            .fix("key and certificate must match: the token service must sign with the key of the certificate in its own configuration and in the registry's bundle")
            .rows(&["F84"])
    } else {
        let summary = format!(
            "the token says {}, but the key that it names is {}",
            signed.algorithm,
            found.public.key_type()
        );
        run.token_fault(Check::Key03, summary)
            .breaks(&KnownClient::ALL)
            .fix(format!("sign with {}", found.public.key_type().default_algorithm()))
            .rows(&["F89"])
    };
    run.record(finding);
}

fn not_found(run: &mut Run, trusted: &Trusted, signed: &Signed, id: &str) {
    let maker: Option<&Key> = trusted.keys.iter().find(|key| signed.is_by(&key.public));
    if maker.is_none() && tls(run, trusted).is_some() {
        return run.skip(&[Check::Key02, Check::Key03], &Needs::Check(Check::Key04));
    }
    let shown = Excerpt::of(id);
    if curve_of_base_point(id).is_some() && maker.is_some() {
        return names_no_key(run, id);
    }
    let finding = match maker {
        Some(key) if key.is_jwk() => {
            let known = key.name.as_deref().unwrap_or("nothing");
            let summary = format!(
                "the token names its key {shown}, but the registry's JWK set names the same key {}",
                Excerpt::of(known)
            );
            run.token_fault(Check::Key02, summary)
                .fix(format!("write `\"kid\": {shown}` for that key in the registry's JWK set, and restart the registry. Keycloak's docker tokens use other key ids than its certs endpoint"))
                .rows(&["F83"])
        }
        Some(key) => {
            let summary = format!(
                "a trusted key made the signature, but the token names it {shown}, which is not computed from that key"
            );
            run.token_fault(Check::Key02, summary)
                .fix("compute the key id from the DER of the public key (not from the certificate or PEM). Libtrust's is SHA-256, its first 30 bytes in base32, twelve groups of four with colons between. RFC 7638's is the SHA-256 of the key's canonical JWK in base64url. Or send the certificate in `x5c`")
                .rows(&["F81"])
                .evidence(key.line())
        }
        None => {
            let summary = format!(
                "the registry trusts no key {shown}, and none of its keys made the signature"
            );
            let tls_seen = run.observed.tls_leaf.is_some();
            let rows: &[&'static str] =
                if tls_seen { &["F84", "F81"] } else { &["F84", "F85", "F81"] };
            let finding = run.token_fault(Check::Key02, summary)
                .fix("put the token service's current certificate into the registry's rootcertbundle (portpass: `portpass signing-key export`). Restart the registry, because it reads the file only at start")
                .rows(rows);
            trusted.keys.iter().take(4).map(Key::line).fold(finding, Finding::evidence)
        }
    };
    run.record(finding.breaks(&KnownClient::ALL));
    run.skip(&[Check::Key03], &Needs::Check(Check::Key02));
}

/// The right key under the id that is of no key: JWT-05 has said so, if the registry gave an answer.
fn names_no_key(run: &mut Run, id: &str) {
    if run.failed(Check::Jwt05) {
        return run.skip(&[Check::Key02, Check::Key03], &Needs::Check(Check::Jwt05));
    }
    let curve = curve_of_base_point(id).unwrap_or_default();
    let finding =
        run.token_fault(Check::Key02, base_point::summary(curve)).breaks(&KnownClient::ALL);
    run.record(finding.fix(base_point::FIX).rows(&[base_point::ROW]));
    run.skip(&[Check::Key03], &Needs::Check(Check::Key02));
}

/// How the bundle has to do with TLS: it holds the registry's certificate, or the authority of it.
fn tls(run: &Run, trusted: &Trusted) -> Option<&'static str> {
    let leaf = run.observed.tls_leaf.as_ref()?;
    let certificates = trusted.roots.certificates();
    if certificates.iter().any(|certificate| certificate.der() == &**leaf) {
        return Some("the bundle has the registry's TLS certificate");
    }
    let authorities = certificates.iter().filter(|certificate| certificate.is_authority());
    let authorities = TrustRoots::new(authorities.cloned().collect());
    let issued = authorities.verify(std::slice::from_ref(leaf), run.clock.now()).is_ok();
    issued.then_some("the bundle has the authority of the registry's TLS certificate")
}

/// KEY-04
fn not_of_tls(run: &mut Run, trusted: &Trusted, known: bool) {
    if run.observed.tls_leaf.is_none() {
        let why = Needs::Nothing("the registry showed no TLS certificate");
        return run.skip(&[Check::Key04], &why);
    }
    let untrusted = run.failed(Check::Key02) || !known;
    let finding = match tls(run, trusted) {
        Some(how) if untrusted || !run.has_passed(Check::Key02) => run
            .token_fault(Check::Key04, format!("{how}, and not the one of the token service"))
            .breaks(&KnownClient::ALL)
            .fix("`rootcertbundle` is not for TLS. Put the certificate there that tokens are signed with (portpass: `portpass signing-key export`), and restart the registry")
            .rows(&["F85"]),
        Some(how) => Finding::pass(Check::Key04, format!("{how}, and the token's signer too")),
        None => Finding::pass(Check::Key04, "the bundle does not have the registry's TLS certificate"),
    };
    run.record(finding);
}
