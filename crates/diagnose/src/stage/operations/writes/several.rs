//! OPS-06: several registries behind one name, seen by going to them on many connections.

use portpass_protocol::{Digest, challenge::KnownClient};
use reqwest::StatusCode;

use super::{content, is_forgotten};
use crate::{
    Check, Finding,
    run::Run,
    stage::operations::uploads::{Step, UploadLocation, Uploads},
};

/// F124.
pub(super) async fn check(run: &mut Run, uploads: &mut Uploads) {
    let content = content(run, "over several connections");
    let digest = Digest::sha256(&content);
    uploads.fresh = true;
    let mut failed: Vec<Step> = Vec::new();
    for _ in 0..TIMES {
        failed.extend(once(run, uploads, &content, &digest).await);
    }
    uploads.fresh = false;
    if failed.len() < TIMES && !uploads.delete(run, &digest).await.succeeded() {
        uploads.left.push(format!("a blob of {} bytes, {digest}", content.len()));
    }
    let check = Check::Ops06;
    let finding = match failed.first() {
        None => Finding::pass(check, format!("{TIMES} uploads, every step on a new connection")),
        Some(first) => {
            let summary = format!(
                "{} of {TIMES} uploads fail if every step uses a new connection",
                failed.len()
            );
            let finding = Finding::fail(check, summary)
                .breaks(&KnownClient::ALL)
                .evidence(first.told.clone());
            if is_forgotten(first) || first.status() == Some(StatusCode::NOT_FOUND) {
                finding
                    .fix("registries behind one name need the same `http: secret`, and one storage; or the load balancer must send a client to the same one")
                    .rows(&["F124"])
            } else {
                finding.fix("compare the logs of all registries behind the name")
            }
        }
    };
    run.record(finding);
}

/// One upload; the step that failed.
async fn once(
    run: &Run,
    uploads: &mut Uploads,
    content: &bytes::Bytes,
    digest: &Digest,
) -> Option<Step> {
    let begun = uploads.begin(run, None).await;
    let UploadLocation::SameOrigin(at) = uploads.location_of(&begun) else { return Some(begun) };
    let sent = uploads.append(run, at.clone(), content.clone()).await;
    let UploadLocation::SameOrigin(next) = uploads.location_of(&sent) else {
        uploads.cancel(run, at).await;
        return Some(sent);
    };
    let made = uploads.commit(run, next.clone(), digest).await;
    if made.status() == Some(StatusCode::CREATED) {
        return None;
    }
    uploads.cancel(run, next).await;
    Some(made)
}

const TIMES: usize = 5;
