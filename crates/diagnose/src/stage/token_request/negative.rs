//! A wrong password, and another registry's name.

use portpass_protocol::challenge::KnownClient;
use reqwest::StatusCode;

use super::{LOGIN, grants};
use crate::{
    Check, Finding, Needs,
    exchange::Response,
    observations::Decoded,
    run::Run,
    token_endpoint::{Caller, TokenEndpoint, describe, is_page, send, token_in},
};

/// TOK-10, TOK-12
pub(super) async fn check(run: &mut Run, endpoint: &TokenEndpoint, caller: &Caller) {
    wrong_password(run, endpoint, caller).await;
    other_service(run, endpoint, caller).await;
}

/// F54: one attempt, and only if it was allowed.
async fn wrong_password(run: &mut Run, endpoint: &TokenEndpoint, caller: &Caller) {
    if run.observed.answers.refused {
        let summary = "the token service refuses your password; it does not ignore it";
        run.record(Finding::pass(Check::Tok10, summary));
        return;
    }
    if !run.inputs.wrong_password {
        run.skip(&[Check::Tok10], &Needs::Input("--wrong-password"));
        return;
    }
    let username = match caller {
        Caller::Password { username, .. } => username.clone(),
        Caller::Anonymous | Caller::RefreshToken(_) => "portpass-diagnose".to_owned(),
    };
    let wrong =
        Caller::Password { username, password: "not the password (portpass diagnose)".into() };
    let Some(response) = send(run, Check::Tok10, endpoint.login(&wrong)).await else { return };
    let line = describe("GET as docker login, with a wrong password", &response);
    let finding = if is_page(&response) {
        Finding::warn(Check::Tok10, "a wrong password gets a redirect or a web page, not 401")
            .rows(&["F45"])
    } else if response.status.is_success() {
        let subject = subject(&response);
        Finding::fail(Check::Tok10, format!("a wrong password gets a token {subject}"))
            .evidence(format!("it grants {}", grants(&response)))
            .breaks(&KnownClient::ALL)
            .rows(&["F54"])
            .fix("respond to wrong credentials with 401. If they get an anonymous token, clients say \"Login Succeeded\" and store the wrong password, and pulls fail later with \"denied\"")
    } else if response.status == StatusCode::UNAUTHORIZED {
        Finding::pass(Check::Tok10, "a wrong password is refused with 401")
    } else {
        Finding::warn(Check::Tok10, format!("a wrong password is refused with {}", response.status))
            .fix("respond with 401 and {\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"…\"}]}: clients treat other statuses as server errors")
    };
    run.record(finding.evidence(line));
}

fn subject(response: &Response) -> String {
    let claims =
        token_in(response).and_then(|(text, _)| Decoded::of(&text)).map(|opened| opened.claims);
    match claims.and_then(|claims| claims.get("sub")?.as_str().map(str::to_owned)) {
        Some(subject) if subject.is_empty() => "with no `sub`".to_owned(),
        Some(subject) => format!("for {:?}", crate::token_endpoint::cut(&subject)),
        None => "all the same".to_owned(),
    }
}

async fn other_service(run: &mut Run, endpoint: &TokenEndpoint, caller: &Caller) {
    let Some(service) = endpoint.service() else {
        run.skip(&[Check::Tok12], &Needs::Nothing("the challenge names no service"));
        return;
    };
    let served = |response: &Option<Response>| {
        response.as_ref().is_some_and(|response| response.status.is_success())
    };
    let answers = &run.observed.answers;
    let caller = match caller {
        _ if served(&answers.anonymous) => &Caller::Anonymous,
        Caller::Password { .. } if !answers.refused && served(&answers.login) => caller,
        Caller::Password { .. } => {
            run.skip(&[Check::Tok12], &Needs::Check(Check::Tok02));
            return;
        }
        Caller::RefreshToken(_) => {
            let reason = "an identity token is for one service, and some token services revoke it if another one is named";
            run.skip(&[Check::Tok12], &Needs::Nothing(reason));
            return;
        }
        Caller::Anonymous => {
            run.skip(&[Check::Tok12], &LOGIN);
            return;
        }
    };
    let other = format!("{service}-portpass-diagnose");
    let request = endpoint.for_service(&other).get(caller, &[], &[]);
    let Some(response) = send(run, Check::Tok12, request).await else { return };
    if !response.status.is_success() || is_page(&response) {
        let summary = format!("another service's name is refused with {}", response.status);
        run.record(Finding::pass(Check::Tok12, summary));
        return;
    }
    let Some(claims) =
        token_in(&response).and_then(|(text, _)| Decoded::of(&text)).map(|open| open.claims)
    else {
        run.skip(&[Check::Tok12], &Needs::Nothing("the token cannot be decoded"));
        return;
    };
    let audience = claims.get("aud").map(ToString::to_string).unwrap_or_default();
    run.record(if audience.contains(&other) {
        Finding::pass(Check::Tok12, "`aud` is the requested service")
    } else {
        Finding::warn(Check::Tok12, "the token service ignores `service`: every token has the same `aud`")
            .evidence(format!("requested {other:?}, got \"aud\": {}", crate::token_endpoint::cut(&audience)))
            .fix("the token service must write the requested `service` into `aud`, or refuse an unknown one. Otherwise a second registry with its own service refuses the tokens")
    });
}
