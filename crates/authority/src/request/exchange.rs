//! A token for a token: the grant of RFC 8693, for workloads.

use portpass_federation::workload::ClaimedToken;

use super::{Fields, RequestError, excerpt};

/// Reads the token that is exchanged. Nobody acts for somebody else here (§1.1), and what is given out is an access
/// token.
pub(super) fn subject(fields: &Fields) -> Result<ClaimedToken, RequestError> {
    let required = |field: &'static str| fields.one(field)?.ok_or(RequestError::Missing { field });
    one_of("subject_token_type", required("subject_token_type")?, &[JWT, ID_TOKEN, ACCESS_TOKEN])?;
    if let Some(requested) = fields.one("requested_token_type")? {
        one_of("requested_token_type", requested, &[ACCESS_TOKEN, JWT])?;
    }
    if let Some(actor) = fields.one("actor_token")?.or(fields.one("actor_token_type")?)
        && !actor.is_empty()
    {
        return Err(RequestError::TokenType {
            field: "actor_token",
            found: "present".to_owned(),
            expected: &[],
        });
    }
    ClaimedToken::parse(required("subject_token")?).ok_or(RequestError::NoToken)
}

/// Which registry the token is for: `service` as everywhere, or `audience` (§2.1). Where both are there, they agree.
pub(super) fn service(fields: &Fields) -> Result<Option<&str>, RequestError> {
    let (service, audience) = (fields.one("service")?, fields.one("audience")?);
    let named = |name: &&str| !name.is_empty();
    match (service.filter(named), audience.filter(named), fields.one("resource")?) {
        (_, _, Some(resource)) => Err(RequestError::Target { target: excerpt(resource) }),
        (Some(service), Some(audience), None) if service != audience => {
            Err(RequestError::Target { target: excerpt(audience) })
        }
        (service, audience, None) => Ok(audience.or(service)),
    }
}

fn one_of(
    field: &'static str,
    found: &str,
    expected: &'static [&'static str],
) -> Result<(), RequestError> {
    if expected.contains(&found) {
        return Ok(());
    }
    Err(RequestError::TokenType { field, found: excerpt(found), expected })
}

pub(super) const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
