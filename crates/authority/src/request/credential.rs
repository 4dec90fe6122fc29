//! Credentials of a request: HTTP Basic, or the form's grant.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{HeaderMap, header::AUTHORIZATION};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{Fields, RequestError, excerpt};
use crate::{
    refresh::{MalformedSecret, RefreshSecret},
    subject::{Credential, Login, NameError},
};

/// Reads the header of a GET. One that is there but unusable is refused: whoever tries to say who
/// they are must not be taken for nobody (TG2, T8).
pub(super) fn from_headers(headers: &HeaderMap) -> Result<Credential, RequestError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(Credential::Anonymous) };
    if values.next().is_some() {
        return Err(Unusable::Several.into());
    }
    let text = value.to_str().map_err(|_| Unusable::Undecodable)?;
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Unusable::Scheme { scheme: known_scheme(scheme) }.into());
    }
    let bytes = Zeroizing::new(LENIENT.decode(rest.trim()).map_err(|_| Unusable::Undecodable)?);
    let pair = std::str::from_utf8(&bytes).map_err(|_| Unusable::Undecodable)?;
    // The first colon divides: a password may hold others (TG2).
    let (name, password) = pair.split_once(':').ok_or(Unusable::NoColon)?;
    Ok(Credential::Password(login(name, password)?))
}

/// Reads the grant of a form (TP1). A header beside it must say the same.
pub(super) fn from_form(fields: &Fields, headers: &HeaderMap) -> Result<Credential, RequestError> {
    let required = |field: &'static str| fields.one(field)?.ok_or(RequestError::Missing { field });
    let credential = match required("grant_type")? {
        "password" => Credential::Password(login(required("username")?, required("password")?)?),
        "refresh_token" => {
            let secret = required("refresh_token")?.parse::<RefreshSecret>();
            Credential::Refresh(secret.map_err(Unusable::RefreshToken)?)
        }
        "" => return Err(RequestError::Missing { field: "grant_type" }),
        other => return Err(RequestError::UnsupportedGrant { grant: excerpt(other) }),
    };
    match (from_headers(headers)?, &credential) {
        (Credential::Anonymous, _) => Ok(credential),
        (Credential::Password(header), Credential::Password(form))
            if header.account == form.account
                && header.password.expose_secret() == form.password.expose_secret() =>
        {
            Ok(credential)
        }
        _ => Err(RequestError::TwoCredentials),
    }
}

fn login(name: &str, password: &str) -> Result<Login, Unusable> {
    Ok(Login { account: name.parse()?, password: SecretString::from(password) })
}

/// A scheme may be a token that was sent without one: only known words are repeated.
fn known_scheme(scheme: &str) -> &'static str {
    let known = ["Bearer", "Digest", "Negotiate", "AWS4-HMAC-SHA256"];
    known.into_iter().find(|word| word.eq_ignore_ascii_case(scheme)).unwrap_or("another scheme")
}

/// Clients pad or do not.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A credential that is there and cannot be anybody's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// No account can be called so.
    #[error("no account can have that user name: {0}")]
    Name(#[from] NameError),
    /// The decoded text has no colon.
    #[error("the Basic credentials have no colon between name and password")]
    NoColon,
    /// The text of a refresh token is not one of ours.
    #[error(transparent)]
    RefreshToken(MalformedSecret),
    /// Something else than Basic.
    #[error("the `Authorization` header holds {scheme}; the token endpoint takes Basic")]
    Scheme {
        /// A well-known name, or that it has none.
        scheme: &'static str,
    },
    /// Two headers, of which nobody can say which counts.
    #[error("there is more than one `Authorization` header")]
    Several,
    /// Not base64, or not UTF-8.
    #[error("the credentials are not base64 of UTF-8 text")]
    Undecodable,
}
