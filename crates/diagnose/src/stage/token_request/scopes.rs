//! Several scopes at once, scopes of others, and scopes that nobody knows.

use portpass_protocol::{Access, AccessSet, RepositoryName, challenge::KnownClient};

use super::{REPOSITORY, grants, outcome, scoped_answer};
use crate::{
    Check, Finding, Needs,
    exchange::Response,
    run::Run,
    token_endpoint::{Caller, ScopeEncoding, TokenEndpoint, describe, granted, send},
};

/// Two repositories that nobody has. Only pull is asked for: some token services create what push is
/// asked for.
const FOREIGN: [&str; 2] =
    ["repository:portpass-diagnose/nobody:pull", "repository:portpass-diagnose/nothing:pull"];

/// TOK-06 to TOK-08
pub(super) async fn check(run: &mut Run, endpoint: &TokenEndpoint, caller: &Caller) {
    tolerance(run, endpoint, caller).await;
    if run.failed(Check::Tok03) {
        run.skip(&[Check::Tok06, Check::Tok08], &Needs::Check(Check::Tok03));
        return;
    }
    match run.target.repository.clone() {
        Some(name) => several(run, endpoint, caller, &name).await,
        None => run.skip(&[Check::Tok06, Check::Tok08], &REPOSITORY),
    }
}

/// What was answered to several scopes.
struct Heard {
    /// Own and foreign, repeated.
    among: Response,
    /// Only own, repeated; asked if `among` failed.
    alone: Option<Response>,
    /// In one parameter: what of the two was answered well.
    joined: Option<Response>,
}

async fn several(run: &mut Run, endpoint: &TokenEndpoint, caller: &Caller, name: &RepositoryName) {
    let pull = name.pull().to_string();
    // The shape of containerd's push; a push is not asked for where nothing may be written.
    let mut own = vec![pull.clone()];
    own.extend(run.inputs.write.then(|| name.pull_push().to_string()));
    // Between two others, so that neither "the first" nor "the last" alone would do.
    let mut mixed = vec![FOREIGN[0].to_owned()];
    mixed.extend(own.iter().cloned());
    mixed.push(FOREIGN[1].to_owned());
    if own.len() == 1 {
        own.push(pull);
    }
    let request = endpoint.several(caller, &mixed, ScopeEncoding::Repeated);
    let Some(among) = send(run, Check::Tok06, request).await else {
        run.skip(&[Check::Tok08], &Needs::Check(Check::Tok06));
        return;
    };
    let partial = among.status.is_success();
    let alone = if partial {
        None
    } else {
        let request = endpoint.several(caller, &own, ScopeEncoding::Repeated);
        send(run, Check::Tok06, request).await
    };
    let request =
        endpoint.several(caller, if partial { &mixed } else { &own }, ScopeEncoding::Joined);
    let joined = send(run, Check::Tok06, request).await;
    let heard = Heard { among, alone, joined };
    judge_several(run, caller, &name.pull(), &heard);
}

fn judge_several(run: &mut Run, caller: &Caller, pull: &Access, heard: &Heard) {
    let repeated = heard.alone.as_ref().unwrap_or(&heard.among);
    let single = scoped_answer(run, caller).and_then(granted);
    let covers = |response: &Response, access: &Access| {
        granted(response).is_none_or(|set| set.covers(access))
    };
    let may_pull = single.as_ref().is_some_and(|set| set.covers(pull));
    let mut faults: Vec<(&'static str, String)> = Vec::new();
    if !repeated.status.is_success() {
        faults.push(("F47", format!("two `scope` parameters fail with {}", repeated.status)));
    } else if may_pull && !covers(repeated, pull) {
        faults.push(("F47", "only one of several `scope` parameters is read".to_owned()));
    } else if let Some(missing) = single.as_ref().and_then(|set| lost(set, repeated)) {
        faults.push(("F47", format!("with several `scope` parameters, {missing} is not granted")));
    }
    if let Some(joined) = &heard.joined {
        if !joined.status.is_success() {
            let status = joined.status;
            faults.push(("F48", format!("scopes separated by a space fail with {status}")));
        } else if repeated.status.is_success()
            && let Some(set) = granted(repeated)
            && let Some(missing) = lost(&set, joined)
        {
            faults.push((
                "F48",
                format!("with scopes separated by a space, {missing} is not granted"),
            ));
        }
    }
    let mut lines = vec![outcome("several `scope` parameters", repeated)];
    lines.extend(heard.joined.iter().map(|response| outcome("one `scope` with spaces", response)));
    several_found(run, &faults, lines, granted(repeated).is_some());
    partial_found(run, heard);
}

/// What of a grant is not in an answer's.
fn lost(set: &AccessSet, response: &Response) -> Option<String> {
    let answered = granted(response)?;
    let missing: Vec<String> =
        set.iter().filter(|access| !answered.covers(access)).map(ToString::to_string).collect();
    (!missing.is_empty()).then(|| crate::token_endpoint::cut(&missing.join(" ")))
}

fn several_found(run: &mut Run, faults: &[(&'static str, String)], lines: Vec<String>, read: bool) {
    let texts: Vec<&str> = faults.iter().map(|(_, text)| text.as_str()).collect();
    let mut finding = match texts.is_empty() {
        true if read => Finding::pass(Check::Tok06, "several scopes are granted together, in both forms"),
        true => Finding::pass(Check::Tok06, "several scopes get a token, in both forms; the token is opaque, so the grant is not known"),
        false => Finding::fail(Check::Tok06, texts.join(", and ")).fix(
            "read every `scope` parameter, split each at spaces, and grant the union. Docker, podman and oras repeat the parameter; containerd, crane and every POST join scopes with spaces. Otherwise pushes with a mounted base image fail, and work the second time",
        ),
    };
    for (row, _) in faults {
        finding = finding.rows(&[row]).breaks(match *row {
            "F47" => &[
                KnownClient::Docker,
                KnownClient::Containerd,
                KnownClient::Podman,
                KnownClient::Oras,
                KnownClient::Regclient,
            ],
            _ => &[
                KnownClient::Docker,
                KnownClient::Containerd,
                KnownClient::Crane,
                KnownClient::Oras,
                KnownClient::Regclient,
            ],
        });
    }
    for line in lines {
        finding = finding.evidence(line);
    }
    run.record(finding);
}

/// TOK-08 (F52): only where several scopes as such are no trouble.
fn partial_found(run: &mut Run, heard: &Heard) {
    let line = outcome("your own and a foreign repository in one request", &heard.among);
    if heard.among.status.is_success() {
        run.record(
            Finding::pass(
                Check::Tok08,
                "the token service leaves out what is not granted, and grants the rest",
            )
            .evidence(line),
        );
    } else if heard.alone.as_ref().is_some_and(|response| response.status.is_success()) {
        run.record(
            Finding::fail(
                Check::Tok08,
                format!("one repository that is not granted makes the whole request fail with {}", heard.among.status),
            )
            .evidence(line)
            .evidence("your own repository alone gets 200")
            .breaks(&[KnownClient::Docker, KnownClient::Containerd, KnownClient::Podman, KnownClient::Oras, KnownClient::Regclient])
            .rows(&["F52"])
            .fix("respond with 200, grant what is allowed and leave out the rest. Clients also request the repository that a layer may be mounted from, and request public images with their credentials"),
        );
    } else {
        run.skip(&[Check::Tok08], &Needs::Check(Check::Tok06));
    }
}

/// TOK-07 (F49, F50). Odd questions are asked without credentials where those are answered.
async fn tolerance(run: &mut Run, endpoint: &TokenEndpoint, caller: &Caller) {
    let anonymous = run.observed.answers.anonymous.as_ref();
    let caller = if anonymous.is_some_and(|response| response.status.is_success()) {
        &Caller::Anonymous
    } else {
        caller
    };
    if let Caller::RefreshToken(_) = caller {
        run.skip(
            &[Check::Tok07],
            &Needs::Nothing("`diagnose` does not use an identity token for unusual requests"),
        );
        return;
    }
    let empty = endpoint.get(caller, &[], &[String::new()]);
    let Some(empty) = send(run, Check::Tok07, empty).await else { return };
    let unknown = ["portpass:diagnose:look".to_owned()];
    let unknown = endpoint.get(caller, &[("portpass", "diagnose")], &unknown);
    let Some(unknown) = send(run, Check::Tok07, unknown).await else { return };
    let mut finding = None;
    if !empty.status.is_success() {
        let summary = format!("an empty `scope` fails with {}", empty.status);
        let warn = Finding::warn(Check::Tok07, summary)
            .evidence(describe("GET with scope=", &empty))
            .breaks(&[KnownClient::Docker, KnownClient::Crane])
            .rows(&["F49"])
            .fix("treat an empty `scope` as none: docker sends one with an identity token, and so does crane");
        finding = Some(warn);
    }
    if !unknown.status.is_success() {
        let summary = format!("a scope of an unknown type fails with {}", unknown.status);
        let warn = finding.unwrap_or_else(|| Finding::warn(Check::Tok07, summary));
        finding = Some(warn.evidence(describe("GET with a scope of an unknown type", &unknown)).rows(&["F50"]).fix(
            "ignore unknown scopes, types and parameters, and grant the rest. An empty `scope` means none, and a new client may request more than an old server supports",
        ));
    }
    run.record(finding.unwrap_or_else(|| {
        Finding::pass(
            Check::Tok07,
            "the token service ignores an empty scope, an unknown type and an unknown parameter",
        )
        .evidence(format!("the unknown scope grants {}", grants(&unknown)))
    }));
}
