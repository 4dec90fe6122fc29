//! OPS-03 to OPS-07 and OPS-10: what a push does, and nothing that stays.
//!
//! First it is found out whether the repository lets go again of what is pushed. If not, uploads are begun and
//! cancelled, and no blob is made.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use portpass_protocol::{Access, Action, Actions, Digest, RepositoryName, challenge::KnownClient};
use reqwest::StatusCode;

use super::{
    WRITING,
    answer::{broken_answer, out_of_requests},
    caller::{self, REPOSITORY, challenged},
    uploads::{Step, UploadLocation, Uploads},
};
use crate::{
    Check, Finding, Needs, exchange::Authorization, observations::RequiredAuth,
    probe::RequestErrorKind, redact, run::Run,
};

mod mount;
mod several;

/// Whether what is pushed can be removed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Removal {
    Works,
    Off,
    NotGranted,
}

/// Runs them.
pub(super) async fn check(run: &mut Run) {
    let all: Vec<Check> = WRITING.iter().copied().chain([Check::Ops10]).collect();
    let (Some(name), Some(origin)) = (run.target.repository.clone(), run.observed.origin.clone())
    else {
        return run.skip(&all, &REPOSITORY);
    };
    let authorization = match caller::authorization(run) {
        Ok(authorization) => with_delete(run, &name).await.unwrap_or(authorization),
        Err(needs) => return run.skip(&all, &needs),
    };
    let mut uploads = Uploads { origin, name, authorization, fresh: false, left: Vec::new() };
    if !begins(run, &mut uploads).await {
        return run.skip(&all, &Needs::Check(Check::Ops03));
    }
    large(run, &mut uploads).await;
    match removal(run, &uploads).await {
        Ok(()) => blob(run, &mut uploads).await,
        Err(finding) => {
            run.record(*finding);
            run.skip(&[Check::Ops05, Check::Ops06], &Needs::Check(Check::Ops04));
        }
    }
    slow(run, &mut uploads).await;
    if !uploads.left.is_empty() {
        run.record(remains(&uploads.left));
    }
}

/// A token that may delete too, where tokens are what counts.
async fn with_delete(run: &Run, name: &RepositoryName) -> Option<Authorization> {
    let given = run.inputs.token.is_some();
    if given || !matches!(run.observed.required_auth, Some(RequiredAuth::Bearer { .. })) {
        return None;
    }
    let mut actions = Actions::none();
    actions.extend([Action::Pull, Action::Push, Action::Delete]);
    let scope = caller::scope(&[Access { actions, ..name.pull() }]);
    caller::token(run, &scope).await.map(Authorization::Bearer)
}

/// OPS-03: F121. Whether uploads can go on from here.
async fn begins(run: &mut Run, uploads: &mut Uploads) -> bool {
    let check = Check::Ops03;
    let step = uploads.begin(run, None).await;
    let finding = match uploads.location_of(&step) {
        _ if step.status() != Some(StatusCode::ACCEPTED) => {
            refused(check, "the start of an upload", &step)
        }
        UploadLocation::SameOrigin(at) => {
            let cancelled = uploads.cancel(run, at).await;
            Finding::pass(check, "an upload continues on the same host").evidence(cancelled.told)
        }
        UploadLocation::OtherOrigin(at) => elsewhere(run, &at),
        UploadLocation::Missing => {
            Finding::fail(check, "the response to the start of an upload has no Location")
                .breaks(&KnownClient::ALL)
                .fix("the proxy must pass the Location header of responses under /v2/")
        }
    };
    let goes_on = !finding.failed() && finding.verdict.as_str() != "skip";
    run.record(finding.evidence(step.told));
    goes_on
}

fn elsewhere(run: &Run, at: &reqwest::Url) -> Finding {
    let origin = run.observed.origin.as_ref().map(redact::url).unwrap_or_default();
    let origin = origin.trim_end_matches('/');
    let there = at.origin().ascii_serialization();
    Finding::fail(Check::Ops03, format!("an upload that starts at {origin} is sent to {there}"))
        .evidence(format!("Location: {}", redact::url(at)))
        .evidence("docker says `unauthorized` or `connection refused` after a push has started; pulls work")
        .evidence("containerd sends no token if scheme or host differ; `diagnose` sent nothing there")
        .breaks(&[KnownClient::Docker, KnownClient::Containerd])
        .fix("the proxy must pass `Host` as the client sent it, with its port, and `X-Forwarded-Proto`. Or set the registry's own address (distribution: `http: host: https://…`, or `http: relativeurls: true`)")
        .rows(&["F121"])
}

/// OPS-07: F122.
async fn large(run: &mut Run, uploads: &mut Uploads) {
    let check = Check::Ops07;
    let step = uploads.begin(run, None).await;
    let UploadLocation::SameOrigin(at) = uploads.location_of(&step) else {
        return run.skip(&[check], &Needs::Check(Check::Ops03));
    };
    let sent = uploads.append(run, at.clone(), Bytes::from(vec![0; LARGE])).await;
    let finding = match &sent.answer {
        Ok(response) if response.status == StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        Ok(response) if response.status.is_success() => {
            Finding::pass(check, "a body of 2 MB gets through")
        }
        Ok(response) => broken_answer(check, "a body of 2 MB", response),
        Err(error) => match (out_of_requests(error), error.kind) {
            (Some(needs), _) => Finding::skip(check, needs),
            (None, RequestErrorKind::Timeout) => {
                Finding::warn(check, "2 MB do not get through in 15 seconds")
                    .fix("check the connection, and set `proxy_request_buffering off` in the proxy")
            }
            // Who answers 413 and hangs up at once may not be heard.
            (None, _) => too_large().evidence("the connection broke while the body was sent"),
        },
    };
    let onward = match uploads.location_of(&sent) {
        UploadLocation::SameOrigin(next) => next,
        UploadLocation::OtherOrigin(_) | UploadLocation::Missing => at,
    };
    let cancelled = uploads.cancel(run, onward).await;
    run.record(finding.evidence(sent.told).evidence(cancelled.told));
}

fn too_large() -> Finding {
    Finding::fail(Check::Ops07, "a body of 2 MB is too large for the proxy in front of the registry")
        .evidence("docker says: error parsing HTTP 413 response body, or 413 Request Entity Too Large")
        .breaks(&KnownClient::ALL)
        .fix("nginx: `client_max_body_size 0;` (ingress: `nginx.ingress.kubernetes.io/proxy-body-size: \"0\"`); for other proxies, raise the limit of request bodies")
        .rows(&["F122"])
}

/// Whether a blob would go again: one that is not there is deleted. Otherwise the answer to OPS-04.
async fn removal(run: &Run, uploads: &Uploads) -> Result<(), Box<Finding>> {
    let digest = Digest::sha256(&content(run, "never pushed"));
    let step = uploads.delete(run, &digest).await;
    let removal = match step.status() {
        Some(StatusCode::NOT_FOUND) => Removal::Works,
        Some(status) if status.is_success() => Removal::Works,
        Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Removal::NotGranted,
        _ => Removal::Off,
    };
    let finding = match removal {
        Removal::Works => return Ok(()),
        Removal::Off => Finding::warn(Check::Ops04, "nothing was pushed: deletes are off, so a blob would stay")
            .fix("to check a push too, turn them on (distribution: `storage: delete: enabled: true`)"),
        Removal::NotGranted => Finding::warn(
            Check::Ops04,
            format!("nothing was pushed: deletes in {} are denied, so a blob would stay", uploads.name),
        )
        .fix("grant `delete` on the repository to users who may delete; the client must request the scope too"),
    };
    Err(Box::new(finding.evidence(step.told).rows(&["F108"])))
}

/// OPS-04, and while the blob is there OPS-05; then OPS-06.
async fn blob(run: &mut Run, uploads: &mut Uploads) {
    let content = content(run, "a blob");
    let digest = Digest::sha256(&content);
    if let Err(finding) = push(run, uploads, &content, &digest).await {
        run.record(*finding);
        return run.skip(&[Check::Ops05, Check::Ops06], &Needs::Check(Check::Ops04));
    }
    let there = uploads.head(run, &digest).await;
    mount::check(run, uploads, &digest).await;
    let deleted = uploads.delete(run, &digest).await;
    let check = Check::Ops04;
    let finding = if !deleted.succeeded() {
        uploads.left.push(format!("a blob of {} bytes, {digest}", content.len()));
        Finding::fail(check, "a pushed blob cannot be deleted")
            .rows(&["F108"])
            .fix("look for the DELETE in the registry's log")
    } else if !there.succeeded() {
        Finding::fail(check, "a pushed blob is not found")
            .breaks(&KnownClient::ALL)
            .fix("several registries behind one name need one storage; look for the PUT in the registry's log")
            .rows(&["F124"])
    } else {
        Finding::pass(check, "a blob was pushed, found and deleted")
    };
    run.record(finding.evidence(there.told).evidence(deleted.told));
    several::check(run, uploads).await;
}

/// POST, PATCH, PUT; the finding is the answer to OPS-04.
async fn push(
    run: &Run,
    uploads: &mut Uploads,
    content: &Bytes,
    digest: &Digest,
) -> Result<(), Box<Finding>> {
    let what = "an upload of a few bytes";
    let begun = uploads.begin(run, None).await;
    let UploadLocation::SameOrigin(at) = uploads.location_of(&begun) else {
        return Err(Box::new(refused(Check::Ops04, what, &begun).evidence(begun.told)));
    };
    let sent = uploads.append(run, at.clone(), content.clone()).await;
    let UploadLocation::SameOrigin(next) = uploads.location_of(&sent) else {
        uploads.cancel(run, at).await;
        return Err(Box::new(refused(Check::Ops04, what, &sent).evidence(sent.told)));
    };
    let made = uploads.commit(run, next.clone(), digest).await;
    if made.status() != Some(StatusCode::CREATED) {
        uploads.cancel(run, next).await;
        return Err(Box::new(refused(Check::Ops04, what, &made).evidence(made.told)));
    }
    Ok(())
}

/// A step of a push that went wrong.
fn refused(check: Check, what: &str, step: &Step) -> Finding {
    match &step.answer {
        Ok(response) if is_forgotten(step) => {
            Finding::fail(check, format!("the registry does not find an upload that it has started: {}", response.status))
                .breaks(&KnownClient::ALL)
                .fix("registries behind one name need the same `http: secret`, and one storage; or the load balancer must send a client to the same one")
                .rows(&["F124"])
        }
        Ok(response) => broken_answer(check, what, response),
        Err(error) => match out_of_requests(error) {
            Some(needs) => Finding::skip(check, needs),
            None => Finding::fail(check, format!("{what} gets no response: {error}"))
                .fix("look for the request in the log of the registry, and in that of the proxy in front of it"),
        },
    }
}

/// `BLOB_UPLOAD_UNKNOWN`, `BLOB_UPLOAD_INVALID`
fn is_forgotten(step: &Step) -> bool {
    let Ok(response) = &step.answer else { return false };
    let says = |code: &str| response.body.windows(code.len()).any(|part| part == code.as_bytes());
    ["BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"].into_iter().any(says)
}

/// OPS-10: an upload goes on with a new token when the one that began it has expired.
async fn slow(run: &mut Run, uploads: &mut Uploads) {
    let check = Check::Ops10;
    if !run.inputs.wait_expiry {
        return run.skip(&[check], &Needs::Input("--write --wait-expiry"));
    }
    let Some(life) = run.observed.token.as_ref().and_then(|token| token.expires_in) else {
        return run.skip(&[check], &Needs::Nothing("tokens do not expire here"));
    };
    if life > LONGEST_WAIT {
        return run.skip(&[check], &Needs::Nothing("the token lives too long to wait for its end"));
    }
    let begun = uploads.begin(run, None).await;
    let UploadLocation::SameOrigin(at) = uploads.location_of(&begun) else {
        return run.skip(&[check], &Needs::Check(Check::Ops03));
    };
    run.clock.wait(Duration::from_secs(life) + LEEWAY).await;
    if let Some(fresh) = with_delete(run, &uploads.name).await {
        uploads.authorization = fresh;
    }
    let sent = uploads.append(run, at.clone(), content(run, "late")).await;
    let finding = if sent.succeeded() {
        Finding::pass(
            check,
            format!("an upload of {life} seconds and more continues with a new token"),
        )
    } else {
        refused(check, "an upload that outlives its token", &sent).rows(&["F123"])
            .breaks(&KnownClient::ALL)
            .fix("tokens must live longer than the longest push of a layer, and the proxy must forward bodies without buffering (nginx: `proxy_request_buffering off`)")
    };
    let onward = match uploads.location_of(&sent) {
        UploadLocation::SameOrigin(next) => next,
        UploadLocation::OtherOrigin(_) | UploadLocation::Missing => at,
    };
    uploads.cancel(run, onward).await;
    run.record(finding.evidence(sent.told));
}

/// The worse answer stays, so a failed push keeps its own words.
fn remains(left: &[String]) -> Finding {
    let warning =
        Finding::warn(Check::Ops04, "`diagnose` could not remove everything from the repository");
    let listed =
        left.iter().fold(warning, |finding, what| finding.evidence(format!("left: {what}")));
    listed.fix("grant `delete` on the repository, or let the registry remove unused blobs")
}

/// Bytes that no repository has. They name this program.
fn content(run: &Run, what: &str) -> Bytes {
    let now = run.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("portpass diagnose, {what}, {now}\n").into()
}

/// What is granted to the two ends of a mount, in the answer to one that was denied.
fn names(step: &Step, repository: &str) -> bool {
    let scope = step.answer.as_ref().ok().and_then(challenged);
    let scope = scope.as_ref().and_then(|challenge| challenge.scope()).unwrap_or_default();
    scope.split(' ').any(|scope| scope.starts_with(&format!("repository:{repository}:")))
}

/// More than nginx takes unless it is told to.
const LARGE: usize = 2 * 1024 * 1024;
/// The registries' own: a token is good for a minute more.
const LEEWAY: Duration = Duration::from_secs(61);
/// In seconds.
const LONGEST_WAIT: u64 = 600;
