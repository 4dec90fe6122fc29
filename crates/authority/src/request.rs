//! What a client asks for: a query or a form becomes a [`TokenRequest`], the same from both.

use std::net::IpAddr;

use http::HeaderMap;
use portpass_protocol::{
    access::{Access, AccessSet},
    scope::{Scope, ScopeError},
    secret::SecretForm,
};
use portpass_token::{KeyIdForm, ServiceName};
use secrecy::SecretString;

mod credential;
mod exchange;
mod fields;
#[cfg(test)]
mod tests;

pub(crate) use credential::grants;
pub use credential::{Credential, CredentialError};
use fields::Fields;

use crate::{signer::Signer, subject::AccountName};

/// What a client asks a token for.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// Which registry the token is for; one that we sign for.
    pub service: Service,
    /// What it asks to do there, one entry per resource, in the order asked.
    pub requested: AccessSet,
    /// Scopes that could not be read or that no registry can have, and words that no action is. They are left out, never
    /// a reason to refuse the rest (SC4, T6).
    pub unread_scopes: Vec<ScopeError>,
    /// Who it says to be.
    pub credential: Credential,
    /// Whether it asks for a refresh token too, and may have one.
    pub wants_refresh: bool,
    /// Which way it came, which decides what the answer looks like.
    pub leg: Leg,
    /// For the trail.
    pub client: ClientInfo,
}

/// The two ways to ask for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    /// The query, with HTTP Basic (docs/protocol.md §4).
    Get,
    /// The OAuth 2 form (docs/protocol.md §5).
    Post,
}

/// What is known of the program that asks. Nothing is decided by it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientInfo {
    /// `client_id`, where it is printable (TG8).
    pub id: Option<String>,
    /// Where the request came from.
    pub address: Option<IpAddr>,
    /// That `address` is a proxy's, which did not say where its client is.
    pub is_unnamed: bool,
    /// The request's id.
    pub request: Option<String>,
}

impl ClientInfo {
    /// Where the client is, if that is known: what rules about addresses go by.
    pub fn known_address(&self) -> Option<IpAddr> {
        self.address.filter(|_| !self.is_unnamed)
    }
}

/// A registry that tokens are signed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its `service`, byte by byte; the token's `aud`.
    pub name: ServiceName,
    /// Which key signs its tokens.
    pub signer: Signer,
    /// How its tokens name the key.
    pub key_id: KeyIdForm,
    /// Whether its clients are given refresh tokens.
    pub refresh: RefreshIssuance,
}

/// Whether clients that ask for a refresh token get one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshIssuance {
    /// They do.
    Given,
    /// They do not: docker keeps the password then, which programs can read that know no identity tokens.
    Withheld,
}

/// All registries that tokens are signed for. A token for any other audience is never signed (TG10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Services {
    first: Service,
    others: Vec<Service>,
}

impl Services {
    /// The first is meant by requests that name none.
    pub fn new(first: Service, others: Vec<Service>) -> Self {
        Self { first, others }
    }

    /// The one that is meant by requests that name none.
    pub fn first(&self) -> &Service {
        &self.first
    }

    /// The one of that name.
    pub fn named(&self, name: &str) -> Option<&Service> {
        self.iter().find(|service| service.name.as_str() == name)
    }

    /// In the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Service> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// An absent or empty name means the first (T10).
    fn resolve(&self, name: Option<&str>) -> Result<&Service, RequestError> {
        match name {
            None | Some("") => Ok(&self.first),
            Some(name) => self
                .named(name)
                .ok_or_else(|| RequestError::UnknownService { service: excerpt(name) }),
        }
    }
}

impl TokenRequest {
    /// Reads a GET: everything in the query, credentials in the `Authorization` header (TG1, TG2).
    pub fn from_query(
        query: &str,
        headers: &HeaderMap,
        services: &Services,
    ) -> Result<Self, RequestError> {
        let fields = Fields::parse(query.as_bytes());
        let credential = credential::from_headers(headers)?;
        check_account(&fields, &credential)?;
        if matches!(credential, Credential::Anonymous) {
            // Whoever sends a secret must not be taken for somebody who sent none (T8).
            for field in ["password", "refresh_token", "subject_token", "grant_type"] {
                if fields.one(field)?.is_some_and(|value| !value.is_empty()) {
                    return Err(RequestError::InUrl { field });
                }
            }
        }
        let wants_refresh = fields.one("offline_token")?.is_some_and(|v| v == "true" || v == "1");
        Self::read(&fields, services, Leg::Get, credential, wants_refresh)
    }

    /// Reads a POST. An empty one whose query names a service or a scope is that GET: there are
    /// clients that turn to GET only on 405.
    pub fn from_form(
        form: &[u8],
        query: &str,
        headers: &HeaderMap,
        services: &Services,
    ) -> Result<Self, RequestError> {
        if form.is_empty() {
            let fields = Fields::parse(query.as_bytes());
            return if fields.has("service") || fields.has("scope") {
                Self::from_query(query, headers, services)
            } else {
                Err(RequestError::Empty)
            };
        }
        if form.len() > MAX_FORM {
            return Err(RequestError::FormTooLong);
        }
        check_content_type(headers)?;
        let fields = Fields::parse(form);
        let credential = credential::from_form(&fields, headers)?;
        check_account(&fields, &credential)?;
        let wants_refresh = fields.one("access_type")?.is_some_and(|value| value == "offline");
        Self::read(&fields, services, Leg::Post, credential, wants_refresh)
    }

    /// With what the listener knows of the client.
    #[must_use]
    pub fn from_client(mut self, client: ClientInfo) -> Self {
        self.client = ClientInfo { id: self.client.id, ..client };
        self
    }

    fn read(
        fields: &Fields,
        services: &Services,
        leg: Leg,
        credential: Credential,
        wants_refresh: bool,
    ) -> Result<Self, RequestError> {
        let service = match &credential {
            Credential::Exchange(_) => {
                let target = exchange::service(fields)?;
                let found = services.resolve(target);
                found.map_err(|_| RequestError::Target {
                    target: excerpt(target.unwrap_or_default()),
                })?
            }
            _ => services.resolve(fields.one("service")?)?,
        };
        let service = service.clone();
        let wants_refresh = wants_refresh && service.refresh == RefreshIssuance::Given;
        let (requested, unread_scopes) = read_scopes(fields)?;
        let id = fields.one("client_id")?.filter(|id| is_printable(id)).map(str::to_owned);
        let client = ClientInfo { id, ..ClientInfo::default() };
        Ok(Self { service, requested, unread_scopes, credential, wants_refresh, leg, client })
    }
}

/// The token that a revocation names (RFC 7009 §2.1); whatever else stands there is a hint.
pub(crate) fn revocation(form: &[u8], headers: &HeaderMap) -> Result<SecretString, RequestError> {
    check_content_type(headers)?;
    let fields = Fields::parse(form);
    fields.one("token")?.map(SecretString::from).ok_or(RequestError::Missing { field: "token" })
}

/// Who asks about a token, and which (RFC 7662 §2.1).
pub(crate) fn introspection(
    form: &[u8],
    headers: &HeaderMap,
) -> Result<(Credential, SecretString), RequestError> {
    let token = revocation(form, headers)?;
    Ok((credential::from_headers(headers)?, token))
}

/// Every `scope` there is, each a list (SC8, T6): the union of all, unreadable ones apart.
fn read_scopes(fields: &Fields) -> Result<(AccessSet, Vec<ScopeError>), RequestError> {
    let mut requested = AccessSet::new();
    let mut unread_scopes = Vec::new();
    for word in fields.all("scope").flat_map(|list| list.split(' ')).filter(|w| !w.is_empty()) {
        if word.len() > MAX_SCOPE {
            return Err(RequestError::ScopeTooLong);
        }
        let (read, left_out) = match Scope::parse_lenient(word) {
            Ok((scope, left_out)) => (scope.with_valid_name(), left_out),
            Err(error) => (Err(error), None),
        };
        match read {
            Ok(scope) => {
                unread_scopes.extend(left_out);
                add(&mut requested, scope.into_access())?;
            }
            Err(error) => unread_scopes.push(error),
        }
        unread_scopes.truncate(MAX_UNREAD);
    }
    Ok((requested, unread_scopes))
}

/// Counts while adding, so that no request makes us compare each of thousands of words with all.
fn add(requested: &mut AccessSet, access: Access) -> Result<(), RequestError> {
    let resource = access.resource.clone();
    requested.insert(access);
    if requested.len() > MAX_RESOURCES {
        return Err(RequestError::TooManyResources);
    }
    if requested.actions_on(&resource).is_some_and(|actions| actions.len() > MAX_ACTIONS) {
        return Err(RequestError::TooManyActions);
    }
    Ok(())
}

/// `account` is for the log; where it names somebody else than the credential, something is mixed
/// up and nothing is signed (TG3).
fn check_account(fields: &Fields, credential: &Credential) -> Result<(), RequestError> {
    let presented = match credential {
        Credential::Password(login) => &login.account,
        Credential::Machine(login) => &login.account,
        // The name beside a token counts for nothing.
        Credential::Token(_)
        | Credential::Anonymous
        | Credential::Refresh(_)
        | Credential::Exchange(_) => return Ok(()),
    };
    match fields.one("account")? {
        None | Some("") => Ok(()),
        Some(account) if account == presented.as_str() => Ok(()),
        Some(account) => Err(RequestError::OtherAccount {
            account: excerpt(account),
            presented: presented.to_string(),
        }),
    }
}

/// Parameters such as `; charset=utf-8` are fine (TP1), and so is no type at all.
fn check_content_type(headers: &HeaderMap) -> Result<(), RequestError> {
    let Some(value) = headers.get(http::header::CONTENT_TYPE) else { return Ok(()) };
    let text = value.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        Ok(())
    } else {
        Err(RequestError::NotAForm { content_type: excerpt(text) })
    }
}

/// RFC 6749 A.1, and no longer than anybody reads.
fn is_printable(text: &str) -> bool {
    (1..=MAX_CLIENT_ID).contains(&text.len()) && text.bytes().all(|b| (0x20..0x7f).contains(&b))
}

/// What of a foreign text fits into an error. `account` repeats the name, and a secret may stand in its place.
fn excerpt(text: &str) -> String {
    if let Some(form) = SecretForm::of(text) {
        return format!("{}…", form.prefix());
    }
    if text.starts_with(JWT_BEGINS) {
        return format!("{JWT_BEGINS}…");
    }
    let mut characters = text.chars();
    let mut kept: String = characters.by_ref().take(MAX_EXCERPT).collect();
    if characters.next().is_some() {
        kept.push('…');
    }
    kept
}

fn use_instead(expected: &[&str]) -> String {
    if expected.is_empty() {
        "leave it out".to_owned()
    } else {
        format!("use {}", expected.join(" or "))
    }
}

/// Why a request cannot be answered, before anybody was authenticated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The body broke off or took too long.
    #[error("the form did not arrive: {reason}")]
    Broken {
        /// Why.
        reason: String,
    },
    /// Neither a form nor a query.
    #[error("the form is empty; send `grant_type`, `service` and `scope` in it")]
    Empty,
    /// The form is longer than anything a client has to say.
    #[error("the form is longer than {MAX_FORM} bytes")]
    FormTooLong,
    /// Credentials where logs and caches see them.
    #[error("`{field}` is in the URL; send it in the body of a POST, or HTTP Basic")]
    InUrl {
        /// Which.
        field: &'static str,
    },
    /// A parameter that a grant cannot do without.
    #[error("`{field}` is missing in the form")]
    Missing {
        /// Which.
        field: &'static str,
    },
    /// The body is something else.
    #[error("the body is {content_type:?}; send `application/x-www-form-urlencoded`")]
    NotAForm {
        /// As sent.
        content_type: String,
    },
    /// A parameter that is not UTF-8.
    #[error("`{field}` is not UTF-8 text")]
    NotText {
        /// Which.
        field: &'static str,
    },
    /// `account` and the credential disagree.
    #[error("`account` is {account:?}, but the credentials are those of {presented:?}")]
    OtherAccount {
        /// As sent.
        account: String,
        /// The credential's.
        presented: String,
    },
    /// A parameter with two values.
    #[error("`{field}` is given twice with different values")]
    Repeated {
        /// Which.
        field: &'static str,
    },
    /// What is to be exchanged is no token.
    #[error("`subject_token` is no JWT that names its issuer: send the token of the job as it is")]
    NoToken,
    /// One scope alone is too long.
    #[error("a scope is longer than {MAX_SCOPE} bytes")]
    ScopeTooLong,
    /// One resource with more actions than there are.
    #[error("more than {MAX_ACTIONS} actions are asked for on one resource")]
    TooManyActions,
    /// More than any client needs at once.
    #[error("more than {MAX_RESOURCES} resources are asked for at once; ask in several requests")]
    TooManyResources,
    /// A registry that we do not sign for, in an exchange of tokens.
    #[error(
        "no tokens are issued for the target {target:?}: name a service of this server in `service` or `audience`, and no `resource`"
    )]
    Target {
        /// As sent.
        target: String,
    },
    /// A kind of token that cannot be exchanged, or not into.
    #[error("`{field}` is {found:?}, which is not supported; {}", use_instead(expected))]
    TokenType {
        /// Which parameter.
        field: &'static str,
        /// As sent.
        found: String,
        /// What it can be.
        expected: &'static [&'static str],
    },
    /// Credentials in the header and others in the form.
    #[error("the form and the `Authorization` header have different credentials; send one")]
    TwoCredentials,
    /// A credential is there and is none.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// An audience that we do not sign for.
    #[error("service {service:?} is not one that this server issues tokens for")]
    UnknownService {
        /// As sent.
        service: String,
    },
    /// A grant that does not exist here.
    #[error(
        "grant type {grant:?} is not supported; use `password`, `refresh_token` or `urn:ietf:params:oauth:grant-type:token-exchange`"
    )]
    UnsupportedGrant {
        /// As sent.
        grant: String,
    },
}

impl RequestError {
    /// A stable word for logs and metrics.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Broken { .. } => "form-broken",
            Self::Empty => "form-empty",
            Self::FormTooLong => "form-too-long",
            Self::InUrl { .. } => "credentials-in-url",
            Self::Missing { .. } => "parameter-missing",
            Self::NoToken => "workload-malformed",
            Self::NotAForm { .. } => "not-a-form",
            Self::NotText { .. } => "not-text",
            Self::OtherAccount { .. } => "account-mismatch",
            Self::Repeated { .. } => "parameter-repeated",
            Self::ScopeTooLong | Self::TooManyActions | Self::TooManyResources => "too-many-scopes",
            Self::TokenType { .. } => "token-type-unsupported",
            Self::TwoCredentials => "two-credentials",
            Self::Credential(CredentialError::EmptyPassword { .. }) => "password-empty",
            Self::Credential(
                CredentialError::IdentityToken { .. } | CredentialError::IdentityTokenForName,
            ) => "identity-token-as-password",
            Self::Credential(CredentialError::DamagedSecret { .. }) => "secret-damaged",
            Self::Credential(_) => "credentials-unusable",
            Self::Target { .. } | Self::UnknownService { .. } => "service-unknown",
            Self::UnsupportedGrant { .. } => "grant-unsupported",
        }
    }

    /// Whom it says to come from, where that is known. Nothing proves it.
    pub fn account(&self) -> Option<&AccountName> {
        let Self::Credential(unusable) = self else { return None };
        unusable.account()
    }
}

/// The longest form that is read, in bytes.
pub const MAX_FORM: usize = 64 * 1024;
/// The most resources that one token can be asked for.
pub const MAX_RESOURCES: usize = 256;
const MAX_ACTIONS: usize = 16;
const MAX_SCOPE: usize = 1024;
const MAX_UNREAD: usize = 16;
const MAX_CLIENT_ID: usize = 128;
const MAX_EXCERPT: usize = 80;
/// `{"` in base64url: so the header of every token begins.
const JWT_BEGINS: &str = "eyJ";
