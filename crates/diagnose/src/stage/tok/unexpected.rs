//! A plain GET that is neither served nor refused: which of its parameters is it?

use portpass_protocol::challenge::Peer;

use super::{named, wanted};
use crate::{
    Check, Finding,
    case::Case,
    complaint::Complaint,
    desk::{Desk, Who, put, told},
    probe::Seen,
};

/// TOK-01, for an answer that says nothing of its reason, or speaks of the scope. Without the scope, and without the
/// service too, it is asked again: what then is answered otherwise was at fault.
pub(super) async fn finding(case: &mut Case, desk: &Desk, seen: &Seen) -> Finding {
    let status = seen.status;
    let finding =
        Finding::fail(Check::Tok01, format!("the token service answers {status} to a plain GET"))
            .seen(told("GET without credentials", seen))
            .breaks(&Peer::ALL);
    if status.is_server_error() {
        return finding.fix("look into the token service's log, and that of the proxy before it: this status is a fault of theirs, not of the client");
    }
    if wanted(case).is_empty() {
        return without_service(case, desk, seen, finding).await;
    }
    if Complaint::of(seen) == Some(Complaint::Scope) {
        return scope(finding);
    }
    let Some(plain) = put(case, Check::Tok01, desk.get(&Who::Nobody, &[], &[])).await else {
        return scope(finding);
    };
    let finding = finding.seen(told("the same without the scope", &plain));
    if plain.status == status {
        without_service(case, desk, seen, finding).await
    } else {
        scope(finding)
    }
}

fn scope(finding: Finding) -> Finding {
    finding
        .fix("the token service does not read this repository's scope. The type ends at the first `:`, the actions begin after the last one, and names have `/`, `.`, `-` and perhaps a host with a port. What it cannot read it has to ignore")
        .rows(&["F51", "F50"])
}

/// It is not the scope.
async fn without_service(case: &mut Case, desk: &Desk, seen: &Seen, finding: Finding) -> Finding {
    if desk.service().is_some()
        && let Some(bare) =
            put(case, Check::Tok01, desk.without_service().get(&Who::Nobody, &[], &[])).await
    {
        let line = told("the same without `service` as well", &bare);
        if bare.status.is_success() {
            let named = named::service(Check::Tok01, desk, seen);
            return finding.evidence.iter().fold(named, Finding::seen).seen(line);
        }
        return refused_anyhow(finding.seen(line));
    }
    refused_anyhow(finding)
}

fn refused_anyhow(finding: Finding) -> Finding {
    finding
        .seen("neither the scope nor anything else that clients send makes a difference, or there was none")
        .fix("a GET with `service` alone has to be answered with a token that grants nothing, or with 401: `docker login` asks without a scope. Look into the token service's log for what it misses: whether it knows this `service`, and whether the realm is its endpoint for registries")
        .rows(&["F49", "F57"])
}
