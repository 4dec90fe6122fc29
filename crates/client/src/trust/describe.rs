//! Messages for errors of TLS.

use std::error;

use rustls::{AlertDescription, Error};

use super::rustls_rules::certificate_fault;
use crate::causes;

/// Describes the error of TLS among an error and its causes, if there is one, in one short sentence.
pub fn describe(error: &(dyn error::Error + 'static)) -> Option<String> {
    causes(error).find_map(|cause| cause.downcast_ref()).map(tls_error_text)
}

/// One short sentence.
pub(crate) fn tls_error_text(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(reason) => certificate_fault(reason).to_string(),
        Error::NoCertificatesPresented => "the server sends no certificate".to_owned(),
        Error::InvalidMessage(_) => "it sends an invalid TLS message".to_owned(),
        Error::AlertReceived(alert) => {
            format!("it closes the connection with {}", alert_words(*alert))
        }
        Error::PeerIncompatible(_) => {
            "it has no TLS version or cipher in common with this program".to_owned()
        }
        Error::PeerMisbehaved(_) => "it violates the TLS protocol".to_owned(),
        Error::DecryptError => "its data cannot be decrypted".to_owned(),
        Error::NoApplicationProtocol => "it speaks neither HTTP/2 nor HTTP/1.1".to_owned(),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            "it sends an unexpected TLS message".to_owned()
        }
        Error::InconsistentKeys(_) => "the key does not belong to the certificate".to_owned(),
        _ => "TLS fails".to_owned(),
    }
}

/// As RFC 8446 §6 calls them.
fn alert_words(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    let name = match alert {
        Alert::HandshakeFailure => "the alert handshake_failure: there is no common cipher",
        Alert::ProtocolVersion => "the alert protocol_version: there is no common version",
        Alert::UnrecognisedName => "the alert unrecognized_name: no server there has this name",
        Alert::BadCertificate => "the alert bad_certificate: it does not accept our certificate",
        Alert::UnknownCA => "the alert unknown_ca: it does not trust our certificate",
        Alert::CertificateRequired => {
            "the alert certificate_required: it requires a client certificate"
        }
        Alert::CertificateExpired => "the alert certificate_expired: our certificate has expired",
        Alert::AccessDenied => "the alert access_denied",
        Alert::InternalError => "the alert internal_error",
        Alert::DecryptError => "the alert decrypt_error",
        Alert::DecodeError => "the alert decode_error",
        Alert::IllegalParameter => "the alert illegal_parameter",
        Alert::UnexpectedMessage => "the alert unexpected_message",
        Alert::NoApplicationProtocol => {
            "the alert no_application_protocol: it speaks neither HTTP/2 nor HTTP/1.1"
        }
        other => return format!("the alert {}", u8::from(other)),
    };
    name.to_owned()
}
