//! Verifiers that accept more than rustls does. None of them is used unless somebody asked for it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::{
    CertificateFault, Fallback, PresentedChain, ServerVerification, leaf, path, rules, rustls_rules,
};

/// Verifies by the rules of rustls, and where those refuse, by others.
#[derive(Debug)]
pub(super) struct Verifier {
    /// `None` without any authority.
    webpki: Option<Arc<WebPkiServerVerifier>>,
    also: FallbackRule,
    provider: Arc<CryptoProvider>,
}

/// What a connection may also be verified by, where rustls refuses.
#[derive(Debug)]
enum FallbackRule {
    /// A certificate that stands byte for byte among these, as Go takes it.
    Named(Vec<CertificateDer<'static>>),
    /// Whatever Go takes with these authorities.
    Go(Vec<CertificateDer<'static>>),
    /// Nothing is checked: an attacker in the network can read passwords and tokens.
    AcceptAny,
    /// Neither, and what was shown is kept.
    Recorded(RecordedChain),
}

/// The certificates that were shown last, the server's own first.
#[derive(Debug, Clone, Default)]
pub struct RecordedChain(Arc<Mutex<Vec<CertificateDer<'static>>>>);

impl RecordedChain {
    /// Takes them out; empty before a server has shown any.
    pub fn take(&self) -> Vec<CertificateDer<'static>> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn keep(&self, chain: Vec<CertificateDer<'_>>) {
        let chain = chain.into_iter().map(CertificateDer::into_owned).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = chain;
    }
}

impl Verifier {
    pub(super) fn new(verification: ServerVerification) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        match verification {
            ServerVerification::Authorities { system, named, fallback } => {
                let all: Vec<_> = system.into_iter().chain(named.iter().cloned()).collect();
                let webpki = rustls_rules::verifier(all.iter().cloned());
                let also = match fallback {
                    Fallback::Named => FallbackRule::Named(named),
                    Fallback::Go => FallbackRule::Go(all),
                };
                Self { webpki, also, provider }
            }
            ServerVerification::Disabled => {
                Self { webpki: None, also: FallbackRule::AcceptAny, provider }
            }
            ServerVerification::Recorded(recorded) => {
                Self { webpki: None, also: FallbackRule::Recorded(recorded), provider }
            }
        }
    }
}

/// The error that says more: that of rustls, unless it stumbles over what is no fault of a certificate that signed
/// itself or was named.
fn more_specific(refused: Error, fault: CertificateFault) -> Error {
    let stumbles = match &refused {
        Error::InvalidCertificate(error) => {
            use CertificateFault::{Algorithm, Authority, Signature, Unknown};
            matches!(
                rustls_rules::certificate_fault(error),
                Algorithm | Authority | Signature | Unknown
            )
        }
        _ => false,
    };
    if stumbles && fault != CertificateFault::Unknown { into_rustls(fault) } else { refused }
}

/// Ours, as an error of rustls.
fn into_rustls(fault: CertificateFault) -> Error {
    CertificateError::Other(OtherError(Arc::new(fault))).into()
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let by_webpki = match &self.webpki {
            Some(verifier) => verifier.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            ),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        // Whoever vouches for it: with a key too short no handshake can be verified.
        let verifiable = leaf::verifiable(end_entity);
        let by_webpki =
            by_webpki.and_then(|trusted| verifiable.clone().map_err(into_rustls).map(|()| trusted));
        by_webpki.or_else(|refused| {
            let chain: Vec<CertificateDer<'_>> =
                std::iter::once(end_entity).chain(intermediates).cloned().collect();
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs());
            let presented = PresentedChain { chain: &chain, name: server_name, now };
            let also = match &self.also {
                FallbackRule::Named(named) => leaf::verify_pinned(&presented, named),
                FallbackRule::Go(roots) => {
                    path::verify(rules::GO, &presented, roots, &Err(CertificateFault::Other))
                }
                FallbackRule::AcceptAny => return Ok(ServerCertVerified::assertion()),
                FallbackRule::Recorded(recorded) => {
                    recorded.keep(chain);
                    return Ok(ServerCertVerified::assertion());
                }
            };
            verifiable
                .and(also)
                .map(|()| ServerCertVerified::assertion())
                .map_err(|fault| more_specific(refused, fault))
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
