//! Refusals that name what they are about: that is the fault, and not the scope or the password.

use portpass_protocol::challenge::KnownClient;

use crate::{
    Check, Finding,
    complaint::Complaint,
    exchange::Response,
    token_endpoint::{TokenEndpoint, cut, describe},
};

/// The finding for what an answer complains of, where that is in the request itself. `what` says how was asked.
pub(in crate::stage) fn finding(
    check: Check,
    endpoint: &TokenEndpoint,
    what: &str,
    response: &Response,
) -> Option<Finding> {
    let finding = match Complaint::of(response)? {
        Complaint::Service => service(check, endpoint, response),
        Complaint::ClientId => client_id(check, response),
        Complaint::GrantType => grant_type(check, response),
        Complaint::Account => account(check, response),
        Complaint::Locked | Complaint::Maintenance | Complaint::RateLimit | Complaint::Scope => {
            return None;
        }
    };
    Some(finding.evidence(describe(what, response)))
}

/// F57
pub(super) fn service(check: Check, endpoint: &TokenEndpoint, response: &Response) -> Finding {
    let status = response.status;
    let summary = match endpoint.service() {
        Some(name) => {
            format!("the token service does not know the service {:?}: {status}", cut(name))
        }
        None => {
            format!("the token service wants a service, and the challenge names none: {status}")
        }
    };
    Finding::fail(check, summary).breaks(&KnownClient::ALL).rows(&["F57"]).fix(
        "`service` in the registry's `auth: token:` has to be the name, letter for letter, under which the token service knows this registry. Correct one of the two, and restart the registry. The name stands under `token_service.services` at portpass, is the id of a client of type docker-v2 at Keycloak, `harbor-registry` at Harbor, `container_registry` at GitLab, and the registry's host and port at Portus",
    )
}

/// F58
fn client_id(check: Check, response: &Response) -> Finding {
    let summary = format!("the token service does not take the `client_id`: {}", response.status);
    Finding::fail(check, summary).breaks(&KnownClient::ALL).rows(&["F58"]).fix(
        "let the token service take every `client_id`, and none. It names a program (docker, containerd-client, go-containerregistry, …), proves nothing, and most GETs have none. If that is not to be changed, the realm is an endpoint for other programs than registries' clients: see its documentation for the one for registries",
    )
}

/// F46: an endpoint of OAuth 2.0 for everybody, as it stands in many manuals.
fn grant_type(check: Check, response: &Response) -> Finding {
    let summary = format!(
        "the realm is an OAuth 2.0 token endpoint that wants a `grant_type`, and answers {}",
        response.status
    );
    Finding::fail(check, summary).breaks(&KnownClient::ALL).rows(&["F46"]).fix(
        "let `realm` in the registry's `auth: token:` be the token service's endpoint for registries, which answers GET with `service` and `scope` (Keycloak: /realms/NAME/protocol/docker-v2/auth, not …/openid-connect/token). `docker login` and anonymous pulls ask by GET, and send no `grant_type`",
    )
}

/// F53
fn account(check: Check, response: &Response) -> Finding {
    let summary = format!(
        "the token service wants `account` and the name in `Authorization` to be the same: {}",
        response.status
    );
    Finding::fail(check, summary).breaks(&[KnownClient::Docker, KnownClient::Podman]).rows(&["F53"]).fix(
        "let the token service ignore `account`, which docker and podman send: whose token it is says `Authorization`, and both may be written differently (case, an e-mail address, a domain)",
    )
}
