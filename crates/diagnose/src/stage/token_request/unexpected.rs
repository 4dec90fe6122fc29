//! A plain GET that is neither served nor refused: which of its parameters is it?

use portpass_protocol::challenge::KnownClient;

use super::{named_parameter, wanted};
use crate::{
    Check, Finding,
    complaint::Complaint,
    exchange::Response,
    run::Run,
    token_endpoint::{Caller, TokenEndpoint, describe, send},
};

/// TOK-01, for an answer that says nothing of its reason, or speaks of the scope. Without the scope, and without the
/// service too, it is asked again: what then is answered otherwise was at fault.
pub(super) async fn finding(
    run: &mut Run,
    endpoint: &TokenEndpoint,
    response: &Response,
) -> Finding {
    let status = response.status;
    let finding = Finding::fail(
        Check::Tok01,
        format!("the token service responds to a plain GET with {status}"),
    )
    .evidence(describe("GET without credentials", response))
    .breaks(&KnownClient::ALL);
    if status.is_server_error() {
        return finding.fix("look into the logs of the token service and of the proxy in front of it: this status is their fault, not the client's");
    }
    if wanted(run).is_empty() {
        return without_service(run, endpoint, response, finding).await;
    }
    if Complaint::of(response) == Some(Complaint::Scope) {
        return scope(finding);
    }
    let Some(plain) = send(run, Check::Tok01, endpoint.get(&Caller::Anonymous, &[], &[])).await
    else {
        return scope(finding);
    };
    let finding = finding.evidence(describe("the same without the scope", &plain));
    if plain.status == status {
        without_service(run, endpoint, response, finding).await
    } else {
        scope(finding)
    }
}

fn scope(finding: Finding) -> Finding {
    finding
        .fix("the token service does not parse this repository's scope. The type ends at the first `:`, the actions begin after the last one, and names have `/`, `.`, `-` and perhaps a host with a port. It must ignore what it cannot parse")
        .rows(&["F51", "F50"])
}

/// It is not the scope.
async fn without_service(
    run: &mut Run,
    endpoint: &TokenEndpoint,
    response: &Response,
    finding: Finding,
) -> Finding {
    if endpoint.service().is_some()
        && let Some(bare) =
            send(run, Check::Tok01, endpoint.without_service().get(&Caller::Anonymous, &[], &[]))
                .await
    {
        let line = describe("the same without `service` as well", &bare);
        if bare.status.is_success() {
            let named = named_parameter::service(Check::Tok01, endpoint, response);
            return finding.evidence.iter().fold(named, Finding::evidence).evidence(line);
        }
        return refused_anyhow(finding.evidence(line));
    }
    refused_anyhow(finding)
}

fn refused_anyhow(finding: Finding) -> Finding {
    finding
        .evidence("the response is the same without the scope and without anything else that clients send")
        .fix("the response to a GET with only `service` must be a token that grants nothing, or 401: `docker login` sends no scope. Look into the token service's log for what it misses. Check that it has this `service`, and that the realm is its endpoint for registries")
        .rows(&["F49", "F57"])
}
