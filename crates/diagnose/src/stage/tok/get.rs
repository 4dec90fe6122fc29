//! GET: without credentials, as `docker login`, and for a pull.

use portpass_client::credentials::{Credential, Place};
use portpass_protocol::challenge::Peer;
use reqwest::StatusCode;

use super::{LOGIN, REPOSITORY, named, unexpected, wanted};
use crate::{
    Check, Finding, Needs,
    case::Case,
    complaint::Complaint,
    desk::{Desk, Who, exposed, is_html, is_json, is_page, put, told},
    probe::Seen,
};

const BY_GET: [Check; 3] = [Check::Tok01, Check::Tok02, Check::Tok03];

/// How those are called who ask.
const ANONYMOUS: &str = "GET without credentials";
const LOGIN_SHAPE: &str = "GET as docker login";
const SCOPED: &str = "GET with Basic and the scope";

/// TOK-01 to TOK-03, TOK-09
pub(super) async fn run(case: &mut Case, desk: &Desk, who: &Who) {
    let wanted = wanted(case);
    let ask = desk.get(&Who::Nobody, &[], &wanted);
    case.facts.answers.anonymous = put(case, Check::Tok01, ask).await;
    if case.failed(Check::Tok01) || case.facts.answers.stopped {
        return;
    }
    // Nothing secret is sent to what is no token service.
    if anonymous(case).is_some_and(|seen| no_such_path(seen) && !is_json(seen)) {
        judge_anonymous(case, desk).await;
        return;
    }
    if let Who::Password { .. } = who {
        case.facts.answers.login = put(case, Check::Tok02, desk.login(who)).await;
        judge_login(case, desk, who).await;
    } else {
        case.skip(&[Check::Tok02, Check::Tok03], &no_password(case));
    }
    judge_anonymous(case, desk).await;
    judge_pages(case);
}

/// Why no password is sent.
pub(super) fn no_password(case: &Case) -> Needs {
    match case.facts.credential.as_ref().map(|found| &found.credential) {
        Some(Credential::IdentityToken { .. }) => {
            Needs::Nothing("an identity token is kept in place of a password, and goes by POST")
        }
        Some(Credential::RegistryToken(_)) => {
            Needs::Nothing("a token for the registry itself is kept, which no token service takes")
        }
        _ => LOGIN,
    }
}

fn anonymous(case: &Case) -> Option<&Seen> {
    case.facts.answers.anonymous.as_ref()
}

fn no_such_path(seen: &Seen) -> bool {
    matches!(seen.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
}

/// Whether those who log in are answered with success.
fn others_are_served(case: &Case) -> bool {
    let answers = &case.facts.answers;
    let mut seen = answers.login.iter().chain(&answers.scoped);
    seen.any(|seen| seen.status.is_success() && !is_page(seen))
}

async fn judge_anonymous(case: &mut Case, desk: &Desk) {
    let Some(seen) = anonymous(case).cloned() else { return };
    if is_page(&seen) {
        case.skip(&[Check::Tok01], &Needs::Check(Check::Tok09));
        return;
    }
    let finding = if seen.status.is_success() {
        Finding::pass(Check::Tok01, "those without credentials get an answer")
    } else if others_are_served(case) {
        only_anonymous(&seen)
    } else if let Some(named) = named::finding(Check::Tok01, desk, ANONYMOUS, &seen) {
        named
    } else if is_refusal(&seen) {
        only_anonymous(&seen)
    } else if no_such_path(&seen) {
        no_path(case, desk, &seen)
    } else {
        unexpected::finding(case, desk, &seen).await
    };
    let line = told(ANONYMOUS, &seen);
    case.found(if finding.evidence.is_empty() { finding.seen(line) } else { finding });
    if case.failed(Check::Tok01) {
        // What was asked before this was known comes from the same fault.
        case.skip(&[Check::Tok02, Check::Tok03], &Needs::Check(Check::Tok01));
    }
}

/// A refusal of those without credentials, where others are served or would be.
fn only_anonymous(seen: &Seen) -> Finding {
    let status = seen.status;
    if status == StatusCode::UNAUTHORIZED && is_json(seen) {
        Finding::pass(Check::Tok01, "those without credentials are refused in JSON")
    } else if is_refusal(seen) {
        Finding::warn(Check::Tok01, format!("those without credentials get {status} {}", form(seen)))
            .fix("answer 401 with Content-Type: application/json and {\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"…\"}]}: clients show nothing else to their users")
    } else {
        Finding::warn(
            Check::Tok01,
            format!("those without credentials get {status}, not a token or a 401"),
        )
        .fix("answer 200 with a token that grants less, or 401: any other status ends a pull of a public image")
    }
}

/// Whether it says that somebody may not, and not that the request is wrong.
fn is_refusal(seen: &Seen) -> bool {
    matches!(seen.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

fn form(seen: &Seen) -> &'static str {
    if is_json(seen) {
        "and a reason in JSON"
    } else if is_html(seen) {
        "and a page for browsers"
    } else {
        "without a reason in JSON"
    }
}

/// F46
fn no_path(case: &Case, desk: &Desk, seen: &Seen) -> Finding {
    let status = seen.status;
    let path = desk.realm().path();
    let fix = if status == StatusCode::METHOD_NOT_ALLOWED {
        "serve GET on the realm's path: `docker login` and every anonymous pull use it".to_owned()
    } else {
        format!(
            "`realm` in the registry's `auth: token:` has to be the URL that the token service serves, and it ends in {path}. docker_auth serves /auth, Portus /v2/token, Harbor /service/token, GitLab /jwt/auth, Keycloak /realms/NAME/protocol/docker-v2/auth, portpass /token. If the path is right, it is the `service` that is unknown there"
        )
    };
    let finding = Finding::fail(
        Check::Tok01,
        format!("the token service answers {status}: nothing is served at the realm's path"),
    );
    let finding = finding.seen(told(ANONYMOUS, seen)).breaks(&Peer::ALL).fix(fix).rows(&["F46"]);
    match &case.facts.answers.login {
        Some(login) => finding.seen(told(LOGIN_SHAPE, login)),
        None => finding.seen("no password was sent there"),
    }
}

async fn judge_login(case: &mut Case, desk: &Desk, who: &Who) {
    let Some(seen) = case.facts.answers.login.clone() else {
        case.skip(&[Check::Tok03], &Needs::Check(Check::Tok02));
        return;
    };
    let status = seen.status;
    if is_page(&seen) {
        case.skip(&[Check::Tok02, Check::Tok03], &Needs::Check(Check::Tok09));
    } else if status.is_success() {
        case.found(
            Finding::pass(Check::Tok02, "the name and the password are taken")
                .seen(format!("GET as docker login: {status}")),
        );
        pull(case, desk, who).await;
    } else if matches!(Complaint::of(&seen), Some(Complaint::Service | Complaint::GrantType)) {
        case.facts.answers.refused = true;
        case.skip(&[Check::Tok03], &Needs::Check(Check::Tok02));
        if let Some(finding) = named::finding(Check::Tok02, desk, LOGIN_SHAPE, &seen) {
            case.found(finding);
        }
    } else if is_locked(&seen) || (is_refusal(&seen) && !is_of_docker(&seen)) {
        case.facts.answers.refused = true;
        case.skip(&[Check::Tok03], &Needs::Check(Check::Tok02));
        let finding = refused(case, who, &seen);
        case.found(finding);
    } else {
        odd_login(case, desk, who, &seen).await;
    }
}

/// Whether it complains of what docker alone sends: the same without it says more.
fn is_of_docker(seen: &Seen) -> bool {
    matches!(Complaint::of(seen), Some(Complaint::ClientId | Complaint::Account))
}

/// Whether it says that the account is locked: the next attempt would be one more.
fn is_locked(seen: &Seen) -> bool {
    Complaint::of(seen) == Some(Complaint::Locked)
}

/// F40 where the account is locked; else F41 too, and F56, which only a second attempt could tell apart.
fn refused(case: &Case, who: &Who, seen: &Seen) -> Finding {
    let locked = is_locked(seen);
    let why =
        if locked { "says that the account is locked" } else { "refuses the name or the password" };
    let summary = format!("the token service {why}: {}", seen.status);
    let mut finding = Finding::fail(Check::Tok02, summary)
        .seen(told(LOGIN_SHAPE, seen))
        .seen(format!(
            "asked once, as {:?}: a refused password is not sent again, accounts lock",
            who.username()
        ))
        .breaks(&Peer::ALL)
        .rows(&["F40"]);
    let place = case.facts.credential.as_ref().map(|found| &found.place);
    if let Some(place) = place.filter(|place| !matches!(place, Place::Given(_))) {
        finding = finding.seen(format!("the password is kept in {place}")).rows(&["F142"]);
    }
    if anonymous(case).is_some_and(|seen| seen.status.is_success()) {
        finding = finding.seen("without credentials the same token service gives a token. Public images can be pulled after `docker logout`, and a stale password is what stands in the way");
    }
    if is_html(seen) {
        finding = finding.seen("the refusal is a page for browsers: something before the token service may have refused, not the token service");
    }
    if locked { finding.fix(UNLOCK) } else { wrong_secret(finding, who) }
}

const UNLOCK: &str = "wait until the lock is over, or ask who runs the token service to unlock the account. Until then do not try again, since each attempt may prolong it, and look for what else logs in with an old password: a kept login, a CI job, a node's pull secret";

fn wrong_secret(finding: Finding, who: &Who) -> Finding {
    let finding = match who {
        Who::Password { password, .. } => {
            doubt(exposed(password)).into_iter().fold(finding, Finding::seen)
        }
        _ => finding,
    };
    finding.rows(&["F41", "F56"]).fix(
        "log in again with the right secret, on stdin so that no shell eats `$`, `!`, `%`, `&` or `\\`: `docker login --username NAME --password-stdin HOST < FILE`. With two-factor login it has to be an access token, not the password. See in the token service's log whether the account is locked. If `podman login` works with the same password, the token service stumbles over offline_token=true, which docker alone sends",
    )
}

/// What about a password often goes wrong on its way; which characters they are is not said.
fn doubt(password: &str) -> Option<&'static str> {
    if password.is_empty() {
        Some("the password is empty: a variable that was not set?")
    } else if password.trim() != password {
        Some(
            "the password begins or ends with a blank or a line break: `echo` and editors add one, `printf %s` does not",
        )
    } else if !password.is_ascii() {
        Some(
            "the password has characters beyond ASCII: they were sent as UTF-8 (RFC 7617), some token services read them otherwise",
        )
    } else if password.chars().any(|c| !c.is_ascii_alphanumeric() && !"-_.".contains(c)) {
        Some(
            "the password has characters that shells and URLs change: in single quotes, or on stdin, they stay",
        )
    } else {
        None
    }
}

/// Neither yes nor no: which of docker's parameters is it? (F53, F56)
async fn odd_login(case: &mut Case, desk: &Desk, who: &Who, seen: &Seen) {
    let plain = desk.get(who, &[("account", who.username())], &[]);
    let plain = put(case, Check::Tok02, plain).await;
    let good = |seen: &Option<Seen>| {
        seen.as_ref().is_some_and(|seen| seen.status.is_success() && !is_page(seen))
    };
    let mut finding = Finding::fail(
        Check::Tok02,
        format!("the token service answers {} to `docker login`", seen.status),
    )
    .seen(told(LOGIN_SHAPE, seen));
    if let Some(plain) = &plain {
        finding = finding.seen(told("GET as podman login, without offline_token", plain));
    }
    if good(&plain) {
        pull(case, desk, who).await;
        let client = Complaint::of(seen) == Some(Complaint::ClientId);
        let rows: &[&str] = if client { &["F58"] } else { &["F56"] };
        case.found(finding.breaks(&[Peer::Docker]).rows(rows).fix(
            "let the token service ignore offline_token=true and client_id, or give a refresh token for them: docker sends them with every login, others do not",
        ));
        return;
    }
    let refused = |seen: &Seen| is_refusal(seen) && !is_of_docker(seen);
    if plain.as_ref().is_none_or(refused) {
        case.facts.answers.refused = true;
        case.skip(&[Check::Tok03], &Needs::Check(Check::Tok02));
        case.found(finding.breaks(&[Peer::Docker]).rows(&["F40"]).fix(
            "look into the token service's log for this login: it is neither taken nor cleanly refused with 401",
        ));
        return;
    }
    pull(case, desk, who).await;
    case.found(if good(&case.facts.answers.scoped) {
        finding.breaks(&[Peer::Docker, Peer::Podman]).rows(&["F53"]).seen("GET without `account`: it works").fix(
            "let the token service ignore `account`, which docker and podman send: whose token it is says `Authorization`, and both may be written differently (case, an e-mail address, a domain)",
        )
    } else {
        finding.breaks(&Peer::ALL).fix(
            "look into the token service's log for this login. A name and a password have to be answered with 200 and a token, or with 401",
        )
    });
}

/// TOK-03, as containerd and oras ask after a challenge.
async fn pull(case: &mut Case, desk: &Desk, who: &Who) {
    let wanted = wanted(case);
    let login_works =
        case.facts.answers.login.as_ref().is_some_and(|seen| seen.status.is_success());
    if wanted.is_empty() && login_works {
        case.skip(&[Check::Tok03], &REPOSITORY);
        return;
    }
    let Some(seen) = put(case, Check::Tok03, desk.get(who, &[], &wanted)).await else { return };
    let status = seen.status;
    let line = told(SCOPED, &seen);
    if is_page(&seen) {
        case.skip(&[Check::Tok03], &Needs::Check(Check::Tok09));
    } else if status.is_success() {
        case.found(
            Finding::pass(Check::Tok03, "a pull gets an answer")
                .seen(super::outcome(SCOPED, &seen)),
        );
    } else if let Some(named) = named::finding(Check::Tok03, desk, SCOPED, &seen) {
        case.found(named);
    } else {
        let finding = Finding::fail(
            Check::Tok03,
            format!("the token service answers {status} to the scope {}", wanted.join(" ")),
        );
        case.found(scope_refused(finding.seen(line).breaks(&Peer::ALL), status, login_works));
    }
    case.facts.answers.scoped = Some(seen);
}

fn scope_refused(finding: Finding, status: StatusCode, login_works: bool) -> Finding {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
            let finding = if login_works {
                finding.seen("the same name and password were taken without a scope: it is the right to this repository that is missing")
            } else {
                finding
            };
            finding.rows(&["F104", "F52"]).fix(
                "give this account the right to pull there, in the token service's rules. Let the token service answer 200 with an `access` of what is granted, even if that is nothing. An error status also breaks pulls of public images by those who are logged in",
            )
        }
        status if status.is_server_error() => finding.fix("look into the token service's log: it stumbles over this scope"),
        _ => finding.rows(&["F51", "F50"]).fix(
            "the token service does not read this scope. The type ends at the first `:`, the actions begin after the last one, names have `/`, `.` and `-`. What it cannot read it has to ignore",
        ),
    }
}

/// TOK-09 (F45)
fn judge_pages(case: &mut Case) {
    let answers = &case.facts.answers;
    let asked =
        [(ANONYMOUS, &answers.anonymous), (LOGIN_SHAPE, &answers.login), (SCOPED, &answers.scoped)];
    let seen = || asked.iter().filter_map(|(what, seen)| Some((*what, seen.as_ref()?)));
    let pages: Vec<(&str, &Seen)> = seen().filter(|(_, seen)| is_page(seen)).collect();
    let Some((_, first)) = pages.first() else {
        if seen().next().is_some() {
            case.found(Finding::pass(Check::Tok09, "no redirect, no page for browsers"));
        }
        return;
    };
    let what = if first.status.is_redirection() { "a redirect" } else { "a page for browsers" };
    let summary = format!("the token service answers with {what}, not with a token");
    let mut finding = if others_are_served(case) {
        Finding::warn(Check::Tok09, format!("{summary}, to those without credentials"))
    } else {
        Finding::fail(Check::Tok09, summary)
    };
    for (what, seen) in &pages {
        finding = finding.seen(told(what, seen));
    }
    let rows: &[&str] = if first.status.is_redirection() { &["F45", "F46"] } else { &["F45"] };
    let finding = finding.breaks(&Peer::ALL).rows(rows).fix(
        "take the realm's path out of the single sign-on, login page or redirect rule of the proxy before the token service. Clients are no browsers, and send `Authorization: Basic`. If the token service has only moved, write its new URL into `realm` of the registry's `auth: token:`",
    );
    case.found(finding);
    if case.failed(Check::Tok09) {
        case.skip(&BY_GET, &Needs::Check(Check::Tok09));
    }
}
