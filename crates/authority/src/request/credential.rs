//! Credentials of a request: HTTP Basic, or the form's grant.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{HeaderMap, header::AUTHORIZATION};
use portpass_federation::workload::ClaimedToken;
use portpass_protocol::secret::SecretForm;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{Fields, RequestError, excerpt, exchange};
use crate::{
    refresh::{MalformedSecret, RefreshSecret},
    secret::{DamagedSecret, MachineLogin, MachineSecret, noun},
    subject::{AccountName, Login, NameError, TokenLogin},
};

/// What a token request presents.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Nothing: not even an `Authorization` header.
    Anonymous,
    /// HTTP Basic, or the form's `username` and `password`.
    Password(Login),
    /// The same, where the password is the secret of a robot or an API key.
    Machine(MachineLogin),
    /// The same, where the password is a token that names its issuer.
    Token(TokenLogin),
    /// The form's `refresh_token`.
    Refresh(RefreshSecret),
    /// The form's `subject_token`, a workload's, which is exchanged for one of ours (RFC 8693).
    Exchange(ClaimedToken),
}

impl Credential {
    /// What the answer has to say of its token.
    pub(crate) fn issued_token_type(&self) -> Option<&'static str> {
        matches!(self, Self::Exchange(_)).then_some(exchange::ACCESS_TOKEN)
    }

    /// Whom it says to come from, if it names anybody.
    pub fn account(&self) -> Option<&AccountName> {
        match self {
            Self::Password(login) => Some(&login.account),
            Self::Machine(login) => Some(&login.account),
            Self::Token(login) => Some(&login.account),
            Self::Anonymous | Self::Refresh(_) | Self::Exchange(_) => None,
        }
    }
}

/// Reads the header of a GET. One that is there but unusable is refused: whoever tries to say who
/// they are must not be taken for nobody (TG2, T8).
pub(super) fn from_headers(headers: &HeaderMap) -> Result<Credential, RequestError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(Credential::Anonymous) };
    if values.next().is_some() {
        return Err(CredentialError::Several.into());
    }
    let text = value.to_str().map_err(|_| CredentialError::Undecodable)?;
    let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(CredentialError::Scheme { scheme: known_scheme(scheme) }.into());
    }
    let bytes =
        Zeroizing::new(LENIENT.decode(rest.trim()).map_err(|_| CredentialError::Undecodable)?);
    let pair = std::str::from_utf8(&bytes).map_err(|_| CredentialError::Undecodable)?;
    // The first colon divides: a password may hold others (TG2).
    let (name, password) = pair.split_once(':').ok_or(CredentialError::NoColon)?;
    Ok(login(name, password)?)
}

/// The grants of a form, as [`from_form`] knows them; tokens are exchanged where there are issuers of them.
pub(crate) fn grants(exchange: bool) -> impl Iterator<Item = &'static str> {
    ["password", "refresh_token"].into_iter().chain(exchange.then_some(exchange::GRANT))
}

/// Reads the grant of a form (TP1). A header beside it must say the same.
pub(super) fn from_form(fields: &Fields, headers: &HeaderMap) -> Result<Credential, RequestError> {
    let required = |field: &'static str| fields.one(field)?.ok_or(RequestError::Missing { field });
    let credential = match required("grant_type")? {
        "password" => login(required("username")?, required("password")?)?,
        "refresh_token" => {
            let secret = required("refresh_token")?.parse::<RefreshSecret>();
            Credential::Refresh(secret.map_err(CredentialError::RefreshToken)?)
        }
        exchange::GRANT => Credential::Exchange(exchange::subject(fields)?),
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
        (Credential::Machine(header), Credential::Machine(form))
            if header.account == form.account && header.secret.hash() == form.secret.hash() =>
        {
            Ok(credential)
        }
        (Credential::Token(header), Credential::Token(form))
            if header.account == form.account && header.token.expose() == form.token.expose() =>
        {
            Ok(credential)
        }
        _ => Err(RequestError::TwoCredentials),
    }
}

/// What a program sends that reads what `docker login` has left and knows no identity tokens is told apart before
/// anybody looks for an account: it is no guess, and nothing is hashed for it. Nor for the secret of a robot or an API
/// key, which no source of accounts gets to see. Where a secret stands in place of the name, as others take theirs, nobody is
/// named by it.
fn login(name: &str, password: &str) -> Result<Credential, CredentialError> {
    match SecretForm::of(name) {
        Some(SecretForm::RefreshToken) => return Err(CredentialError::IdentityTokenForName),
        Some(form @ (SecretForm::ApiKey | SecretForm::Robot)) => {
            return Err(CredentialError::SecretForName { form });
        }
        None => {}
    }
    let is_identity_token = SecretForm::of(password) == Some(SecretForm::RefreshToken);
    if name == DOCKERS_TOKEN_USER || is_identity_token {
        return Err(CredentialError::IdentityToken { account: name.parse().ok() });
    }
    if let Some(token) = ClaimedToken::parse(password) {
        // What proves a workload is the token: its name may be anything, as clients demand one.
        let account = name.parse().unwrap_or_else(|_| AccountName::workload());
        return Ok(Credential::Token(TokenLogin { account, token }));
    }
    let account = name.parse()?;
    if password.is_empty() {
        return Err(CredentialError::EmptyPassword { account });
    }
    match MachineSecret::parse(password) {
        Some(Ok(secret)) => Ok(Credential::Machine(MachineLogin { account, secret })),
        Some(Err(problem)) => Err(CredentialError::DamagedSecret { account, problem }),
        None => Ok(Credential::Password(Login { account, password: SecretString::from(password) })),
    }
}

/// A scheme may be a token that was sent without one: only known words are repeated.
fn known_scheme(scheme: &str) -> &'static str {
    let known = ["Bearer", "Digest", "Negotiate", "AWS4-HMAC-SHA256"];
    known.into_iter().find(|word| word.eq_ignore_ascii_case(scheme)).unwrap_or("another scheme")
}

/// What docker's credential helpers call the user of an identity token.
const DOCKERS_TOKEN_USER: &str = "<token>";

const TWO_WAYS_OUT: &str = "log in with that client itself, or see `token_service.refresh_tokens`";

/// Clients pad or do not.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A credential that is there and cannot be anybody's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The secret of a robot or an API key that cannot be whole.
    #[error("{problem}")]
    DamagedSecret {
        /// Whose name stands beside it.
        account: AccountName,
        /// What is wrong with it.
        problem: DamagedSecret,
    },
    /// A name alone: what docker's file holds beside an identity token.
    #[error(
        "the client sends the user name `{account}` with an empty password: docker's file has no password beside docker's identity token; {TWO_WAYS_OUT}"
    )]
    EmptyPassword {
        /// Whose.
        account: AccountName,
    },
    /// A refresh token where a password belongs.
    #[error(
        "the client sends docker's identity token as a password: it reads what `docker login` stored, and does not support identity tokens; {TWO_WAYS_OUT}"
    )]
    IdentityToken {
        /// Whose name stands beside it, where one can be an account's.
        account: Option<AccountName>,
    },
    /// A refresh token where the name belongs. It is repeated nowhere.
    #[error(
        "the client sends docker's identity token in place of the user name: give it the name and the password of an account"
    )]
    IdentityTokenForName,
    /// No account can be called so.
    #[error("no account can have that user name: {0}")]
    Name(#[from] NameError),
    /// The decoded text has no colon.
    #[error("the Basic credentials have no colon between name and password")]
    NoColon,
    /// The text of a refresh token is not one of ours.
    #[error(transparent)]
    RefreshToken(MalformedSecret),
    /// The secret of a robot or an API key where the name belongs. It is repeated nowhere.
    #[error(
        "the {} stands in place of the user name: give the name as user name, and it as password",
        noun(*form)
    )]
    SecretForName {
        /// Which.
        form: SecretForm,
    },
    /// Something else than Basic.
    #[error("the `Authorization` header has {scheme}; the token endpoint accepts Basic")]
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

impl CredentialError {
    /// Whose name came with it.
    pub(super) fn account(&self) -> Option<&AccountName> {
        match self {
            Self::DamagedSecret { account, .. } | Self::EmptyPassword { account } => Some(account),
            Self::IdentityToken { account } => account.as_ref(),
            Self::IdentityTokenForName
            | Self::Name(_)
            | Self::NoColon
            | Self::RefreshToken(_)
            | Self::Scheme { .. }
            | Self::SecretForName { .. }
            | Self::Several
            | Self::Undecodable => None,
        }
    }
}
