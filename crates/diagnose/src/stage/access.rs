//! ACC: what the token grants, compared with what was asked for.

use portpass_jose::{
    Excerpt,
    json::{Map, Value},
};
use portpass_protocol::{Access, AccessSet, Action, challenge::KnownClient};
use portpass_token::Claims;

use crate::{
    Check, Finding, Needs, observations::RequiredAuth, outcome::Outcome, run::Run,
    stage::token_request::kept_or_refused,
};

/// Answers ACC-01 to ACC-05. Where a name, a form or a missing pull is the reason, ACC-01 leaves it to the
/// check that says so.
pub(crate) fn check(run: &mut Run) {
    let token = run.observed.token.as_ref();
    let opened = token.and_then(|token| token.decoded.as_ref());
    let Some(claims) = opened.map(|opened| opened.claims.clone()) else { return };
    if run.failed(Check::Jwt07) {
        let checks = [Check::Acc01, Check::Acc02, Check::Acc03, Check::Acc04, Check::Acc05];
        return run.skip(&checks, &Needs::Check(Check::Jwt07));
    }
    let granted = Claims::from_json(Value::Object(claims.clone()).to_string().as_bytes());
    let granted = granted.map(|claims| claims.access).unwrap_or_default();
    let requested = requested(run);
    let missing = missing(&requested, &granted);
    let reason = [
        scope_claim(run, &claims, &missing),
        other_name(run, &granted, &missing),
        push_alone(run, &granted),
    ];
    match reason.into_iter().flatten().next() {
        Some(check) => run.skip(&[Check::Acc01], &Needs::Check(check)),
        None => all_granted(run, &claims, &requested, &granted, &missing),
    }
    nothing_more(run, &requested, &granted);
}

/// What the token was asked for with; what is wanted, where that is not known.
fn requested(run: &Run) -> AccessSet {
    let asked = run.observed.token.as_ref().and_then(|token| token.scope.as_deref());
    match asked.map(str::parse::<AccessSet>) {
        Some(Ok(scope)) => scope,
        Some(Err(_)) | None => run.wanted().into_iter().collect(),
    }
}

fn missing(requested: &AccessSet, granted: &AccessSet) -> Vec<Access> {
    let lacks = |wanted: &Access| {
        let entries = granted.iter().filter(|entry| entry.resource == wanted.resource);
        let is_granted =
            |action: &Action| entries.clone().any(|entry| entry.actions.grants(action));
        let actions = wanted.actions.iter().filter(|action| !is_granted(action)).cloned().collect();
        Access { resource: wanted.resource.clone(), actions }
    };
    requested.iter().map(lacks).filter(|access| !access.actions.is_empty()).collect()
}

fn written(access: &AccessSet) -> String {
    if access.is_empty() {
        "nothing".to_owned()
    } else {
        Excerpt::of(&access.to_string()).to_string()
    }
}

/// Whether the registry let the token have what is missing from it: it judges otherwise, and is content.
fn is_content(run: &Run) -> bool {
    let response = run.observed.replies.repository.as_ref();
    response.is_some_and(|response| Outcome::of(response) == Outcome::Accepted)
}

fn all_granted(
    run: &mut Run,
    claims: &Map<String, Value>,
    requested: &AccessSet,
    granted: &AccessSet,
    missing: &[Access],
) {
    if requested.is_empty() {
        let summary = "a login token needs no grant";
        return run.record(Finding::pass(Check::Acc01, summary));
    }
    if missing.is_empty() {
        let summary = format!("everything requested is granted: {}", written(requested));
        return run.record(Finding::pass(Check::Acc01, summary));
    }
    // What its own token would grant is not known.
    if run.observed.is_anonymous_token() {
        return run.skip(&[Check::Acc01], &kept_or_refused(run));
    }
    let lacking: AccessSet = missing.iter().cloned().collect();
    let summary = format!("the token lacks {}", written(&lacking));
    let finding = if is_content(run) {
        Finding::warn(Check::Acc01, summary).evidence("the registry serves the repository with it")
    } else {
        Finding::fail(Check::Acc01, summary).breaks(&KnownClient::ALL)
    };
    let given = run.observed.token.as_ref().is_some_and(|token| token.scope.is_none());
    let caller = run.observed.credential.as_ref().and_then(|found| found.credential.username());
    let (fix, rows): (_, &[&'static str]) = match (caller, granted.is_empty()) {
        _ if given => (
            "check whether the token was requested with this scope. Without --token, `diagnose` requests a new one. Otherwise check the token service's rules".to_owned(),
            &["F104", "F100"],
        ),
        (None, _) => (
            "log in (`docker login`), or give --username. For a public repository, the token service needs a rule for anonymous users".to_owned(),
            &["F104", "F100"],
        ),
        (Some(name), true) => (
            format!("give {} a rule for it in the token service (portpass: `portpass policy explain` says which rule decided). A token service of your own must fill `access` from every `scope` parameter, and from every scope in it: scopes are separated by spaces", Excerpt::of(name)),
            &["F104", "F100"],
        ),
        (Some(name), false) => (
            format!("give {} a rule for it in the token service (portpass: `portpass policy explain` says which rule decided). Many services stop at the first rule that matches", Excerpt::of(name)),
            &["F104"],
        ),
    };
    let access = claims.get("access").unwrap_or(&Value::Null);
    let shown = if granted.is_empty() {
        format!("`access` is {}", if access.is_null() { "missing or null" } else { "empty" })
    } else {
        format!("granted: {}", written(granted))
    };
    let finding =
        finding.fix(fix).rows(rows).evidence(format!("requested: {}", written(requested)));
    run.record(finding.evidence(shown));
}

/// ACC-04
fn scope_claim(run: &mut Run, claims: &Map<String, Value>, missing: &[Access]) -> Option<Check> {
    let check = Check::Acc04;
    let has_access = claims.get("access").is_some_and(|access| !access.is_null());
    let scope = ["scope", "scp", "scopes"].into_iter().find(|name| claims.contains_key(*name));
    let Some(name) = scope.filter(|_| !has_access && !missing.is_empty()) else {
        let finding = if has_access {
            Finding::pass(check, "the grant is in `access`")
        } else {
            Finding::pass(check, "no other claim is used instead of `access`")
        };
        run.record(finding);
        return None;
    };
    let summary =
        format!("the token's grant is in the claim `{name}`; registries read only `access`");
    let finding = grant_fault(run, check, summary)
        .breaks(&KnownClient::ALL)
        .fix("write `\"access\":[{\"type\":\"repository\",\"name\":\"team/app\",\"actions\":[\"pull\"]}]`: registries do not accept the tokens of a general OAuth server without it")
        .rows(&["F101"]);
    run.record(finding);
    Some(check)
}

/// ACC-02
fn other_name(run: &mut Run, granted: &AccessSet, missing: &[Access]) -> Option<Check> {
    let check = Check::Acc02;
    if missing.is_empty() || granted.is_empty() {
        let finding = if granted.is_empty() {
            Finding::skip(check, Needs::Nothing("the token grants nothing"))
        } else {
            Finding::pass(check, "`access` names the repository as the registry does")
        };
        run.record(finding);
        return None;
    }
    let host = run.target.host.to_string();
    let found = missing.iter().find_map(|wanted| {
        let like = |entry: &&Access| alike(&host, wanted, entry);
        granted.iter().find(like).map(|entry| (wanted.clone(), entry.clone()))
    });
    let Some((wanted, entry)) = found else {
        run.record(Finding::pass(
            check,
            "no entry of `access` has a wrong name for the repository",
        ));
        return None;
    };
    let (wanted, entry) = (wanted.to_string(), entry.to_string());
    let summary = format!(
        "`access` has {}, but the registry requires {}",
        Excerpt::of(&entry),
        Excerpt::of(&wanted)
    );
    let finding = grant_fault(run, check, summary)
        .breaks(&KnownClient::ALL)
        .fix("write type, name and actions exactly as in the scope: the name without the registry's host, no `*` as a name, all in lower case")
        .rows(&["F102"]);
    run.record(finding);
    Some(check)
}

/// Whether an entry means what is wanted, and does not say so.
fn alike(host: &str, wanted: &Access, entry: &Access) -> bool {
    let (resource, own) = (&wanted.resource, &entry.resource);
    let name = own.name.as_ref();
    let bare = name.strip_prefix(host).unwrap_or(name);
    let looks_like_host = |part: &str| part.contains(['.', ':']) || part == "localhost";
    let bare = match bare.split_once('/') {
        Some((first, rest)) if first.is_empty() || looks_like_host(first) => rest,
        _ => bare,
    };
    let same_name = bare.eq_ignore_ascii_case(&resource.name) || name == "*";
    let same_type = own.resource_type.eq_ignore_ascii_case(&resource.resource_type);
    let actions = || entry.actions.iter().map(|action| action.as_str().to_ascii_lowercase());
    let fits = wanted
        .actions
        .iter()
        .all(|action| actions().any(|own| own == action.as_str() || own == "*"));
    same_name && same_type && fits
}

/// ACC-03
fn push_alone(run: &mut Run, granted: &AccessSet) -> Option<Check> {
    let check = Check::Acc03;
    let alone = granted.iter().find(|entry| {
        let all = |action| {
            granted
                .iter()
                .any(|other| other.resource == entry.resource && other.actions.grants(&action))
        };
        &*entry.resource.resource_type == "repository" && all(Action::Push) && !all(Action::Pull)
    });
    let Some(alone) = alone else {
        run.record(Finding::pass(check, "push is granted only together with pull"));
        return None;
    };
    let summary =
        format!("the token grants push without pull on {}", Excerpt::of(&alone.resource.name));
    let finding = Finding::fail(check, summary)
        .breaks(&KnownClient::ALL)
        .fix("grant pull wherever you grant push. Clients check whether a blob exists before they send it, and registries require both")
        .rows(&["F103"]);
    run.record(finding);
    Some(check)
}

/// ACC-05
fn nothing_more(run: &mut Run, requested: &AccessSet, granted: &AccessSet) {
    let asked = run.observed.token.as_ref().and_then(|token| token.scope.as_ref()).is_some();
    if !asked {
        let why = Needs::Nothing("it is not known which scopes the given token was requested with");
        return run.skip(&[Check::Acc05], &why);
    }
    let extra: Vec<Access> = missing(granted, requested);
    let extra: AccessSet = extra.into_iter().collect();
    let finding = if extra.is_empty() {
        Finding::pass(Check::Acc05, "nothing is granted that was not requested")
    } else {
        Finding::warn(Check::Acc05, format!("the token grants {}, which was not requested", written(&extra)))
            .fix("grant only what is both in the rules and in the scope, so that a leaked token opens no more than needed")
    };
    run.record(finding);
}

/// A fault of the grant: a failure unless the registry is content.
fn grant_fault(run: &Run, check: Check, summary: String) -> Finding {
    if is_content(run) && run.observed.required_auth != Some(RequiredAuth::Nothing) {
        Finding::warn(check, summary).evidence("the registry serves the repository with it")
    } else {
        Finding::fail(check, summary)
    }
}
