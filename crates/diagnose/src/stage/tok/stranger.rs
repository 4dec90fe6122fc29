//! A wrong password, and another registry's name.

use portpass_protocol::challenge::Peer;
use reqwest::StatusCode;

use super::{LOGIN, grants};
use crate::{
    Check, Finding, Needs,
    case::Case,
    desk::{Desk, Who, is_page, put, token_in, told},
    facts::Opened,
    probe::Seen,
};

/// TOK-10, TOK-12
pub(super) async fn run(case: &mut Case, desk: &Desk, who: &Who) {
    wrong_password(case, desk, who).await;
    other_service(case, desk, who).await;
}

/// F54: one attempt, and only if it was allowed.
async fn wrong_password(case: &mut Case, desk: &Desk, who: &Who) {
    if case.facts.answers.refused {
        let summary = "the password that was given is refused, not taken for none";
        case.found(Finding::pass(Check::Tok10, summary));
        return;
    }
    if !case.inputs.wrong_password {
        case.skip(&[Check::Tok10], &Needs::Input("--wrong-password"));
        return;
    }
    let username = match who {
        Who::Password { username, .. } => username.clone(),
        Who::Nobody | Who::Identity(_) => "portpass-diagnose".to_owned(),
    };
    let wrong = Who::Password { username, password: "not the password (portpass diagnose)".into() };
    let Some(seen) = put(case, Check::Tok10, desk.login(&wrong)).await else { return };
    let line = told("GET as docker login, with a wrong password", &seen);
    let finding = if is_page(&seen) {
        Finding::warn(
            Check::Tok10,
            "a wrong password is answered with a redirect or a page, not 401",
        )
        .rows(&["F45"])
    } else if seen.status.is_success() {
        let subject = subject(&seen);
        Finding::fail(Check::Tok10, format!("a wrong password gets a token {subject}"))
            .seen(format!("it grants {}", grants(&seen)))
            .breaks(&Peer::ALL)
            .rows(&["F54"])
            .fix("answer 401 where credentials were sent and are wrong. With a token for nobody, clients say \"Login Succeeded\" and keep the wrong password, and pulls fail later with \"denied\"")
    } else if seen.status == StatusCode::UNAUTHORIZED {
        Finding::pass(Check::Tok10, "a wrong password is refused with 401")
    } else {
        Finding::warn(Check::Tok10, format!("a wrong password is refused with {}", seen.status))
            .fix("answer 401 with {\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"…\"}]}: clients read other statuses as faults of the server")
    };
    case.found(finding.seen(line));
}

fn subject(seen: &Seen) -> String {
    let claims = token_in(seen).and_then(|(text, _)| Opened::of(&text)).map(|opened| opened.claims);
    match claims.and_then(|claims| claims.get("sub")?.as_str().map(str::to_owned)) {
        Some(subject) if subject.is_empty() => "for nobody".to_owned(),
        Some(subject) => format!("for {:?}", crate::desk::cut(&subject)),
        None => "all the same".to_owned(),
    }
}

async fn other_service(case: &mut Case, desk: &Desk, who: &Who) {
    let Some(service) = desk.service() else {
        case.skip(&[Check::Tok12], &Needs::Nothing("the challenge names no service"));
        return;
    };
    let served = |seen: &Option<Seen>| seen.as_ref().is_some_and(|seen| seen.status.is_success());
    let answers = &case.facts.answers;
    let who = match who {
        _ if served(&answers.anonymous) => &Who::Nobody,
        Who::Password { .. } if !answers.refused && served(&answers.login) => who,
        Who::Password { .. } => {
            case.skip(&[Check::Tok12], &Needs::Check(Check::Tok02));
            return;
        }
        Who::Identity(_) => {
            let reason = "an identity token is for one service, and some take it back when it is shown to another";
            case.skip(&[Check::Tok12], &Needs::Nothing(reason));
            return;
        }
        Who::Nobody => {
            case.skip(&[Check::Tok12], &LOGIN);
            return;
        }
    };
    let other = format!("{service}-portpass-diagnose");
    let ask = desk.for_service(&other).get(who, &[], &[]);
    let Some(seen) = put(case, Check::Tok12, ask).await else { return };
    if !seen.status.is_success() || is_page(&seen) {
        let summary = format!("another service's name is refused with {}", seen.status);
        case.found(Finding::pass(Check::Tok12, summary));
        return;
    }
    let Some(claims) =
        token_in(&seen).and_then(|(text, _)| Opened::of(&text)).map(|open| open.claims)
    else {
        case.skip(&[Check::Tok12], &Needs::Nothing("the token cannot be opened"));
        return;
    };
    let audience = claims.get("aud").map(ToString::to_string).unwrap_or_default();
    case.found(if audience.contains(&other) {
        Finding::pass(Check::Tok12, "`aud` is the service that was asked for")
    } else {
        Finding::warn(Check::Tok12, "the token service does not look at `service`: every token has the same `aud`")
            .seen(format!("asked for {other:?}, got \"aud\": {}", crate::desk::cut(&audience)))
            .fix("let the token service write the `service` that was asked for into `aud`, or refuse what it does not know. A second registry with a service of its own gets tokens that it refuses")
    });
}
