//! The key that a token names: its two ids, and the certificates that vouch for it.

use std::time::SystemTime;

use portpass_jose::{Certificate, KeyId, KeyType, VerifyingKey, unverified::NamedKey};
use serde::Serialize;

use super::{Trusted, line};
use crate::time::{date, distance};

/// What registries call a key: distribution 2 by the one id, distribution 3 by the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyIds {
    /// The libtrust fingerprint.
    pub libtrust: String,
    /// The RFC 7638 thumbprint.
    pub rfc7638: String,
    /// `a P-256 key (ES256)`
    pub kind: String,
    /// Where the key is: `in its certificate`.
    pub found: &'static str,
}

impl KeyIds {
    pub(super) fn of(named: &NamedKey, trusted: Option<&Trusted>) -> Option<Self> {
        let by_id = |id: &str| trusted?.find(id).map(|(key, found)| (key.clone(), found));
        let (key, found) = match named {
            NamedKey::Chain(_) => (named.key()?, "in its certificate"),
            NamedKey::Embedded { key: Some(key), .. } => ((**key).clone(), "in its header"),
            NamedKey::Embedded { id: Some(id), .. } | NamedKey::Id(id) => by_id(id)?,
            NamedKey::Embedded { id: None, .. } | NamedKey::Nothing => return None,
        };
        Self::of_key(&key, found)
    }

    /// A shared secret has no id: it would be a way to guess it.
    fn of_key(key: &VerifyingKey, found: &'static str) -> Option<Self> {
        (key.key_type() != KeyType::Octets).then(|| Self {
            libtrust: KeyId::libtrust(key).to_string(),
            rfc7638: KeyId::rfc7638(key).to_string(),
            kind: key.to_string(),
            found,
        })
    }
}

/// One certificate of a chain, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ChainEntry {
    /// A certificate.
    Certificate {
        /// Whose key it vouches for.
        subject: String,
        /// Who vouches.
        issuer: String,
        /// The first moment at which it holds.
        not_before: String,
        /// The last one.
        not_after: String,
        /// How far away its end is, or its beginning where that is still to come.
        distance: String,
        /// Whether it may sign certificates.
        authority: bool,
        /// `a P-256 key`
        key: String,
    },
    /// Something else.
    Unreadable {
        /// What is wrong with it.
        unreadable: String,
    },
}

impl ChainEntry {
    pub(super) fn of(entry: Result<Certificate, String>, now: SystemTime) -> Self {
        let certificate = match entry {
            Ok(certificate) => certificate,
            Err(why) => return Self::Unreadable { unreadable: line(&why) },
        };
        let (begins, ends) = (certificate.not_before(), certificate.not_after());
        let distance = if now < begins {
            format!("begins {}", distance(begins, now))
        } else if now > ends {
            format!("ended {}", distance(ends, now))
        } else {
            format!("ends {}", distance(ends, now))
        };
        Self::Certificate {
            subject: line(certificate.subject()),
            issuer: line(certificate.issuer()),
            not_before: date(begins),
            not_after: date(ends),
            distance,
            authority: certificate.is_authority(),
            key: certificate.key().key_type().to_string(),
        }
    }

    /// As a row: subject, issuer, validity, whether it is an authority, key.
    pub fn row(&self) -> [String; 5] {
        match self {
            Self::Certificate {
                subject,
                issuer,
                not_before,
                not_after,
                distance,
                authority,
                key,
            } => [
                subject.clone(),
                issuer.clone(),
                format!("{not_before} to {not_after} ({distance})"),
                if *authority { "yes" } else { "no" }.to_owned(),
                key.clone(),
            ],
            Self::Unreadable { unreadable } => [
                format!("unreadable: {unreadable}"),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
            ],
        }
    }
}
