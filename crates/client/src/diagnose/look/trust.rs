//! Whether a chain of certificates is trusted, and if not, what exactly is missing.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use portpass_protocol::foreign::is_obeyed;
use rustls::{
    CertificateError, Error, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer as _,
};

use crate::trust::{self, Presented, judge_named, words};

/// The authorities that the system trusts. None is no failure.
pub(in crate::diagnose) async fn system_roots() -> Vec<CertificateDer<'static>> {
    tokio::task::spawn_blocking(trust::system_roots).await.unwrap_or_default()
}

/// Who is trusted.
#[derive(Debug, Clone)]
pub(in crate::diagnose) struct Trust {
    roots: Arc<RootCertStore>,
    named: Vec<CertificateDer<'static>>,
}

/// Why a chain is not trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::diagnose) enum Distrust {
    /// It signed itself, and nobody was told to trust it.
    SelfSigned,
    /// It ends at an authority that nobody was told to trust.
    Unknown,
    /// The certificate of its issuer is missing, and could be fetched here.
    Incomplete(String),
    /// It is for other names.
    Name,
    /// Its time is over: its own, or that of an authority above it.
    Expired,
    /// Its time has not begun.
    NotYet,
    /// It is an authority's certificate in the place of a server's, which Go takes.
    Authority,
    /// Something else.
    Other(String),
}

/// What a certificate says of itself; texts are cut and printable.
#[derive(Debug, Clone)]
pub(in crate::diagnose) struct Subject {
    pub(in crate::diagnose) whose: String,
    pub(in crate::diagnose) issuer: String,
    /// DNS names and addresses.
    pub(in crate::diagnose) names: Vec<String>,
    pub(in crate::diagnose) not_before: SystemTime,
    pub(in crate::diagnose) not_after: SystemTime,
    /// Where its issuer's certificate can be fetched (RFC 5280 §4.2.2.1).
    issuer_at: Option<String>,
    signed_itself: bool,
}

impl Trust {
    /// In these authorities of the system, and in those that somebody has named.
    pub(in crate::diagnose) fn new(
        system: &[CertificateDer<'static>],
        named: &[CertificateDer<'static>],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(system.iter().chain(named).cloned());
        Self { roots: Arc::new(roots), named: named.to_vec() }
    }

    /// Judges a chain, for a server of this name at this time.
    pub(in crate::diagnose) fn judge(
        &self,
        chain: &[CertificateDer<'static>],
        name: &ServerName<'_>,
        now: SystemTime,
    ) -> Result<(), Distrust> {
        let Some((leaf, above)) = chain.split_first() else {
            return Err(Distrust::Other("it shows no certificate".to_owned()));
        };
        if judge_named(&Presented { chain, name, now }, &self.named).is_ok() {
            return Ok(());
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(&self.roots), provider).build();
        // Without any authority there is no verifier either.
        let Ok(verifier) = verifier else { return Err(unknown(chain)) };
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let judged =
            verifier.verify_server_cert(leaf, above, name, &[], UnixTime::since_unix_epoch(since));
        match judged {
            Ok(_) => Ok(()),
            Err(Error::InvalidCertificate(error)) => Err(reason(&error, chain)),
            Err(error) => Err(Distrust::Other(words(&error))),
        }
    }
}

fn reason(error: &CertificateError, chain: &[CertificateDer<'static>]) -> Distrust {
    match error {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => unknown(chain),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Distrust::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Distrust::NotYet
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Distrust::Name
        }
        other => match trust::distrust(other) {
            trust::Distrust::Authority => Distrust::Authority,
            other => Distrust::Other(other.to_string()),
        },
    }
}

/// Whose certificate is missing. Where a chain's last one says where its issuer's is, as public
/// authorities' do, a server has left that out; private roots say no such thing.
fn unknown(chain: &[CertificateDer<'static>]) -> Distrust {
    let read: Vec<Subject> = chain.iter().filter_map(|der| Subject::read(der)).collect();
    let Some(last) = read.last() else {
        return Distrust::Other("its certificate cannot be read".to_owned());
    };
    if last.signed_itself {
        return if read.len() == 1 { Distrust::SelfSigned } else { Distrust::Unknown };
    }
    last.issuer_at.clone().map_or(Distrust::Unknown, Distrust::Incomplete)
}

impl Subject {
    /// Reads a certificate, if it is one.
    pub(in crate::diagnose) fn read(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let mut names = Vec::new();
        let mut issuer_at = None;
        for extension in parsed.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(alternative) => {
                    names.extend(alternative.general_names.iter().filter_map(alternative_name));
                }
                ParsedExtension::AuthorityInfoAccess(access) => {
                    let found = access.accessdescs.iter().find_map(|description| {
                        let issuers = description.access_method.to_id_string() == CA_ISSUERS;
                        match &description.access_location {
                            GeneralName::URI(uri) if issuers => Some(short(uri)),
                            _ => None,
                        }
                    });
                    issuer_at = issuer_at.or(found);
                }
                _ => {}
            }
        }
        let validity = parsed.validity();
        Some(Self {
            whose: short(&parsed.subject().to_string()),
            issuer: short(&parsed.issuer().to_string()),
            names,
            not_before: time(validity.not_before.timestamp()),
            not_after: time(validity.not_after.timestamp()),
            issuer_at,
            signed_itself: parsed.subject().as_raw() == parsed.issuer().as_raw(),
        })
    }

    /// One line of evidence.
    pub(in crate::diagnose) fn shown(&self) -> String {
        let names =
            if self.names.is_empty() { "no names".to_owned() } else { self.names.join(", ") };
        format!(
            "subject {:?}, issuer {:?}, for {names}, valid from {} to {}",
            self.whose,
            self.issuer,
            date(self.not_before),
            date(self.not_after)
        )
    }
}

/// `id-ad-caIssuers`
const CA_ISSUERS: &str = "1.3.6.1.5.5.7.48.2";

/// As `2026-11-25 22:30 UTC`.
pub(in crate::diagnose) fn date(at: SystemTime) -> String {
    let timestamp = jiff::Timestamp::try_from(at);
    timestamp.map_or_else(|_| "?".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

fn alternative_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(short(name)),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).ok().map(std::net::IpAddr::from);
            let v6 = <[u8; 16]>::try_from(*bytes).ok().map(std::net::IpAddr::from);
            v4.or(v6).map(|address| address.to_string())
        }
        _ => None,
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !is_obeyed(*c)).take(128).collect()
}

fn time(seconds: i64) -> SystemTime {
    match u64::try_from(seconds) {
        Ok(seconds) => SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        Err(_) => SystemTime::UNIX_EPOCH,
    }
}
