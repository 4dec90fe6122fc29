//! What to do about a certificate that is not trusted.

use super::CertificateFault;

impl CertificateFault {
    /// What to do. `where_to` says where clients look for authorities.
    pub fn fix(&self, where_to: &str) -> String {
        match self {
            Self::SelfSigned => format!("put this certificate where clients look: {where_to}"),
            Self::Unknown => format!(
                "put the authority's certificate where clients look: {where_to}; if its root is already trusted there, the server does not send an intermediate one and must serve the whole chain"
            ),
            Self::Incomplete(at) => format!(
                "serve the whole chain: append the issuer's certificate, which is at {at}, to the server's file (certbot: fullchain.pem, not cert.pem); browsers fetch it themselves, registry clients do not"
            ),
            Self::NameMismatch | Self::CommonName => "issue it for the name or address that clients use, as a subject alternative name (`DNS:…`, for addresses `IP:…`); clients ignore the common name".to_owned(),
            Self::Expired => "renew it, and let the server read the new one; if it has not expired, this machine's clock is wrong".to_owned(),
            Self::AuthorityOutOfValidity(_) => "renew the authority's certificate (its key can stay), and give the new one to clients; certificates that it signed stay valid".to_owned(),
            Self::NotYetValid => "set the clock of this machine, or of the one that issued the certificate".to_owned(),
            Self::Authority => "issue a certificate with CA:FALSE for the server; `openssl req -x509` makes an authority's certificate, unless you add `-addext basicConstraints=critical,CA:FALSE`".to_owned(),
            Self::NotAnAuthority(_) => "issue the authority's certificate again with CA:TRUE and, if it has a keyUsage, with keyCertSign in it; clients need the new one".to_owned(),
            Self::Purpose => "issue it with `extendedKeyUsage = serverAuth`, or without that extension".to_owned(),
            Self::KeyUsage => "issue it with `keyUsage = digitalSignature` (for RSA keyEncipherment as well), or without that extension".to_owned(),
            Self::Extension => "issue it without that extension, or make the extension not critical".to_owned(),
            Self::KeyTooShort(_) => "make a new key, P-256 or RSA with 2048 bits or more, and a certificate for it".to_owned(),
            Self::Algorithm => "sign it with SHA-256 or better".to_owned(),
            Self::Constraint => "issue it from an authority that may sign for this name, and for every other name in it".to_owned(),
            Self::UnjudgedConstraint => "check with `openssl verify -CAfile AUTHORITY -untrusted CHAIN CERTIFICATE`. All clients support constraints on DNS names and addresses only".to_owned(),
            Self::Signature | Self::Unreadable | Self::Revoked | Self::Other => {
                "issue it again".to_owned()
            }
        }
    }
}
