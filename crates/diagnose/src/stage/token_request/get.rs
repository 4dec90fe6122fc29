//! GET: without credentials, as `docker login`, and for a pull.

use portpass_client::credentials::{Credential, CredentialSource};
use portpass_protocol::challenge::KnownClient;
use reqwest::StatusCode;

use super::{LOGIN, REPOSITORY, named_parameter, unexpected, wanted};
use crate::{
    Check, Finding, Needs,
    complaint::Complaint,
    exchange::Response,
    run::Run,
    token_endpoint::{Caller, TokenEndpoint, describe, exposed, is_html, is_json, is_page, send},
};

const BY_GET: [Check; 3] = [Check::Tok01, Check::Tok02, Check::Tok03];

/// Names of the requests.
const ANONYMOUS: &str = "GET without credentials";
const LOGIN_SHAPE: &str = "GET as docker login";
const SCOPED: &str = "GET with Basic and the scope";

/// TOK-01 to TOK-03, TOK-09
pub(super) async fn check(run: &mut Run, endpoint: &TokenEndpoint, caller: &Caller) {
    let wanted = wanted(run);
    let request = endpoint.get(&Caller::Anonymous, &[], &wanted);
    run.observed.answers.anonymous = send(run, Check::Tok01, request).await;
    if run.failed(Check::Tok01) || run.observed.answers.stopped {
        return;
    }
    // Nothing secret is sent to what is no token service.
    if anonymous(run).is_some_and(|response| no_such_path(response) && !is_json(response)) {
        judge_anonymous(run, endpoint).await;
        return;
    }
    if let Caller::Password { .. } = caller {
        run.observed.answers.login = send(run, Check::Tok02, endpoint.login(caller)).await;
        judge_login(run, endpoint, caller).await;
    } else {
        run.skip(&[Check::Tok02, Check::Tok03], &no_password(run));
    }
    judge_anonymous(run, endpoint).await;
    judge_pages(run);
}

/// Why no password is sent.
pub(super) fn no_password(run: &Run) -> Needs {
    match run.observed.credential.as_ref().map(|found| &found.credential) {
        Some(Credential::IdentityToken { .. }) => Needs::Nothing(
            "an identity token is stored instead of a password, and clients send it by POST",
        ),
        Some(Credential::RegistryToken(_)) => Needs::Nothing(
            "a token for the registry itself is stored, which no token service accepts",
        ),
        _ => LOGIN,
    }
}

fn anonymous(run: &Run) -> Option<&Response> {
    run.observed.answers.anonymous.as_ref()
}

fn no_such_path(response: &Response) -> bool {
    matches!(response.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
}

/// Whether logins succeed.
fn others_are_served(run: &Run) -> bool {
    let answers = &run.observed.answers;
    let mut response = answers.login.iter().chain(&answers.scoped);
    response.any(|response| response.status.is_success() && !is_page(response))
}

async fn judge_anonymous(run: &mut Run, endpoint: &TokenEndpoint) {
    let Some(response) = anonymous(run).cloned() else { return };
    if is_page(&response) {
        run.skip(&[Check::Tok01], &Needs::Check(Check::Tok09));
        return;
    }
    let finding = if response.status.is_success() {
        Finding::pass(Check::Tok01, "anonymous requests get a response")
    } else if others_are_served(run) {
        only_anonymous(&response)
    } else if let Some(named) =
        named_parameter::finding(Check::Tok01, endpoint, ANONYMOUS, &response)
    {
        named
    } else if is_refusal(&response) {
        only_anonymous(&response)
    } else if no_such_path(&response) {
        no_path(run, endpoint, &response)
    } else {
        unexpected::finding(run, endpoint, &response).await
    };
    let line = describe(ANONYMOUS, &response);
    run.record(if finding.evidence.is_empty() { finding.evidence(line) } else { finding });
    if run.failed(Check::Tok01) {
        // What was asked before this was known comes from the same fault.
        run.skip(&[Check::Tok02, Check::Tok03], &Needs::Check(Check::Tok01));
    }
}

/// A refusal of those without credentials, where others are served or would be.
fn only_anonymous(response: &Response) -> Finding {
    let status = response.status;
    if status == StatusCode::UNAUTHORIZED && is_json(response) {
        Finding::pass(Check::Tok01, "anonymous requests are refused in JSON")
    } else if is_refusal(response) {
        Finding::warn(Check::Tok01, format!("anonymous requests get {status} {}", form(response)))
            .fix("respond with 401, Content-Type: application/json and {\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"…\"}]}: clients show nothing else to their users")
    } else {
        Finding::warn(
            Check::Tok01,
            format!("anonymous requests get {status}, not a token or a 401"),
        )
        .fix("respond with 200 and a token that grants less, or with 401: any other status ends a pull of a public image")
    }
}

/// Whether it says that somebody may not, and not that the request is wrong.
fn is_refusal(response: &Response) -> bool {
    matches!(response.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

fn form(response: &Response) -> &'static str {
    if is_json(response) {
        "and a reason in JSON"
    } else if is_html(response) {
        "and a web page"
    } else {
        "without a reason in JSON"
    }
}

/// F46
fn no_path(run: &Run, endpoint: &TokenEndpoint, response: &Response) -> Finding {
    let status = response.status;
    let path = endpoint.realm().path();
    let fix = if status == StatusCode::METHOD_NOT_ALLOWED {
        "serve GET on the realm's path: `docker login` and every anonymous pull use it".to_owned()
    } else {
        format!(
            "`realm` in the registry's `auth: token:` must be a URL that the token service serves, and it ends in {path}. docker_auth serves /auth, Portus /v2/token, Harbor /service/token, GitLab /jwt/auth, Keycloak /realms/NAME/protocol/docker-v2/auth, portpass /token. If the path is right, the `service` is unknown there"
        )
    };
    let finding = Finding::fail(
        Check::Tok01,
        format!("the token service responds with {status}: it serves nothing at the realm's path"),
    );
    let finding = finding
        .evidence(describe(ANONYMOUS, response))
        .breaks(&KnownClient::ALL)
        .fix(fix)
        .rows(&["F46"]);
    match &run.observed.answers.login {
        Some(login) => finding.evidence(describe(LOGIN_SHAPE, login)),
        None => finding.evidence("`diagnose` sent no password there"),
    }
}

async fn judge_login(run: &mut Run, endpoint: &TokenEndpoint, caller: &Caller) {
    let Some(response) = run.observed.answers.login.clone() else {
        run.skip(&[Check::Tok03], &Needs::Check(Check::Tok02));
        return;
    };
    let status = response.status;
    if is_page(&response) {
        run.skip(&[Check::Tok02, Check::Tok03], &Needs::Check(Check::Tok09));
    } else if status.is_success() {
        run.record(
            Finding::pass(Check::Tok02, "the token service accepts the name and the password")
                .evidence(format!("GET as docker login: {status}")),
        );
        pull(run, endpoint, caller).await;
    } else if matches!(Complaint::of(&response), Some(Complaint::Service | Complaint::GrantType)) {
        run.observed.answers.refused = true;
        run.skip(&[Check::Tok03], &Needs::Check(Check::Tok02));
        if let Some(finding) =
            named_parameter::finding(Check::Tok02, endpoint, LOGIN_SHAPE, &response)
        {
            run.record(finding);
        }
    } else if is_locked(&response) || (is_refusal(&response) && !is_of_docker(&response)) {
        run.observed.answers.refused = true;
        run.skip(&[Check::Tok03], &Needs::Check(Check::Tok02));
        let finding = refused(run, caller, &response);
        run.record(finding);
    } else {
        odd_login(run, endpoint, caller, &response).await;
    }
}

/// Whether it complains of what docker alone sends: the same without it says more.
fn is_of_docker(response: &Response) -> bool {
    matches!(Complaint::of(response), Some(Complaint::ClientId | Complaint::Account))
}

/// Whether it says that the account is locked: the next attempt would be one more.
fn is_locked(response: &Response) -> bool {
    Complaint::of(response) == Some(Complaint::Locked)
}

/// F40 where the account is locked; else F41 too, and F56, which only a second attempt could tell apart.
fn refused(run: &Run, caller: &Caller, response: &Response) -> Finding {
    let locked = is_locked(response);
    let why =
        if locked { "says that the account is locked" } else { "refuses the name or the password" };
    let summary = format!("the token service {why}: {}", response.status);
    let mut finding = Finding::fail(Check::Tok02, summary)
        .evidence(describe(LOGIN_SHAPE, response))
        .evidence(format!(
            "one request, as {:?}: `diagnose` does not send a refused password again, because accounts lock",
            caller.username()
        ))
        .breaks(&KnownClient::ALL)
        .rows(&["F40"]);
    let place = run.observed.credential.as_ref().map(|found| &found.place);
    if let Some(place) = place.filter(|place| !matches!(place, CredentialSource::Given(_))) {
        finding = finding.evidence(format!("the password is stored in {place}")).rows(&["F142"]);
    }
    if anonymous(run).is_some_and(|response| response.status.is_success()) {
        finding = finding.evidence("the same token service gives a token without credentials. A stale password blocks pulls of public images, which work after `docker logout`");
    }
    if is_html(response) {
        finding = finding.evidence(
            "the refusal is a web page: it may come from a proxy in front of the token service",
        );
    }
    if locked { finding.fix(UNLOCK) } else { wrong_secret(finding, caller) }
}

const UNLOCK: &str = "wait until the lock ends, or ask the operator of the token service to unlock the account. Do not try again before, because each attempt may prolong it. Look for other logins with an old password: a stored login, a CI job, a node's pull secret";

fn wrong_secret(finding: Finding, caller: &Caller) -> Finding {
    let finding = match caller {
        Caller::Password { password, .. } => {
            doubt(exposed(password)).into_iter().fold(finding, Finding::evidence)
        }
        _ => finding,
    };
    finding.rows(&["F41", "F56"]).fix(
        "log in again with the right secret, on stdin so that no shell changes `$`, `!`, `%`, `&` or `\\`: `docker login --username NAME --password-stdin HOST < FILE`. With two-factor login it must be an access token, not the password. Check in the token service's log whether the account is locked. If `podman login` works with the same password, the token service fails at offline_token=true, which only docker sends",
    )
}

/// What about a password often goes wrong on its way; which characters they are is not said.
fn doubt(password: &str) -> Option<&'static str> {
    if password.is_empty() {
        Some("the password is empty: was a variable not set?")
    } else if password.trim() != password {
        Some(
            "the password begins or ends with a space or a line break: `echo` and editors add one, `printf %s` does not",
        )
    } else if !password.is_ascii() {
        Some(
            "the password has characters beyond ASCII: `diagnose` sent them as UTF-8 (RFC 7617), but some token services read another encoding",
        )
    } else if password.chars().any(|c| !c.is_ascii_alphanumeric() && !"-_.".contains(c)) {
        Some("the password has characters that shells and URLs change: use single quotes or stdin")
    } else {
        None
    }
}

/// Neither yes nor no: which of docker's parameters is it? (F53, F56)
async fn odd_login(run: &mut Run, endpoint: &TokenEndpoint, caller: &Caller, response: &Response) {
    let plain = endpoint.get(caller, &[("account", caller.username())], &[]);
    let plain = send(run, Check::Tok02, plain).await;
    let good = |response: &Option<Response>| {
        response.as_ref().is_some_and(|response| response.status.is_success() && !is_page(response))
    };
    let mut finding = Finding::fail(
        Check::Tok02,
        format!("the token service responds to `docker login` with {}", response.status),
    )
    .evidence(describe(LOGIN_SHAPE, response));
    if let Some(plain) = &plain {
        finding = finding.evidence(describe("GET as podman login, without offline_token", plain));
    }
    if good(&plain) {
        pull(run, endpoint, caller).await;
        let client = Complaint::of(response) == Some(Complaint::ClientId);
        let rows: &[&str] = if client { &["F58"] } else { &["F56"] };
        run.record(finding.breaks(&[KnownClient::Docker]).rows(rows).fix(
            "the token service must ignore offline_token=true and client_id, or give a refresh token for them: docker sends them with every login, others do not",
        ));
        return;
    }
    let refused = |response: &Response| is_refusal(response) && !is_of_docker(response);
    if plain.as_ref().is_none_or(refused) {
        run.observed.answers.refused = true;
        run.skip(&[Check::Tok03], &Needs::Check(Check::Tok02));
        run.record(finding.breaks(&[KnownClient::Docker]).rows(&["F40"]).fix(
            "look for this login in the token service's log: the service neither accepts it nor refuses it with 401",
        ));
        return;
    }
    pull(run, endpoint, caller).await;
    run.record(if good(&run.observed.answers.scoped) {
        finding.breaks(&[KnownClient::Docker, KnownClient::Podman]).rows(&["F53"]).evidence("GET without `account`: it works").fix(
            "the token service must ignore `account`, which docker and podman send. `Authorization` says who the user is, and both may be written differently (case, an e-mail address, a domain)",
        )
    } else {
        finding.breaks(&KnownClient::ALL).fix(
            "look for this login in the token service's log. The response to a name and a password must be 200 with a token, or 401",
        )
    });
}

/// TOK-03, as containerd and oras ask after a challenge.
async fn pull(run: &mut Run, endpoint: &TokenEndpoint, caller: &Caller) {
    let wanted = wanted(run);
    let login_works =
        run.observed.answers.login.as_ref().is_some_and(|response| response.status.is_success());
    if wanted.is_empty() && login_works {
        run.skip(&[Check::Tok03], &REPOSITORY);
        return;
    }
    let Some(response) = send(run, Check::Tok03, endpoint.get(caller, &[], &wanted)).await else {
        return;
    };
    let status = response.status;
    let line = describe(SCOPED, &response);
    if is_page(&response) {
        run.skip(&[Check::Tok03], &Needs::Check(Check::Tok09));
    } else if status.is_success() {
        run.record(
            Finding::pass(Check::Tok03, "a pull gets a response")
                .evidence(super::outcome(SCOPED, &response)),
        );
    } else if let Some(named) = named_parameter::finding(Check::Tok03, endpoint, SCOPED, &response)
    {
        run.record(named);
    } else {
        let finding = Finding::fail(
            Check::Tok03,
            format!("the token service responds with {status} to the scope {}", wanted.join(" ")),
        );
        run.record(scope_refused(
            finding.evidence(line).breaks(&KnownClient::ALL),
            status,
            login_works,
        ));
    }
    run.observed.answers.scoped = Some(response);
}

fn scope_refused(finding: Finding, status: StatusCode, login_works: bool) -> Finding {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
            let finding = if login_works {
                finding.evidence("the token service accepts the same name and password without a scope: the right to this repository is missing")
            } else {
                finding
            };
            finding.rows(&["F104", "F52"]).fix(
                "give this account the right to pull there, in the token service's rules. The token service should respond with 200 and an `access` of what is granted, even if that is nothing. An error status also breaks pulls of public images by logged-in users",
            )
        }
        status if status.is_server_error() => finding.fix("look into the token service's log: it fails at this scope"),
        _ => finding.rows(&["F51", "F50"]).fix(
            "the token service does not parse this scope. The type ends at the first `:`, the actions begin after the last one, names have `/`, `.` and `-`. It must ignore what it cannot parse",
        ),
    }
}

/// TOK-09 (F45)
fn judge_pages(run: &mut Run) {
    let answers = &run.observed.answers;
    let asked =
        [(ANONYMOUS, &answers.anonymous), (LOGIN_SHAPE, &answers.login), (SCOPED, &answers.scoped)];
    let given = || asked.iter().filter_map(|(what, response)| Some((*what, response.as_ref()?)));
    let pages: Vec<(&str, &Response)> = given().filter(|(_, response)| is_page(response)).collect();
    let Some((_, first)) = pages.first() else {
        if given().next().is_some() {
            run.record(Finding::pass(Check::Tok09, "no redirect, no web page"));
        }
        return;
    };
    let what = if first.status.is_redirection() { "a redirect" } else { "a web page" };
    let summary = format!("the token service responds with {what}, not with a token");
    let mut finding = if others_are_served(run) {
        Finding::warn(Check::Tok09, format!("{summary}, to anonymous requests"))
    } else {
        Finding::fail(Check::Tok09, summary)
    };
    for (what, response) in &pages {
        finding = finding.evidence(describe(what, response));
    }
    let rows: &[&str] = if first.status.is_redirection() { &["F45", "F46"] } else { &["F45"] };
    let finding = finding.breaks(&KnownClient::ALL).rows(rows).fix(
        "exclude the realm's path from the single sign-on, login page or redirect rule of the proxy in front of the token service. Clients are not browsers, and send `Authorization: Basic`. If the token service has only moved, write its new URL into `realm` of the registry's `auth: token:`",
    );
    run.record(finding);
    if run.failed(Check::Tok09) {
        run.skip(&BY_GET, &Needs::Check(Check::Tok09));
    }
}
