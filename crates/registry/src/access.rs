//! The one decision about a request: who asks, how far they reach, and whether that is enough.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::IpAddr,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header::AUTHORIZATION, request::Parts};
use portpass_protocol::{
    Access, AccessSet, Action, Challenge, Origin, RepositoryName, Resource, origin::ClientAddress,
};
use secrecy::SecretString;

use crate::{
    controller::{Denial, Guard, Reason},
    route::{Mount, Route, Start},
};

#[cfg(test)]
mod tests;

/// Who calls, before anybody has said who it is.
#[derive(Debug)]
pub struct Caller<'a> {
    /// From where, as the listener says.
    pub address: Option<IpAddr>,
    /// With what in hand.
    pub presented: Presented<'a>,
}

impl<'a> Caller<'a> {
    /// Who sent a request, from what the listener has put into its extensions and from its headers.
    pub fn of(head: &'a Parts) -> Self {
        Self {
            address: head.extensions.get::<ClientAddress>().map(|address| address.0),
            presented: Presented::from_headers(&head.headers),
        }
    }
}

/// What a request's `Authorization` header holds.
#[derive(Debug)]
pub enum Presented<'a> {
    /// There is no such header, or an empty one.
    Nothing,
    /// A name and a password (RFC 7617), split at the first colon.
    Basic {
        /// What stands before the colon; may be empty (HT4).
        username: String,
        /// All that stands behind it.
        password: SecretString,
    },
    /// A token, whatever it looks like (VO1).
    Bearer(&'a str),
    /// Something else.
    Other(Unusable),
}

impl<'a> Presented<'a> {
    /// Reads the header as distribution does: scheme and credentials are told apart by exactly one
    /// space, and the scheme's case does not matter (VO1, HT1).
    ///
    /// Two headers are none: which of them counts would depend on who reads first (AR14).
    pub fn from_headers(headers: &'a HeaderMap) -> Self {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = match (values.next(), values.next()) {
            (None, _) => return Self::Nothing,
            (Some(value), None) => value,
            (Some(_), Some(_)) => return Self::Other(Unusable::Several),
        };
        let Ok(text) = value.to_str() else {
            return Self::Other(Unusable::NotAscii);
        };
        if text.is_empty() {
            return Self::Nothing;
        }
        let (scheme, credentials) = text.split_once(' ').unwrap_or((text, ""));
        match (scheme.to_ascii_lowercase().as_str(), credentials) {
            ("bearer", "") => Self::Other(Unusable::NoToken),
            ("bearer", token) => Self::Bearer(token),
            ("basic", pair) => basic(pair).unwrap_or(Self::Other(Unusable::MalformedBasic)),
            _ => Self::Other(Unusable::Scheme),
        }
    }
}

/// Why an `Authorization` header cannot be read. Never shows what it holds: clients have put tokens
/// in all the wrong places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// Basic, but not base64 of UTF-8 with a colon.
    #[error("the Authorization header says Basic, but what follows is not base64 of NAME:PASSWORD")]
    MalformedBasic,
    /// Bearer, and nothing behind it: the client had no token and went on without.
    #[error(
        "the Authorization header says Bearer, but no token follows: \
         the token service may have answered without `token` or `access_token`"
    )]
    NoToken,
    /// Bytes that no credentials have.
    #[error("the Authorization header is not ASCII")]
    NotAscii,
    /// Neither Basic nor Bearer, or no space behind it.
    #[error("the Authorization header begins neither with `Bearer ` nor with `Basic `")]
    Scheme,
    /// More than one header.
    #[error("the request has more than one Authorization header")]
    Several,
}

impl Unusable {
    /// A stable word for it.
    pub fn id(self) -> &'static str {
        match self {
            Self::MalformedBasic => "basic-malformed",
            Self::NoToken => "token-empty",
            Self::NotAscii => "authorization-not-ascii",
            Self::Scheme => "authorization-scheme",
            Self::Several => "authorization-repeated",
        }
    }
}

/// Who asks, and how far they reach. Controllers make them; only [`authorize`] compares them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    subject: String,
    reach: Reach,
    until: Option<SystemTime>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reach {
    Everything,
    Listed(AccessSet),
}

impl Grant {
    /// Everything there is, to a caller of this name.
    pub fn everything(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), reach: Reach::Everything, until: None }
    }

    /// What is listed, and nothing else.
    pub fn listed(subject: impl Into<String>, access: AccessSet) -> Self {
        Self { subject: subject.into(), reach: Reach::Listed(access), until: None }
    }

    /// The same, which ends at this time: what takes longer is cut off.
    #[must_use]
    pub fn until(self, end: SystemTime) -> Self {
        Self { until: Some(end), ..self }
    }

    /// How long it is good for from `now` on; `None` where it does not end.
    pub(crate) fn left(&self, now: SystemTime) -> Option<Duration> {
        self.until.map(|end| end.duration_since(now).unwrap_or_default())
    }

    /// Who asks; empty for an anonymous caller.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// In which repositories this caller may look for a blob that a mount names without its source
    /// (OC15; zot's CVE-2024-39897).
    pub fn readable(&self) -> Readable {
        let listed = match &self.reach {
            Reach::Everything => return Readable::All,
            Reach::Listed(listed) => listed,
        };
        let repositories = listed
            .iter()
            .filter(|access| &*access.resource.resource_type == Resource::REPOSITORY)
            .filter(|access| access.actions.grants(&Action::Pull))
            .filter_map(|access| access.resource.name.parse().ok())
            .collect();
        Readable::Among(repositories)
    }

    /// For the log.
    fn listing(&self) -> AccessSet {
        match &self.reach {
            Reach::Everything => AccessSet::new(),
            Reach::Listed(listed) => listed.clone(),
        }
    }

    fn covers(&self, needed: &Access) -> bool {
        match &self.reach {
            Reach::Everything => true,
            Reach::Listed(listed) => listed.covers(needed),
        }
    }

    /// Whether the grant says anything of a repository, and be it that nothing is allowed there.
    fn names(&self, repository: &RepositoryName) -> bool {
        match &self.reach {
            Reach::Everything => true,
            Reach::Listed(listed) => {
                listed.actions_on(&Resource::repository(repository.as_str())).is_some()
            }
        }
    }
}

/// The repositories that a caller may pull from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readable {
    /// Whatever there is.
    All,
    /// These.
    Among(Vec<RepositoryName>),
}

/// A route that may be served, for the one who asked. Only [`authorize`] makes one.
#[derive(Debug)]
pub struct Authorized {
    route: Route,
    grant: Grant,
}

impl Authorized {
    /// Who asked.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// What is to be served, and for whom.
    pub fn into_parts(self) -> (Route, Grant) {
        (self.route, self.grant)
    }
}

/// A route that is not served.
#[derive(Debug)]
pub struct Denied {
    /// What it needs.
    pub needed: Vec<Access>,
    /// Who asked, where that is known.
    pub subject: Option<String>,
    /// Why.
    pub denial: Denial,
    /// Tells the token that was shown from others, and nothing else.
    pub mark: Option<u64>,
    /// How to come back.
    pub challenge: Challenge,
}

/// Decides about a request. There is no other way to an [`Authorized`].
pub async fn authorize(
    guard: &Guard,
    caller: Caller<'_>,
    route: Route,
    origin: &Origin,
) -> Result<Authorized, Box<Denied>> {
    let controller = match guard {
        Guard::Open => return Ok(Authorized { route, grant: Grant::everything("") }),
        Guard::By(controller) => controller,
    };
    let needed = route.access();
    let token = match &caller.presented {
        Presented::Bearer(token) => Some(*token),
        Presented::Basic { .. } | Presented::Nothing | Presented::Other(_) => None,
    };
    let (subject, denial) = match controller.authorize(caller).await {
        Ok(grant) => match admit(route, grant, &needed) {
            Ok(authorized) => return Ok(authorized),
            Err((grant, denial)) => (Some(grant.subject), denial),
        },
        Err(denial) => (None, denial),
    };
    let challenge = controller.challenge(origin, &needed, &denial);
    let mark = token.map(mark_of);
    Err(Box::new(Denied { needed, subject, denial, mark, challenge }))
}

/// The same for the same token. 64 bits of a hash are no token, and lead to none.
fn mark_of(token: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    token.hash(&mut hasher);
    hasher.finish()
}

/// A push to a repository whose grant has ended while its body was still coming: what it would be told if it
/// came now. `None` where nobody is asked.
pub(crate) fn outlived(
    guard: &Guard,
    head: &Parts,
    name: &RepositoryName,
    grant: &Grant,
) -> Option<Box<Denied>> {
    let (Guard::By(controller), Some(origin)) = (guard, head.extensions.get::<Origin>()) else {
        return None;
    };
    let denial = Denial::InvalidToken(Reason {
        id: "token-expired",
        text: "the token expired while the manifest was still coming".to_owned(),
        token: None,
    });
    let needed = vec![name.pull_push()];
    let challenge = controller.challenge(origin, &needed, &denial);
    let subject = Some(grant.subject.clone());
    Some(Box::new(Denied { needed, subject, denial, mark: None, challenge }))
}

/// Compares what is granted with what is needed.
fn admit(route: Route, grant: Grant, needed: &[Access]) -> Result<Authorized, (Grant, Denial)> {
    let lacking: Vec<&Access> = needed.iter().filter(|access| !grant.covers(access)).collect();
    if lacking.is_empty() {
        return Ok(Authorized { route, grant });
    }
    if let Some(route) = without_mount(&route, &grant) {
        return Ok(Authorized { route, grant });
    }
    let lacking = lacking.into_iter().cloned().collect();
    let denial = Denial::InsufficientScope { granted: grant.listing(), lacking };
    Err((grant, denial))
}

/// A mount whose target is granted, and whose source the grant names without `pull`, has been asked
/// for and refused: asking again would not help, so it becomes an ordinary upload (design: never 403;
/// R7). A source that the grant does not name at all has not been asked for yet: that is a 401 that
/// lists both, from which clients learn what to ask.
fn without_mount(route: &Route, grant: &Grant) -> Option<Route> {
    let Route::StartUpload { name, start: Start::Mount(Mount { digest, from: Some(from) }) } =
        route
    else {
        return None;
    };
    if !grant.covers(&name.pull_push()) || !grant.names(from) {
        return None;
    }
    tracing::info!(subject = grant.subject, repository = %name, %from, %digest,
        "blob is not mounted: the caller may not pull from its source; an ordinary upload begins");
    let start = Start::Session(digest.algorithm());
    Some(Route::StartUpload { name: name.clone(), start })
}

/// Splits base64 of `NAME:PASSWORD` at the first colon (HT1); `None` where there is no such thing.
fn basic(pair: &str) -> Option<Presented<'static>> {
    let bytes = STANDARD.decode(pair).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (username, password) = text.split_once(':')?;
    Some(Presented::Basic { username: username.to_owned(), password: SecretString::from(password) })
}
