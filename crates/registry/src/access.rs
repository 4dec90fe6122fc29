//! The one decision about a request: who asks, how far they reach, and whether that is enough.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use http::request::Parts;
use portpass_protocol::{Access, Challenge, Origin, RepositoryName};

use crate::{
    controller::{Denial, Guard, Reason},
    credentials::{Caller, Credentials},
    grant::Grant,
    route::{Mount, Route, Start},
};

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

    /// What is to be served.
    pub fn route(&self) -> &Route {
        &self.route
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
    pub fingerprint: Option<u64>,
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
        Guard::Controller(controller) => controller,
    };
    let needed = route.access();
    let token = match &caller.credentials {
        Credentials::Bearer(token) => Some(*token),
        Credentials::Basic { .. } | Credentials::Nothing | Credentials::Other(_) => None,
    };
    let (subject, denial) = match controller.authorize(caller).await {
        Ok(grant) => match admit(route, grant, &needed) {
            Ok(authorized) => return Ok(authorized),
            Err((grant, denial)) => (Some(grant.subject().to_owned()), denial),
        },
        Err(denial) => (None, denial),
    };
    let challenge = controller.challenge(origin, &needed, &denial);
    let fingerprint = token.map(fingerprint_of);
    Err(Box::new(Denied { needed, subject, denial, fingerprint, challenge }))
}

/// The same for the same token. 64 bits of a hash are no token, and lead to none.
fn fingerprint_of(token: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    token.hash(&mut hasher);
    hasher.finish()
}

/// A push to a repository whose grant has ended while its body was still coming: what it would be told if it
/// came now. `None` where nobody is asked.
pub(crate) fn token_expired(
    guard: &Guard,
    head: &Parts,
    name: &RepositoryName,
    grant: &Grant,
) -> Option<Box<Denied>> {
    let (Guard::Controller(controller), Some(origin)) = (guard, head.extensions.get::<Origin>())
    else {
        return None;
    };
    let denial = Denial::InvalidToken(Reason {
        id: "token-expired",
        text: "the token expired while the manifest was still coming".to_owned(),
        token: None,
    });
    let needed = vec![name.pull_push()];
    let challenge = controller.challenge(origin, &needed, &denial);
    let subject = Some(grant.subject().to_owned());
    Some(Box::new(Denied { needed, subject, denial, fingerprint: None, challenge }))
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
/// for and refused: asking again would not help, so it becomes an ordinary upload (R7:
/// never 403). A source that the grant does not name at all has not been asked for yet: that is a 401 that
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
    tracing::info!(subject = grant.subject(), repository = %name, %from, %digest,
        "blob is not mounted: the caller may not pull from its source; an ordinary upload begins");
    let start = Start::Session(digest.algorithm());
    Some(Route::StartUpload { name: name.clone(), start })
}

#[cfg(test)]
mod tests;
