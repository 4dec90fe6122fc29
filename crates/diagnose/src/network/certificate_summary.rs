//! What a certificate says of itself, for a person.

use std::time::{Duration, SystemTime};

use portpass_protocol::printable::is_unprintable;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer as _,
};

/// What a certificate says of itself; texts are cut and printable.
#[derive(Debug, Clone)]
pub(crate) struct CertificateSummary {
    pub(crate) whose: String,
    pub(crate) issuer: String,
    /// DNS names and addresses.
    pub(crate) names: Vec<String>,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

impl CertificateSummary {
    /// Reads a certificate, if it is one.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let mut names = Vec::new();
        for extension in parsed.extensions() {
            if let ParsedExtension::SubjectAlternativeName(own) = extension.parsed_extension() {
                names.extend(own.general_names.iter().filter_map(alternative_name));
            }
        }
        let validity = parsed.validity();
        Some(Self {
            whose: short(&parsed.subject().to_string()),
            issuer: short(&parsed.issuer().to_string()),
            names,
            not_before: time(validity.not_before.timestamp()),
            not_after: time(validity.not_after.timestamp()),
        })
    }

    /// One line of evidence.
    pub(crate) fn shown(&self) -> String {
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

/// As `2026-11-25 22:30 UTC`.
pub(crate) fn date(at: SystemTime) -> String {
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
    text.chars().filter(|c| !is_unprintable(*c)).take(128).collect()
}

fn time(seconds: i64) -> SystemTime {
    match u64::try_from(seconds) {
        Ok(seconds) => SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        Err(_) => SystemTime::UNIX_EPOCH,
    }
}
