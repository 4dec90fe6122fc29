//! An X.509 certificate, read once (RFC 5280).

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use x509_parser::{
    asn1_rs::Any,
    certificate::X509Certificate,
    extensions::ParsedExtension,
    oid_registry::{self, Oid},
    prelude::FromDer,
    time::ASN1Time,
    x509::X509Version,
};

use crate::{KeyError, VerifyingKey};

/// A certificate with everything that a decision about it needs, read once. Cheap to clone.
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

struct Inner {
    der: CertificateDer<'static>,
    subject: Name,
    issuer: Name,
    not_before: SystemTime,
    not_after: SystemTime,
    version: u32,
    authority: Authority,
    names_constrained: bool,
    unknown_critical: Option<String>,
    key: VerifyingKey,
    signed: SignedParts,
    unknown_signature: Option<String>,
}

/// A distinguished name: compared as bytes, shown as text.
struct Name {
    der: Box<[u8]>,
    text: Box<str>,
}

/// Whether a certificate may sign others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authority {
    /// It may, with at most so many authorities between it and the leaf.
    Yes {
        /// `pathLenConstraint`, if it states one.
        path_length: Option<u32>,
    },
    /// It says that it may not, or does not say (`CA:FALSE`).
    No,
    /// It is an authority for other things: its key usage lacks `keyCertSign`.
    NotForCertificates,
    /// It is of version 1 or 2, which cannot say.
    CannotSay,
}

/// The pieces a signature is checked with; identifiers are the contents of the DER sequences.
struct SignedParts {
    message: Box<[u8]>,
    algorithm: Box<[u8]>,
    signature: Box<[u8]>,
    key_algorithm: Box<[u8]>,
    key_bits: Box<[u8]>,
}

impl Certificate {
    /// Reads one DER certificate and nothing after it.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let unreadable = |why: &dyn fmt::Display| KeyError::Certificate(why.to_string());
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| {
            unreadable(&"it is not the DER of a certificate, or is damaged or cut off")
        })?;
        if !rest.is_empty() {
            return Err(unreadable(&"there are bytes after it"));
        }
        let tbs = &parsed.tbs_certificate;
        if tbs.signature != parsed.signature_algorithm {
            return Err(unreadable(&"it names two signature algorithms"));
        }
        let extensions = Extensions::read(&parsed)?;
        let signed = SignedParts::read(der, &parsed)
            .ok_or_else(|| unreadable(&"its outer structure is not DER"))?;
        let unknown_signature =
            (!signed.can_be_checked()).then(|| tbs.signature.algorithm.to_string());
        Ok(Self(Arc::new(Inner {
            der: CertificateDer::from(der.to_vec()),
            subject: Name {
                der: tbs.subject.as_raw().into(),
                text: tbs.subject.to_string().into(),
            },
            issuer: Name { der: tbs.issuer.as_raw().into(), text: tbs.issuer.to_string().into() },
            not_before: moment(tbs.validity.not_before),
            not_after: moment(tbs.validity.not_after),
            version: tbs.version.0 + 1,
            authority: extensions.authority,
            names_constrained: extensions.names_constrained,
            unknown_critical: extensions.unknown_critical,
            key: VerifyingKey::from_spki(tbs.subject_pki.raw)?,
            signed,
            unknown_signature,
        })))
    }

    /// As it was read.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// One PEM block, lines of 64 letters.
    pub fn to_pem(&self) -> String {
        let base64 = STANDARD.encode(self.der());
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        for line in base64.as_bytes().chunks(64) {
            pem.extend(line.iter().copied().map(char::from));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        pem
    }

    /// Whose key it vouches for, as text (`CN=registry`).
    pub fn subject(&self) -> &str {
        &self.0.subject.text
    }

    /// Who vouches, as text.
    pub fn issuer(&self) -> &str {
        &self.0.issuer.text
    }

    /// The first moment at which it holds.
    pub fn not_before(&self) -> SystemTime {
        self.0.not_before
    }

    /// The last moment at which it holds.
    pub fn not_after(&self) -> SystemTime {
        self.0.not_after
    }

    /// Its X.509 version: 1, 2 or 3.
    pub fn version(&self) -> u32 {
        self.0.version
    }

    /// Whether it may sign certificates: version 3, `CA:TRUE`, and `keyCertSign` if it states any
    /// key usage.
    pub fn is_authority(&self) -> bool {
        matches!(self.0.authority, Authority::Yes { .. })
    }

    /// Whether it says `CA:TRUE`, whatever else it says.
    pub(crate) fn claims_authority(&self) -> bool {
        matches!(self.0.authority, Authority::Yes { .. } | Authority::NotForCertificates)
    }

    /// The key that it vouches for.
    pub fn key(&self) -> &VerifyingKey {
        &self.0.key
    }

    /// Where `now` stands to its dates.
    pub fn validity(&self, now: SystemTime) -> Result<(), OutOfDate> {
        let subject = || self.subject().to_owned();
        if now > self.not_after() {
            let ago = now.duration_since(self.not_after()).unwrap_or_default();
            Err(OutOfDate::Expired { subject: subject(), ago })
        } else if now < self.not_before() {
            let ahead = self.not_before().duration_since(now).unwrap_or_default();
            Err(OutOfDate::NotYetValid { subject: subject(), ahead })
        } else {
            Ok(())
        }
    }

    pub(crate) fn authority(&self) -> Authority {
        self.0.authority
    }

    pub(crate) fn as_pki(&self) -> &CertificateDer<'static> {
        &self.0.der
    }

    /// Whether it bounds the names below it, which only webpki knows how to check.
    pub(crate) fn constrains_names(&self) -> bool {
        self.0.names_constrained
    }

    /// A critical extension that nobody here understands (RFC 5280 §4.2: refuse).
    pub(crate) fn unknown_critical(&self) -> Option<&str> {
        self.0.unknown_critical.as_deref()
    }

    /// Whether `other` bears the name that this one gives as its issuer's, byte for byte.
    pub(crate) fn names_as_issuer(&self, other: &Self) -> bool {
        self.0.issuer.der == other.0.subject.der
    }

    /// The object identifier of its signature's algorithm, where no signature of that kind is
    /// checked here: SHA-1 above all.
    pub(crate) fn unknown_signature(&self) -> Option<&str> {
        self.0.unknown_signature.as_deref()
    }

    /// Whether both vouch for one key, so that a signature holds by both or by none.
    pub(crate) fn has_the_key_of(&self, other: &Self) -> bool {
        let (own, theirs) = (&self.0.signed, &other.0.signed);
        own.key_algorithm == theirs.key_algorithm && own.key_bits == theirs.key_bits
    }

    /// Whether `issuer`'s key made the signature on this certificate.
    pub(crate) fn is_signed_by(&self, issuer: &Self) -> bool {
        let (own, theirs) = (&self.0.signed, &issuer.0.signed);
        let fits = |algorithm: &&&dyn SignatureVerificationAlgorithm| {
            algorithm.signature_alg_id().as_ref() == &*own.algorithm
                && algorithm.public_key_alg_id().as_ref() == &*theirs.key_algorithm
        };
        webpki::ALL_VERIFICATION_ALGS.iter().filter(fits).any(|algorithm| {
            algorithm.verify_signature(&theirs.key_bits, &own.message, &own.signature).is_ok()
        })
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.subject())
            .field("issuer", &self.issuer())
            .field("key", self.key())
            .finish_non_exhaustive()
    }
}

impl PartialEq for Certificate {
    /// The same bytes.
    fn eq(&self, other: &Self) -> bool {
        self.der() == other.der()
    }
}

/// A certificate outside its dates. X.509 knows no leeway.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutOfDate {
    /// Its last moment has passed.
    #[error("the certificate of {subject:?} expired {} s ago", ago.as_secs())]
    Expired {
        /// Whose certificate it is.
        subject: String,
        /// How long ago.
        ago: Duration,
    },
    /// Its first moment has not come.
    #[error("the certificate of {subject:?} becomes valid in {} s", ahead.as_secs())]
    NotYetValid {
        /// Whose certificate it is.
        subject: String,
        /// How far away.
        ahead: Duration,
    },
}

/// What a certificate's extensions say.
struct Extensions {
    authority: Authority,
    names_constrained: bool,
    unknown_critical: Option<String>,
}

impl Extensions {
    fn read(parsed: &X509Certificate<'_>) -> Result<Self, KeyError> {
        let repeated = |_| KeyError::Certificate("an extension appears twice".into());
        // A broken one would read as absent, and an absent key usage allows everything.
        let counts = |oid: &Oid<'_>| COUNTING_EXTENSIONS.contains(oid);
        let mut counting = parsed.extensions().iter().filter(|extension| counts(&extension.oid));
        if counting.any(|extension| extension.parsed_extension().error().is_some()) {
            return Err(KeyError::Certificate("an extension is broken".to_owned()));
        }
        let constraints = parsed.basic_constraints().map_err(repeated)?;
        let usage = parsed.key_usage().map_err(repeated)?;
        let authority = match constraints {
            _ if parsed.version() != X509Version::V3 => Authority::CannotSay,
            Some(constraints) if constraints.value.ca => {
                if usage.is_none_or(|usage| usage.value.key_cert_sign()) {
                    Authority::Yes { path_length: constraints.value.path_len_constraint }
                } else {
                    Authority::NotForCertificates
                }
            }
            _ => Authority::No,
        };
        let unknown = parsed
            .extensions()
            .iter()
            .find(|extension| extension.critical && !is_understood(extension.parsed_extension()));
        Ok(Self {
            authority,
            names_constrained: parsed.name_constraints().map_err(repeated)?.is_some(),
            unknown_critical: unknown.map(|extension| extension.oid.to_string()),
        })
    }
}

/// Whether an extension is one that the checks by hand carry out, or may leave alone.
fn is_understood(extension: &ParsedExtension<'_>) -> bool {
    matches!(
        extension,
        ParsedExtension::BasicConstraints(_)
            | ParsedExtension::KeyUsage(_)
            | ParsedExtension::ExtendedKeyUsage(_)
            | ParsedExtension::SubjectAlternativeName(_)
            | ParsedExtension::SubjectKeyIdentifier(_)
            | ParsedExtension::AuthorityKeyIdentifier(_)
            | ParsedExtension::NameConstraints(_)
    )
}

impl SignedParts {
    fn read(der: &[u8], parsed: &X509Certificate<'_>) -> Option<Self> {
        let (certificate, _) = element(der, SEQUENCE)?;
        let (_tbs, rest) = element(certificate, SEQUENCE)?;
        let (algorithm, rest) = element(rest, SEQUENCE)?;
        let (signature, rest) = element(rest, BIT_STRING)?;
        let [WHOLE_BYTES, signature @ ..] = signature else { return None };
        let (spki, _) = element(parsed.tbs_certificate.subject_pki.raw, SEQUENCE)?;
        let (key_algorithm, _) = element(spki, SEQUENCE)?;
        rest.is_empty().then(|| Self {
            message: parsed.tbs_certificate.as_ref().into(),
            algorithm: algorithm.into(),
            signature: signature.into(),
            key_algorithm: key_algorithm.into(),
            key_bits: parsed.tbs_certificate.subject_pki.subject_public_key.data.as_ref().into(),
        })
    }

    fn can_be_checked(&self) -> bool {
        let mut known = webpki::ALL_VERIFICATION_ALGS.iter();
        known.any(|algorithm| algorithm.signature_alg_id().as_ref() == &*self.algorithm)
    }
}

/// The contents of the first element, which has exactly that identifier byte (the parser overlooks
/// its class), and what follows it.
fn element(der: &[u8], identifier: u8) -> Option<(&[u8], &[u8])> {
    let (rest, any) = Any::from_der(der).ok()?;
    (der.first() == Some(&identifier)).then_some((any.data, rest))
}

fn moment(time: ASN1Time) -> SystemTime {
    let seconds = time.timestamp();
    let offset = Duration::from_secs(seconds.unsigned_abs());
    let moment = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(offset)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(offset)
    };
    moment.unwrap_or(SystemTime::UNIX_EPOCH)
}

const COUNTING_EXTENSIONS: [Oid<'_>; 3] = [
    oid_registry::OID_X509_EXT_BASIC_CONSTRAINTS,
    oid_registry::OID_X509_EXT_KEY_USAGE,
    oid_registry::OID_X509_EXT_NAME_CONSTRAINTS,
];
const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
/// The first byte of a bit string: how many bits of the last byte do not count.
const WHOLE_BYTES: u8 = 0;
