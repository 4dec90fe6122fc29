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
            format!("the token service does not recognize the service {:?}: {status}", cut(name))
        }
        None => {
            format!("the token service requires a service, but the challenge names none: {status}")
        }
    };
    Finding::fail(check, summary).breaks(&KnownClient::ALL).rows(&["F57"]).fix(
        "`service` in the registry's `auth: token:` must be exactly the name of this registry in the token service. Correct one of the two, and restart the registry. portpass has the name under `token_service.services`. For Keycloak it is the id of a client of type docker-v2, for Harbor `harbor-registry`, for GitLab `container_registry`, and for Portus the registry's host and port",
    )
}

/// F58
fn client_id(check: Check, response: &Response) -> Finding {
    let summary = format!("the token service does not accept the `client_id`: {}", response.status);
    Finding::fail(check, summary).breaks(&KnownClient::ALL).rows(&["F58"]).fix(
        "the token service must accept any `client_id`, and requests without one. It names a program (docker, containerd-client, go-containerregistry, …), proves nothing, and most GETs have none. If you cannot change that, the realm is not an endpoint for registry clients: look for that endpoint in the service's documentation",
    )
}

/// F46: an endpoint of OAuth 2.0 for everybody, as it stands in many manuals.
fn grant_type(check: Check, response: &Response) -> Finding {
    let summary = format!(
        "the realm is an OAuth 2.0 token endpoint that requires a `grant_type`, and responds with {}",
        response.status
    );
    Finding::fail(check, summary).breaks(&KnownClient::ALL).rows(&["F46"]).fix(
        "set `realm` in the registry's `auth: token:` to the token service's endpoint for registries, which supports GET with `service` and `scope` (Keycloak: /realms/NAME/protocol/docker-v2/auth, not …/openid-connect/token). `docker login` and anonymous pulls use GET, and send no `grant_type`",
    )
}

/// F53
fn account(check: Check, response: &Response) -> Finding {
    let summary = format!(
        "the token service requires that `account` is the name in `Authorization`: {}",
        response.status
    );
    Finding::fail(check, summary).breaks(&[KnownClient::Docker, KnownClient::Podman]).rows(&["F53"]).fix(
        "the token service must ignore `account`, which docker and podman send. `Authorization` says who the user is, and both may be written differently (case, an e-mail address, a domain)",
    )
}
