//! OPS-03 to OPS-07 and OPS-10: what a push does, and nothing that stays.
//!
//! First it is found out whether the repository lets go again of what is pushed. If not, uploads are begun and
//! cancelled, and no blob is made.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use portpass_protocol::{Access, Action, Actions, Digest, RepositoryName, challenge::Peer};
use reqwest::StatusCode;

use super::{
    WRITING,
    caller::{self, REPOSITORY, challenged, spent},
    pulls::broken_answer,
    uploads::{Onward, Step, Uploads},
};
use crate::{
    Check, Finding, Needs,
    case::Case,
    facts::Demand,
    probe::{Authorization, SilenceKind},
    redact,
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
pub(super) async fn run(case: &mut Case) {
    let all: Vec<Check> = WRITING.iter().copied().chain([Check::Ops10]).collect();
    let (Some(name), Some(origin)) = (case.target.repository.clone(), case.facts.origin.clone())
    else {
        return case.skip(&all, &REPOSITORY);
    };
    let authorization = match caller::authorization(case) {
        Ok(authorization) => with_delete(case, &name).await.unwrap_or(authorization),
        Err(needs) => return case.skip(&all, &needs),
    };
    let mut uploads = Uploads { origin, name, authorization, fresh: false, left: Vec::new() };
    if !begins(case, &mut uploads).await {
        return case.skip(&all, &Needs::Check(Check::Ops03));
    }
    large(case, &mut uploads).await;
    match removal(case, &uploads).await {
        Ok(()) => blob(case, &mut uploads).await,
        Err(finding) => {
            case.found(*finding);
            case.skip(&[Check::Ops05, Check::Ops06], &Needs::Check(Check::Ops04));
        }
    }
    slow(case, &mut uploads).await;
    if !uploads.left.is_empty() {
        case.found(remains(&uploads.left));
    }
}

/// A token that may delete too, where tokens are what counts.
async fn with_delete(case: &Case, name: &RepositoryName) -> Option<Authorization> {
    let given = case.inputs.token.is_some();
    if given || !matches!(case.facts.demand, Some(Demand::Bearer { .. })) {
        return None;
    }
    let mut actions = Actions::none();
    actions.extend([Action::Pull, Action::Push, Action::Delete]);
    let scope = caller::scope(&[Access { actions, ..name.pull() }]);
    caller::token(case, &scope).await.map(Authorization::Bearer)
}

/// OPS-03: F121. Whether uploads can go on from here.
async fn begins(case: &mut Case, uploads: &mut Uploads) -> bool {
    let check = Check::Ops03;
    let step = uploads.begin(case, None).await;
    let finding = match uploads.onward(&step) {
        _ if step.status() != Some(StatusCode::ACCEPTED) => {
            refused(check, "the begin of an upload", &step)
        }
        Onward::Here(at) => {
            let cancelled = uploads.cancel(case, at).await;
            Finding::pass(check, "an upload goes on where it began").seen(cancelled.told)
        }
        Onward::Elsewhere(at) => elsewhere(case, &at),
        Onward::Unsaid => {
            Finding::fail(check, "the answer to the begin of an upload has no Location")
                .breaks(&Peer::ALL)
                .fix("let the proxy pass the header Location of answers under /v2/")
        }
    };
    let goes_on = !finding.failed() && finding.verdict.as_str() != "skip";
    case.found(finding.seen(step.told));
    goes_on
}

fn elsewhere(case: &Case, at: &reqwest::Url) -> Finding {
    let origin = case.facts.origin.as_ref().map(redact::url).unwrap_or_default();
    let origin = origin.trim_end_matches('/');
    let there = at.origin().ascii_serialization();
    Finding::fail(Check::Ops03, format!("an upload begun at {origin} shall go on at {there}"))
        .seen(format!("Location: {}", redact::url(at)))
        .seen("docker says `unauthorized` or `connection refused` when it has begun to push; pulls work")
        .seen("containerd sends no token where scheme or host differ; nothing was sent there from here")
        .breaks(&[Peer::Docker, Peer::Containerd])
        .fix("let the proxy send `Host` as the client wrote it, with its port, and `X-Forwarded-Proto`; or set the registry's own address (distribution: `http: host: https://…`, or `http: relativeurls: true`)")
        .rows(&["F121"])
}

/// OPS-07: F122.
async fn large(case: &mut Case, uploads: &mut Uploads) {
    let check = Check::Ops07;
    let step = uploads.begin(case, None).await;
    let Onward::Here(at) = uploads.onward(&step) else {
        return case.skip(&[check], &Needs::Check(Check::Ops03));
    };
    let sent = uploads.append(case, at.clone(), Bytes::from(vec![0; LARGE])).await;
    let finding = match &sent.answer {
        Ok(seen) if seen.status == StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        Ok(seen) if seen.status.is_success() => Finding::pass(check, "a body of 2 MB arrives"),
        Ok(seen) => broken_answer(check, "a body of 2 MB", seen),
        Err(silence) => match (spent(silence), silence.kind) {
            (Some(needs), _) => Finding::skip(check, needs),
            (None, SilenceKind::Time) => Finding::warn(check, "2 MB do not arrive in 15 seconds")
                .fix("look at the line, and at `proxy_request_buffering off` in the proxy"),
            // Who answers 413 and hangs up at once may not be heard.
            (None, _) => too_large().seen("the connection was cut while the body was sent"),
        },
    };
    let onward = match uploads.onward(&sent) {
        Onward::Here(next) => next,
        Onward::Elsewhere(_) | Onward::Unsaid => at,
    };
    let cancelled = uploads.cancel(case, onward).await;
    case.found(finding.seen(sent.told).seen(cancelled.told));
}

fn too_large() -> Finding {
    Finding::fail(Check::Ops07, "a body of 2 MB is too large for what stands in front of the registry")
        .seen("docker says: error parsing HTTP 413 response body, or 413 Request Entity Too Large")
        .breaks(&Peer::ALL)
        .fix("nginx: `client_max_body_size 0;` (ingress: `nginx.ingress.kubernetes.io/proxy-body-size: \"0\"`); elsewhere, the limit of request bodies")
        .rows(&["F122"])
}

/// Whether a blob would go again: one that is not there is deleted. Otherwise the answer to OPS-04.
async fn removal(case: &Case, uploads: &Uploads) -> Result<(), Box<Finding>> {
    let digest = Digest::sha256(&content(case, "never pushed"));
    let step = uploads.delete(case, &digest).await;
    let removal = match step.status() {
        Some(StatusCode::NOT_FOUND) => Removal::Works,
        Some(status) if status.is_success() => Removal::Works,
        Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Removal::NotGranted,
        _ => Removal::Off,
    };
    let finding = match removal {
        Removal::Works => return Ok(()),
        Removal::Off => Finding::warn(Check::Ops04, "nothing was pushed: deletes are off, so it would stay")
            .fix("to try a push too, turn them on (distribution: `storage: delete: enabled: true`)"),
        Removal::NotGranted => Finding::warn(
            Check::Ops04,
            format!("nothing was pushed: deletes in {} are denied, so it would stay", uploads.name),
        )
        .fix("grant `delete` on the repository to whoever shall delete; a client has to ask for the scope too"),
    };
    Err(Box::new(finding.seen(step.told).rows(&["F108"])))
}

/// OPS-04, and while the blob is there OPS-05; then OPS-06.
async fn blob(case: &mut Case, uploads: &mut Uploads) {
    let content = content(case, "a blob");
    let digest = Digest::sha256(&content);
    if let Err(finding) = push(case, uploads, &content, &digest).await {
        case.found(*finding);
        return case.skip(&[Check::Ops05, Check::Ops06], &Needs::Check(Check::Ops04));
    }
    let there = uploads.look(case, &digest).await;
    mount::run(case, uploads, &digest).await;
    let deleted = uploads.delete(case, &digest).await;
    let check = Check::Ops04;
    let finding = if !deleted.succeeded() {
        uploads.left.push(format!("a blob of {} bytes, {digest}", content.len()));
        Finding::fail(check, "a blob that was pushed cannot be deleted")
            .rows(&["F108"])
            .fix("look for the DELETE in the registry's log")
    } else if !there.succeeded() {
        Finding::fail(check, "a blob that was pushed is not there")
            .breaks(&Peer::ALL)
            .fix("several registries behind one name need one storage; look for the PUT in the registry's log")
            .rows(&["F124"])
    } else {
        Finding::pass(check, "a blob was pushed, seen and deleted")
    };
    case.found(finding.seen(there.told).seen(deleted.told));
    several::run(case, uploads).await;
}

/// POST, PATCH, PUT; the finding is the answer to OPS-04.
async fn push(
    case: &Case,
    uploads: &mut Uploads,
    content: &Bytes,
    digest: &Digest,
) -> Result<(), Box<Finding>> {
    let what = "an upload of a few bytes";
    let begun = uploads.begin(case, None).await;
    let Onward::Here(at) = uploads.onward(&begun) else {
        return Err(Box::new(refused(Check::Ops04, what, &begun).seen(begun.told)));
    };
    let sent = uploads.append(case, at.clone(), content.clone()).await;
    let Onward::Here(next) = uploads.onward(&sent) else {
        uploads.cancel(case, at).await;
        return Err(Box::new(refused(Check::Ops04, what, &sent).seen(sent.told)));
    };
    let made = uploads.commit(case, next.clone(), digest).await;
    if made.status() != Some(StatusCode::CREATED) {
        uploads.cancel(case, next).await;
        return Err(Box::new(refused(Check::Ops04, what, &made).seen(made.told)));
    }
    Ok(())
}

/// A step of a push that went wrong.
fn refused(check: Check, what: &str, step: &Step) -> Finding {
    match &step.answer {
        Ok(seen) if is_forgotten(step) => {
            Finding::fail(check, format!("the registry does not know an upload that it has begun: {}", seen.status))
                .breaks(&Peer::ALL)
                .fix("registries behind one name need the same `http: secret`, and one storage; or the balancer has to stay with one of them")
                .rows(&["F124"])
        }
        Ok(seen) => broken_answer(check, what, seen),
        Err(silence) => match spent(silence) {
            Some(needs) => Finding::skip(check, needs),
            None => Finding::fail(check, format!("{what} is not answered: {silence}"))
                .fix("look for the request in the registry's log, and in that of the proxy in front of it"),
        },
    }
}

/// `BLOB_UPLOAD_UNKNOWN`, `BLOB_UPLOAD_INVALID`
fn is_forgotten(step: &Step) -> bool {
    let Ok(seen) = &step.answer else { return false };
    let says = |code: &str| seen.body.windows(code.len()).any(|part| part == code.as_bytes());
    ["BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"].into_iter().any(says)
}

/// OPS-10: an upload goes on with a new token when the one that began it has expired.
async fn slow(case: &mut Case, uploads: &mut Uploads) {
    let check = Check::Ops10;
    if !case.inputs.wait_expiry {
        return case.skip(&[check], &Needs::Input("--write --wait-expiry"));
    }
    let Some(life) = case.facts.token.as_ref().and_then(|token| token.expires_in) else {
        return case.skip(&[check], &Needs::Nothing("no token expires here"));
    };
    if life > LONGEST_WAIT {
        return case
            .skip(&[check], &Needs::Nothing("the token lives too long to wait for its end"));
    }
    let begun = uploads.begin(case, None).await;
    let Onward::Here(at) = uploads.onward(&begun) else {
        return case.skip(&[check], &Needs::Check(Check::Ops03));
    };
    case.clock.wait(Duration::from_secs(life) + LEEWAY).await;
    if let Some(fresh) = with_delete(case, &uploads.name).await {
        uploads.authorization = fresh;
    }
    let sent = uploads.append(case, at.clone(), content(case, "late")).await;
    let finding = if sent.succeeded() {
        Finding::pass(
            check,
            format!("an upload of {life} seconds and more goes on with a new token"),
        )
    } else {
        refused(check, "an upload that outlives its token", &sent).rows(&["F123"])
            .breaks(&Peer::ALL)
            .fix("let tokens live longer than the longest push of a layer, and the proxy send bodies on as they come (nginx: `proxy_request_buffering off`)")
    };
    let onward = match uploads.onward(&sent) {
        Onward::Here(next) => next,
        Onward::Elsewhere(_) | Onward::Unsaid => at,
    };
    uploads.cancel(case, onward).await;
    case.found(finding.seen(sent.told));
}

/// The worse answer stays, so a failed push keeps its own words.
fn remains(left: &[String]) -> Finding {
    let warning =
        Finding::warn(Check::Ops04, "something stays in the repository that could not be removed");
    let listed = left.iter().fold(warning, |finding, what| finding.seen(format!("stays: {what}")));
    listed.fix("grant `delete` on the repository, or have the registry clear away what nobody uses")
}

/// Bytes that no repository has, and that say whose they are.
fn content(case: &Case, what: &str) -> Bytes {
    let now = case.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
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
