//! What to do about a certificate that is not trusted.

use super::CertificateFault;

impl CertificateFault {
    /// What to do. `where_to` says where clients look for authorities.
    pub fn fix(&self, where_to: &str) -> String {
        match self {
            Self::SelfSigned => format!("put this certificate where clients look: {where_to}"),
            Self::Unknown => format!(
                "put the authority's certificate where clients look: {where_to}; if its root is trusted there already, the server leaves out an intermediate one and has to serve the whole chain"
            ),
            Self::Incomplete(at) => format!(
                "serve the whole chain: append the issuer's certificate, which is at {at}, to the server's file (certbot: fullchain.pem, not cert.pem); browsers fetch it by themselves, clients of registries do not"
            ),
            Self::NameMismatch | Self::CommonName => "issue it for the name or address that clients use, as a subject alternative name (`DNS:…`, for addresses `IP:…`); a common name counts for nothing".to_owned(),
            Self::Expired => "renew it, and let the server read the new one; if it is in date, this machine's clock is wrong".to_owned(),
            Self::AuthorityOutOfValidity(_) => "renew the authority's certificate (its key can stay), and give the new one to clients; what it has signed stays good".to_owned(),
            Self::NotYetValid => "set the clock, of this machine or of the one that issued it".to_owned(),
            Self::Authority => "issue a certificate with CA:FALSE for the server; `openssl req -x509` makes one of an authority (`-addext basicConstraints=critical,CA:FALSE` makes another)".to_owned(),
            Self::NotAnAuthority(_) => "issue the authority's certificate anew with CA:TRUE and, if it has a keyUsage, with keyCertSign in it; clients have to get the new one".to_owned(),
            Self::Purpose => "issue it with `extendedKeyUsage = serverAuth`, or without that extension".to_owned(),
            Self::KeyUsage => "issue it with `keyUsage = digitalSignature` (for RSA keyEncipherment as well), or without that extension".to_owned(),
            Self::Extension => "issue it without that extension, or with it not critical".to_owned(),
            Self::KeyTooShort(_) => "make a new key, of P-256 or of RSA with 2048 bits or more, and a certificate for it".to_owned(),
            Self::Algorithm => "have it signed with SHA-256 or better".to_owned(),
            Self::Constraint => "issue it by an authority that may sign for this name, and for every other name in it".to_owned(),
            Self::UnjudgedConstraint => "ask a client: `openssl verify -CAfile AUTHORITY -untrusted CHAIN CERTIFICATE` tells. Constraints on DNS names and addresses alone are understood by all".to_owned(),
            Self::Signature | Self::Unreadable | Self::Revoked | Self::Other => {
                "issue it anew".to_owned()
            }
        }
    }
}
