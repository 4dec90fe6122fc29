//! The challenge: what the registry requires of requests without credentials.

use portpass_protocol::{
    Access,
    challenge::{self, Challenges, KnownClient, Oddity},
};
use reqwest::{
    StatusCode, Url,
    header::{HeaderValue, WWW_AUTHENTICATE},
};

use super::configuration::key_that_was_needed;
use crate::{
    Check, Finding, Needs, exchange::Response, observations::RequiredAuth, redact, run::Run,
};

mod realm;

/// All but the first three, which are about the header itself.
const REST: &[Check] = &[
    Check::Chal03,
    Check::Chal04,
    Check::Chal05,
    Check::Chal06,
    Check::Chal07,
    Check::Chal08,
    Check::Chal09,
];

/// How a challenge is written.
const CANONICAL: &str = "write it in the form that all clients read: Bearer realm=\"https://auth.example.com/token\",service=\"registry\". Use lower-case names, quote every value, leave none empty, and put no spaces after commas. An empty realm is often a variable that is not set";

pub(crate) async fn check(run: &mut Run) {
    let Some(ping) = run.observed.ping.clone() else { return };
    let repository = run.observed.repository.clone();
    let from_ping = ping.status == StatusCode::UNAUTHORIZED;
    let asking = [Some(&ping), repository.as_ref()].into_iter().flatten();
    let asking = asking.clone().find(|response| response.status == StatusCode::UNAUTHORIZED);
    let Some(asking) = asking else { return nothing(run, &ping) };
    let challenges = read(asking);
    if challenges.is_empty() {
        let missing = if asking.headers.contains_key(WWW_AUTHENTICATE) {
            let finding = Finding::fail(Check::Chal01, "WWW-Authenticate has no challenge")
                .breaks(&KnownClient::ALL)
                .fix(CANONICAL)
                .rows(&["F27"]);
            run.record(raw(asking).into_iter().fold(finding, Finding::evidence));
            Needs::Check(Check::Chal01)
        } else {
            Needs::Check(Check::Ping04)
        };
        run.skip(&[Check::Chal01, Check::Chal02], &missing);
        run.skip(REST, &missing);
        return;
    }
    one(run, asking, &challenges);
    let Some(bearer) = challenges.bearer() else { return no_bearer(run, &challenges) };
    run.observed.required_auth = Some(RequiredAuth::Bearer {
        realm: bearer.realm().unwrap_or_default().to_owned(),
        service: bearer.service().map(str::to_owned),
        scope: bearer.scope().map(str::to_owned),
    });
    dialects(run, asking, &bearer.oddities);
    let realm = bearer.realm().unwrap_or_default().to_owned();
    if realm.is_empty() && run.failed(Check::Chal02) {
        run.skip(&REST[..4], &Needs::Check(Check::Chal02));
    } else {
        realm::check(run, &realm).await;
    }
    service(run, bearer.service());
    scope(run);
    everywhere(run, from_ping.then_some(&ping), repository.as_ref());
}

/// Reads the challenges of an answer.
fn read(response: &Response) -> Challenges {
    challenge::parse(response.headers.get_all(WWW_AUTHENTICATE).iter().map(HeaderValue::as_bytes))
}

fn nothing(run: &mut Run, ping: &Response) {
    let needs = if ping.status.is_success() && !run.failed(Check::Ping03) {
        run.observed.required_auth = Some(RequiredAuth::Nothing);
        Needs::Nothing("the registry asks for no credentials")
    } else if run.failed(Check::Ping02) {
        Needs::Check(Check::Ping02)
    } else {
        Needs::Check(Check::Ping03)
    };
    run.skip(&[Check::Chal01, Check::Chal02], &needs);
    run.skip(REST, &needs);
}

/// CHAL-01
fn one(run: &mut Run, response: &Response, challenges: &Challenges) {
    let schemes: Vec<&str> = challenges.iter().map(|one| one.scheme.as_str()).collect();
    let arrangement: Vec<&Oddity> =
        challenges.oddities().filter(|oddity| is_order(oddity)).collect();
    let breaks: Vec<KnownClient> =
        arrangement.iter().flat_map(|oddity| oddity.breaks()).copied().collect();
    let finding = match (challenges.bearer().is_some(), schemes.as_slice()) {
        (true, [_]) => Finding::pass(Check::Chal01, "there is one challenge, and it is Bearer"),
        (false, _) if challenges.basic().is_some() => Finding::pass(
            Check::Chal01,
            "the registry asks for the password itself (Basic): there is no token service",
        ),
        (false, _) => Finding::fail(
            Check::Chal01,
            format!("the registry asks for {}, not for Bearer or Basic", named(&schemes)),
        )
        .breaks(&KnownClient::ALL)
        .fix("remove the other scheme from the server in front of /v2/ (Negotiate and NTLM come from a web server's own login). Registry clients support Bearer and Basic")
        .rows(&["F26"]),
        (true, _) => {
            let basic = challenges.basic().is_some();
            // Where only a few clients stumble, the others live with it.
            let few = breaks.iter().all(|peer| matches!(peer, KnownClient::Oras | KnownClient::Regclient));
            let answer = if few { Finding::warn } else { Finding::fail };
            let fix = if basic {
                "remove Basic: a proxy must not use `auth_basic` or the like in front of a registry that has a token service (nginx: `auth_basic off;` for /v2/)"
            } else {
                "send only Bearer: remove the other scheme from the server in front of /v2/"
            };
            answer(
                Check::Chal01,
                format!("there are {} challenges: {}", schemes.len(), named(&schemes)),
            )
            .breaks(&breaks)
            .fix(fix)
            .rows(if basic { &["F25"] } else { &["F26"] })
        }
    };
    run.record(raw(response).into_iter().fold(finding, Finding::evidence));
}

fn is_order(oddity: &Oddity) -> bool {
    matches!(
        oddity,
        Oddity::BasicBesideBearer { .. } | Oddity::OtherSchemeFirst(_) | Oddity::SharedLine { .. }
    )
}

/// The header lines as they came, cut.
fn raw(response: &Response) -> Vec<String> {
    let lines = response.headers.get_all(WWW_AUTHENTICATE).iter().take(4);
    lines
        .map(|value| {
            format!(
                "WWW-Authenticate: {}",
                redact::text(&String::from_utf8_lossy(value.as_bytes()))
            )
        })
        .collect()
}

fn named(schemes: &[&str]) -> String {
    let shown: Vec<&str> = schemes.iter().take(4).copied().collect();
    redact::text(&shown.join(", "))
}

/// No token service is named.
fn no_bearer(run: &mut Run, challenges: &Challenges) {
    let needs = if challenges.basic().is_some() {
        run.observed.required_auth = Some(RequiredAuth::Basic);
        key_that_was_needed(run);
        Needs::Nothing("the registry asks for the password itself")
    } else {
        Needs::Check(Check::Chal01)
    };
    run.skip(&[Check::Chal02], &needs);
    run.skip(REST, &needs);
}

/// CHAL-02
fn dialects(run: &mut Run, response: &Response, oddities: &[Oddity]) {
    let breaking = oddities.iter().filter(|oddity| !oddity.breaks().is_empty());
    let breaks: Vec<KnownClient> = breaking.clone().flat_map(Oddity::breaks).copied().collect();
    let words = |oddities: &mut dyn Iterator<Item = &Oddity>| {
        oddities.map(|oddity| redact::text(&oddity.to_string())).collect::<Vec<_>>().join(", ")
    };
    let finding = if breaks.is_empty() {
        let odd = words(&mut oddities.iter());
        let rest = if odd.is_empty() { odd } else { format!(", although it is unusual ({odd})") };
        Finding::pass(Check::Chal02, format!("all clients read the challenge the same way{rest}"))
    } else {
        let few =
            breaks.iter().all(|peer| matches!(peer, KnownClient::Oras | KnownClient::Regclient));
        let answer = if few { Finding::warn } else { Finding::fail };
        let empty = oddities.contains(&Oddity::MissingRealm);
        answer(
            Check::Chal02,
            format!("clients read the challenge differently: {}", words(&mut breaking.clone())),
        )
        .breaks(&breaks)
        .fix(CANONICAL)
        .rows(if empty { &["F27", "F28"] } else { &["F27"] })
    };
    run.record(raw(response).into_iter().fold(finding, Finding::evidence));
}

/// CHAL-07
fn service(run: &mut Run, service: Option<&str>) {
    let finding = match service {
        Some(service) if !service.is_empty() => Finding::pass(
            Check::Chal07,
            format!("the token must be for the service {:?}", redact::text(service)),
        ),
        _ if run.failed(Check::Chal02) => Finding::skip(Check::Chal07, Needs::Check(Check::Chal02)),
        other => {
            let how = if other.is_some() { "an empty service" } else { "no service" };
            Finding::warn(Check::Chal07, format!("the challenge names {how}"))
                .breaks(&[KnownClient::Docker])
                .fix("set the registry's `auth: token: service:` to the audience of its tokens. Without it, clients send an empty `service` or none, and some token services refuse that")
                .rows(&["F27"])
        }
    };
    run.record(finding);
}

/// CHAL-08
fn scope(run: &mut Run) {
    let Some(name) = run.target.repository.clone() else {
        run.skip(&[Check::Chal08], &Needs::Input("a repository: HOST/REPOSITORY"));
        return;
    };
    let unauthorized = |response: &&Response| response.status == StatusCode::UNAUTHORIZED;
    let Some(get) = run.observed.repository.as_ref().filter(unauthorized) else {
        run.skip(
            &[Check::Chal08],
            &Needs::Nothing("the registry serves the repository without a token"),
        );
        return;
    };
    let wanted = name.pull();
    let asked = |response: &Response| {
        read(response)
            .bearer()
            .and_then(|bearer| bearer.scope().map(str::to_owned))
            .unwrap_or_default()
    };
    let got = asked(get);
    let head = run.observed.repository_head.as_ref().filter(unauthorized).map(asked);
    let head = head.filter(|head| !matches!(Asked::of(head, &wanted), Asked::Own | Asked::Private));
    let shown = redact::text(&got);
    let fix = "the registry must name the required scope in every 401, for GET and HEAD: `scope=\"repository:NAME:pull\"`, with the name as in the path and without a host";
    let finding = match (Asked::of(&got, &wanted), head) {
        (Asked::Nothing, _) => {
            Finding::warn(Check::Chal08, format!("the 401 for {name} names no scope"))
                .breaks(&[KnownClient::Oras, KnownClient::Regclient])
                .fix(fix)
        }
        (Asked::Other, _) => {
            Finding::fail(Check::Chal08, format!("the 401 for {name} asks for {shown:?}"))
                .evidence(format!("expected: {wanted}"))
                .breaks(&[KnownClient::Containerd, KnownClient::Crane, KnownClient::Oras, KnownClient::Regclient])
                .fix(format!("{fix}. A proxy that changes paths changes names"))
                .rows(&["F102"])
        }
        (_, Some(head)) => Finding::warn(
            Check::Chal08,
            format!("the 401 for {name} names its scope for GET, but not for HEAD"),
        )
        .evidence(format!("for HEAD: {:?}", redact::text(&head)))
        .breaks(&[KnownClient::Containerd, KnownClient::Oras, KnownClient::Regclient])
        .fix(fix)
        .rows(&["F24"]),
        (Asked::Private, None) => Finding::pass(
            Check::Chal08,
            format!("the 401 for {name} asks for {shown:?}, which is the registry's own kind of scope"),
        )
        .evidence("registries with a built-in token service do that; clients request the repository's scope as well"),
        (Asked::Own, None) => {
            Finding::pass(Check::Chal08, format!("the 401 for {name} asks for {shown:?}"))
        }
    };
    run.record(finding);
}

/// What the scope of a challenge is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// There is none.
    Nothing,
    /// The repository that was asked for; with actions of the registry's own as well, as for its tags.
    Own,
    /// Another repository.
    Other,
    /// No repository, as Gitea's `*`.
    Private,
}

impl Asked {
    fn of(scope: &str, wanted: &Access) -> Self {
        let own = format!("{}:", wanted.resource);
        let alike = format!("{}:", wanted.resource.resource_type);
        let mut words = scope.split(' ').filter(|word| !word.is_empty()).peekable();
        let nothing = words.peek().is_none();
        match words.find(|word| word.starts_with(&own)) {
            Some(_) => Self::Own,
            None if nothing => Self::Nothing,
            None if scope.contains(&alike) => Self::Other,
            None => Self::Private,
        }
    }
}

/// CHAL-09
fn everywhere(run: &mut Run, ping: Option<&Response>, repository: Option<&Response>) {
    let pair = |response: &Response| {
        let challenges = read(response);
        let bearer = challenges.bearer()?;
        Some((bearer.realm()?.to_owned(), bearer.service().unwrap_or_default().to_owned()))
    };
    let unauthorized = |response: &&Response| response.status == StatusCode::UNAUTHORIZED;
    let both = ping.and_then(pair).zip(repository.filter(unauthorized).and_then(pair));
    let Some((ping, repository)) = both else {
        let needs = if run.target.repository.is_none() {
            Needs::Input("a repository: HOST/REPOSITORY")
        } else {
            Needs::Nothing("only one of /v2/ and the repository asks for a token")
        };
        run.skip(&[Check::Chal09], &needs);
        return;
    };
    // One token service may have a path for each repository, as Artifactory's has.
    let origin = |realm: &str| Url::parse(realm).ok().map(|realm| realm.origin());
    let one_service = ping.1 == repository.1 && origin(&ping.0) == origin(&repository.0);
    let finding = if ping == repository {
        Finding::pass(Check::Chal09, "/v2/ and the repository name the same realm and service")
    } else {
        let answer = if one_service { Finding::warn } else { Finding::fail };
        let shown = |(realm, service): &(String, String)| {
            redact::text(&format!("realm {realm:?}, service {service:?}"))
        };
        answer(Check::Chal09, "/v2/ and the repository name different realms or services")
            .evidence(format!("/v2/: {}", shown(&ping)))
            .evidence(format!("the repository: {}", shown(&repository)))
            .breaks(&[KnownClient::Docker, KnownClient::Podman, KnownClient::Crane, KnownClient::Containerd, KnownClient::Regclient])
            .fix("let one registry serve all of /v2/, or give all registries behind the proxy the same `auth: token:`")
            .rows(&["F31"])
    };
    run.record(finding);
}
