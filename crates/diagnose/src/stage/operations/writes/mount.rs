//! OPS-05: mounts, of what the caller may pull and of what nobody has.

use portpass_protocol::{Digest, challenge::KnownClient};
use reqwest::StatusCode;

use super::names;
use crate::{
    Check, Finding,
    run::Run,
    stage::operations::uploads::{Step, UploadLocation, Uploads},
};

/// F105 and F106.
pub(super) async fn check(run: &mut Run, uploads: &mut Uploads, digest: &Digest) {
    let own = uploads.name.to_string();
    let allowed = uploads.begin(run, Some((digest, &own))).await;
    tidy(run, uploads, &allowed).await;
    let foreign = uploads.begin(run, Some((digest, FOREIGN))).await;
    tidy(run, uploads, &foreign).await;
    let finding = if let Some(finding) = denied(&allowed, &own, "which the token may pull") {
        finding
    } else if let Some(finding) = denied(&foreign, FOREIGN, "which the token may not pull") {
        finding
    } else if foreign.status() == Some(StatusCode::UNAUTHORIZED)
        && !(names(&foreign, FOREIGN) && names(&foreign, &own))
    {
        incomplete()
    } else {
        Finding::pass(
            Check::Ops05,
            "a mount works, becomes an upload, or requires the missing scope",
        )
    };
    run.record(finding.evidence(allowed.told).evidence(foreign.told));
}

/// What is none of 201, 202 and, where something is not granted, 401.
fn denied(step: &Step, from: &str, which: &str) -> Option<Finding> {
    let status = step.status()?;
    let fine = status.is_success() || (status == StatusCode::UNAUTHORIZED && from == FOREIGN);
    if fine {
        return None;
    }
    let finding =
        Finding::fail(Check::Ops05, format!("a mount from {from}, {which}, fails with {status}"))
            .breaks(&[KnownClient::Docker, KnownClient::Containerd]);
    Some(match status {
        StatusCode::FORBIDDEN => finding
            .evidence("clients treat 403 as final: the push fails. After 202 or 401 they upload the layer")
            .fix("respond to a mount that is not allowed with 202, as if the blob did not exist, or with 401 and the missing scope")
            .rows(&["F106"]),
        StatusCode::UNAUTHORIZED => finding
            .fix("the token for the repository is enough for a mount from the same repository: look for the request in the registry's log")
            .rows(&["F105"]),
        _ => finding.fix("respond to a mount that is not possible with 202, as to the start of an upload"),
    })
}

/// The client is to come back with a token that it is not told of.
fn incomplete() -> Finding {
    Finding::fail(Check::Ops05, "a mount without the right fails with 401, but the scope does not name both repositories")
        .evidence("docker push: the first push fails and the second works, or docker uploads layers that already exist")
        .breaks(&[KnownClient::Oras, KnownClient::Regclient])
        .fix("name both in the challenge, `scope=\"repository:FROM:pull repository:TO:pull,push\"`, or respond with 202")
        .rows(&["F105"])
}

/// A mount that was not done is the begin of an upload.
async fn tidy(run: &Run, uploads: &mut Uploads, step: &Step) {
    if step.status() == Some(StatusCode::ACCEPTED)
        && let UploadLocation::SameOrigin(at) = uploads.location_of(step)
    {
        uploads.cancel(run, at).await;
    }
}

/// A repository that nobody has.
const FOREIGN: &str = "portpass-diagnose/nobody-has-this";
