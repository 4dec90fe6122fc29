//! What is said of TLS is said in words.

use std::sync::Arc;

use rustls::{
    AlertDescription, CertRevocationListError, CertificateError as Of, ContentType, Error,
    HandshakeType, InconsistentKeys, InvalidMessage, OtherError, PeerIncompatible, PeerMisbehaved,
    pki_types::{ServerName, UnixTime},
};

use super::super::{rustls_rules::certificate_fault, tls_error_text};

/// That a text has nothing in it that `Debug` writes: `Other(OtherError(…))`, `[67, 69]`, `SomeError`, `{ a: b }`.
#[track_caller]
fn is_for_people(text: &str) {
    let words = || text.split(|c: char| !c.is_alphanumeric());
    let known = ["OpenSSL", "keyUsage", "extendedKeyUsage", "nameConstraints"];
    let camels = words().filter(|word| !known.contains(word)).find(|word| {
        let lower = word.find(char::is_lowercase);
        lower.is_some_and(|at| word[at..].contains(char::is_uppercase))
    });
    assert_eq!(camels, None, "{text}");
    assert!(!text.contains(['{', '}', '[', ']']), "{text}");
    assert!(!text.is_empty() && !text.ends_with('.'), "{text}");
}

fn of_webpki(error: webpki::Error) -> Of {
    Of::Other(OtherError(Arc::new(error)))
}

fn certificates() -> Vec<Of> {
    let time = UnixTime::since_unix_epoch(std::time::Duration::ZERO);
    let expected = ServerName::try_from("a.example").unwrap();
    vec![
        Of::BadEncoding,
        Of::Expired,
        Of::ExpiredContext { time, not_after: time },
        Of::NotValidYet,
        Of::NotValidYetContext { time, not_before: time },
        Of::Revoked,
        Of::UnhandledCriticalExtension,
        Of::UnknownIssuer,
        Of::UnknownRevocationStatus,
        Of::ExpiredRevocationList,
        Of::ExpiredRevocationListContext { time, next_update: time },
        Of::BadSignature,
        Of::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: vec![67, 69],
            supported_algorithms: Vec::new(),
        },
        Of::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: vec![67, 69],
            public_key_algorithm_id: vec![67, 69],
        },
        Of::NotValidForName,
        Of::NotValidForNameContext { expected, presented: vec!["b.example".to_owned()] },
        Of::InvalidPurpose,
        Of::InvalidOcspResponse,
        Of::ApplicationVerificationFailure,
        of_webpki(webpki::Error::CaUsedAsEndEntity),
        of_webpki(webpki::Error::EndEntityUsedAsCa),
        of_webpki(webpki::Error::NameConstraintViolation),
        of_webpki(webpki::Error::UnsupportedCriticalExtension),
        of_webpki(webpki::Error::MaximumPathDepthExceeded),
        of_webpki(webpki::Error::UnsupportedCertVersion),
        of_webpki(webpki::Error::InvalidNetworkMaskConstraint),
        Of::Other(OtherError(Arc::new(std::fmt::Error))),
    ]
}

#[test]
fn every_fault_of_a_certificate_has_words() {
    for error in certificates() {
        is_for_people(&certificate_fault(&error).to_string());
        is_for_people(&tls_error_text(&Error::InvalidCertificate(error)));
    }
}

#[test]
fn every_error_of_tls_has_words() {
    let errors = [
        Error::InappropriateMessage {
            expect_types: vec![ContentType::Handshake],
            got_type: ContentType::Alert,
        },
        Error::InappropriateHandshakeMessage {
            expect_types: vec![HandshakeType::ServerHello],
            got_type: HandshakeType::Finished,
        },
        Error::InvalidMessage(InvalidMessage::InvalidCcs),
        Error::NoCertificatesPresented,
        Error::UnsupportedNameType,
        Error::DecryptError,
        Error::EncryptError,
        Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
        Error::PeerMisbehaved(PeerMisbehaved::TooMuchEarlyDataReceived),
        Error::InvalidCertRevocationList(CertRevocationListError::BadSignature),
        Error::General("SomeThing([67, 69])".to_owned()),
        Error::FailedToGetCurrentTime,
        Error::FailedToGetRandomBytes,
        Error::HandshakeNotComplete,
        Error::PeerSentOversizedRecord,
        Error::NoApplicationProtocol,
        Error::BadMaxFragmentSize,
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch),
        Error::Other(OtherError(Arc::new(std::fmt::Error))),
    ];
    for error in errors {
        is_for_people(&tls_error_text(&error));
    }
    for alert in 0..=u8::MAX {
        is_for_people(&tls_error_text(&Error::AlertReceived(AlertDescription::from(alert))));
    }
}
