//! The answers themselves: is there a token in them, where every client finds it?

use portpass_protocol::{
    challenge::KnownClient,
    token_response::{self, MAX_LENGTH, ReceivedToken, TokenOddity, TokenResponseError},
};
use reqwest::StatusCode;

use crate::{
    Check, Finding, Needs,
    exchange::{MAX_BODY, Response},
    observations::RequiredAuth,
    run::Run,
    token_endpoint::{Caller, is_page},
};

mod missing;
#[cfg(test)]
mod tests;
pub(in crate::stage) mod times;

const ALL: &[Check] = &[
    Check::Resp01,
    Check::Resp02,
    Check::Resp03,
    Check::Resp04,
    Check::Resp05,
    Check::Resp06,
    Check::Resp07,
];
/// What is read of an answer that has no object.
const OF_AN_OBJECT: &[Check] =
    &[Check::Resp03, Check::Resp04, Check::Resp05, Check::Resp06, Check::Resp07];

/// The name of the anonymous request.
const NOBODY: &str = "GET without credentials";

/// An answer with status 2xx, and how it was asked for.
struct Answer {
    what: &'static str,
    post: bool,
    response: Response,
    read: Read,
}

/// What is in it.
enum Read {
    Token(Box<ReceivedToken>),
    /// An object without a token, or with one that no header can carry.
    None(TokenResponseError),
    /// No object.
    NoObject(TokenResponseError),
    /// Too long to be read.
    Cut,
}

impl Answer {
    fn of(what: &'static str, response: &Response) -> Option<Self> {
        if !response.status.is_success() || is_page(response) {
            return None;
        }
        let read = match token_response::read(&response.body) {
            _ if response.truncated => Read::Cut,
            Ok(token) => Read::Token(Box::new(token)),
            Err(
                error @ (TokenResponseError::Bare
                | TokenResponseError::NotJson { .. }
                | TokenResponseError::NotObject { .. }),
            ) => Read::NoObject(error),
            Err(error) => Read::None(error),
        };
        Some(Self { what, post: what.starts_with("POST"), response: response.clone(), read })
    }

    fn token(&self) -> Option<&ReceivedToken> {
        match &self.read {
            Read::Token(token) => Some(token),
            Read::None(_) | Read::NoObject(_) | Read::Cut => None,
        }
    }
}

pub(crate) fn check(run: &mut Run) {
    if let Some(RequiredAuth::Nothing | RequiredAuth::Basic) = &run.observed.required_auth {
        run.skip(ALL, &Needs::Nothing("the registry requires no token"));
        return;
    }
    let all = answers(run);
    if all.is_empty() {
        // A failed check of the token service is the reason for these.
        let asked = run.observed.answers.anonymous.is_some();
        let refused = run.failed(Check::Tok02) || run.failed(Check::Tok09);
        if asked && !refused && Caller::of(run).is_anonymous() {
            run.skip(ALL, &super::token_request::LOGIN);
        }
        return;
    }
    form(run, &all);
    length(run, &all);
    if all.iter().all(|answer| matches!(answer.read, Read::NoObject(_) | Read::Cut)) {
        let cut = all.iter().any(|answer| matches!(answer.read, Read::Cut));
        let why = if cut { Check::Resp02 } else { Check::Resp01 };
        run.skip(OF_AN_OBJECT, &Needs::Check(why));
        return;
    }
    missing::token(run, &all);
    if all.iter().all(|answer| answer.token().is_none()) {
        let rest = [Check::Resp04, Check::Resp05, Check::Resp06, Check::Resp07];
        run.skip(&rest, &Needs::Check(Check::Resp03));
        return;
    }
    missing::both(run, &all);
    times::life(run, &all);
    times::issued(run, &all);
    refresh_token(run, &all);
}

/// Those that should have a token in them, each way of asking once.
fn answers(run: &Run) -> Vec<Answer> {
    let answers = &run.observed.answers;
    let posted = match Caller::of(run) {
        Caller::RefreshToken(_) => "POST with the identity token",
        Caller::Anonymous | Caller::Password { .. } => "POST with a password",
    };
    let asked = [
        ("GET as docker login", &answers.login),
        ("GET with the scope", &answers.scoped),
        (NOBODY, &answers.anonymous),
        (posted, &answers.posted),
    ];
    asked.into_iter().filter_map(|(what, response)| Answer::of(what, response.as_ref()?)).collect()
}

/// What is wrong, worst first, over all answers.
#[derive(Default)]
struct Faults {
    failures: Vec<String>,
    doubts: Vec<String>,
    breaks: Vec<KnownClient>,
    rows: Vec<&'static str>,
}

impl Faults {
    fn fail(&mut self, what: String, breaks: &[KnownClient], row: Option<&'static str>) {
        note(&mut self.failures, what);
        self.whom(breaks, row);
    }

    fn doubt(&mut self, what: String, breaks: &[KnownClient], row: Option<&'static str>) {
        note(&mut self.doubts, what);
        self.whom(breaks, row);
    }

    fn whom(&mut self, breaks: &[KnownClient], row: Option<&'static str>) {
        let new = breaks.iter().filter(|peer| !self.breaks.contains(peer));
        let new: Vec<KnownClient> = new.copied().collect();
        self.breaks.extend(new);
        let row = row.filter(|row| !self.rows.contains(row));
        self.rows.extend(row);
    }

    fn finding(self, check: Check, good: &str, fix: &str) -> Finding {
        let Self { failures, doubts, breaks, rows } = self;
        let mut all = failures.iter().chain(&doubts);
        let Some(first) = all.next() else { return Finding::pass(check, good) };
        let mut finding = if failures.is_empty() {
            Finding::warn(check, first)
        } else {
            Finding::fail(check, first)
        };
        for other in all {
            finding = finding.evidence(other);
        }
        finding.breaks(&breaks).rows(&rows).fix(fix)
    }
}

/// Each once, and no more than a person reads.
fn note(list: &mut Vec<String>, what: String) {
    if list.len() < 8 && !list.contains(&what) {
        list.push(what);
    }
}

/// RESP-01 (F64)
fn form(run: &mut Run, all: &[Answer]) {
    let mut faults = Faults::default();
    for answer in all {
        let what = answer.what;
        let status = answer.response.status;
        if status != StatusCode::OK {
            let only = [
                KnownClient::Podman,
                KnownClient::Crane,
                KnownClient::Oras,
                KnownClient::Regclient,
            ];
            faults.fail(
                format!("the response is {status} ({what}); most clients accept only 200"),
                &only,
                None,
            );
        }
        if let Read::NoObject(error) = &answer.read {
            faults.fail(format!("{error} ({what})"), &KnownClient::ALL, Some("F64"));
        }
        for oddity in answer.token().iter().flat_map(|token| &token.oddities) {
            if matches!(oddity, TokenOddity::ByteOrderMark | TokenOddity::TrailingText) {
                faults.fail(format!("{oddity} ({what})"), oddity.breaks(), Some("F64"));
            }
            if matches!(oddity, TokenOddity::DuplicateKey(_)) {
                faults.doubt(format!("{oddity} ({what})"), oddity.breaks(), None);
            }
        }
        let media_type = answer.response.media_type();
        if matches!(answer.read, Read::Token(_) | Read::None(_)) && !media_type.ends_with("json") {
            let shown = if media_type.is_empty() { "missing" } else { media_type.as_str() };
            let shown = crate::token_endpoint::cut(shown);
            faults.doubt(format!("the Content-Type of JSON is {shown} ({what})"), &[], None);
        }
        if answer.response.body.len() < MAX_BODY
            && std::str::from_utf8(&answer.response.body).is_err()
        {
            faults.fail(format!("the response is not UTF-8 ({what})"), &[], Some("F64"));
        }
    }
    run.record(faults.finding(
        Check::Resp01,
        "every response is one JSON object",
        "respond with status 200, Content-Type: application/json, and one JSON object in UTF-8: nothing before it (no byte order mark), nothing after it",
    ));
}

/// RESP-02 (F64)
fn length(run: &mut Run, all: &[Answer]) {
    let longest = all.iter().map(|answer| answer.response.body.len()).max().unwrap_or_default();
    if longest <= MAX_LENGTH {
        let summary = format!("the longest response has {longest} bytes");
        run.record(Finding::pass(Check::Resp02, summary));
        return;
    }
    let breaks: &[KnownClient] = if longest <= ORAS {
        &[KnownClient::Crane]
    } else if longest < MAX_BODY {
        &[KnownClient::Crane, KnownClient::Oras]
    } else {
        &KnownClient::ALL
    };
    run.record(
        Finding::fail(Check::Resp02, format!("the longest response has {longest} bytes; clients read 64 KiB"))
            .breaks(breaks)
            .rows(&["F64"])
            .fix("keep groups and other long lists out of the token, and grant only what was requested. A token must also fit into a header of at most 8 KiB"),
    );
}

/// What oras reads.
const ORAS: usize = 128 * 1024;

/// RESP-07, as far as the answers tell; whether it works is EXP-02's question.
fn refresh_token(run: &mut Run, all: &[Answer]) {
    let given =
        |answer: &&Answer| answer.token().is_some_and(|token| token.refresh_token.is_some());
    let login = all.iter().filter(given).find(|answer| answer.what == "GET as docker login");
    let token = login.and_then(|answer| answer.token()?.refresh_token.clone());
    run.observed.answers.refresh_token = token.map(Into::into);
    if all.iter().filter(given).any(|answer| answer.what == NOBODY) {
        run.record(
            Finding::warn(Check::Resp07, "anonymous requests get a refresh token")
                .fix("give a refresh token only for a password and offline_token=true"),
        );
    } else if all.iter().all(|answer| answer.what == NOBODY) {
        // Those without credentials ask for none.
        if run.observed.credential.is_some() {
            run.skip(&[Check::Resp07], &super::token_request::kept_or_refused(run));
        } else {
            run.skip(&[Check::Resp07], &super::token_request::LOGIN);
        }
    } else if run.observed.answers.refresh_token.is_none() {
        run.record(Finding::pass(
            Check::Resp07,
            "the token service gives none: clients store the password",
        ));
    }
}
