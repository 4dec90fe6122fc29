//! A refusal as a person reads it.

use std::time::{Duration, SystemTime};

use portpass_admin::{GrantOrigin, NarrowKey, shell_quoted};
use portpass_diagnose::time::{date, span};
use portpass_server::refusals::{INSUFFICIENT_SCOPE, RefusedRequest, TokenSummary};

use super::{Background, PossibleFailures, when};
use crate::printer::Printer;

/// Prints all that is known of it.
pub(super) fn show(
    printer: &Printer,
    refused: &RefusedRequest,
    background: &Background,
    now: SystemTime,
) {
    let mut rows = rows(refused, now);
    if let Background::Account(state) = background {
        rows.push(row("account", state));
    }
    let PossibleFailures { known, is_certain } = background.failures(refused);
    let name = if is_certain { "known as" } else { "may be" };
    rows.extend(known.iter().map(|known| row(name, format!("{}: {}", known.row, known.what))));
    rows.extend(refused.what_to_do().map(|advice| row("what to do", advice)));
    printer.table(["request", &refused.request], &rows);
    match background {
        Background::Decided(decided) => decision(printer, decided, refused),
        Background::Hidden(why) => {
            printer.warning(format_args!("cannot read the rules and accounts: {why}"));
        }
        Background::Account(_) | Background::Nothing => {}
    }
    if refused.repeated > 0 {
        keeps_its_token(printer, refused);
    }
}

/// What a client does not do by itself, somebody has to do for it.
fn keeps_its_token(printer: &Printer, refused: &RefusedRequest) {
    let scopes: Vec<String> =
        refused.needed.iter().map(|scope| format!("--scope {}", shell_quoted(scope))).collect();
    printer.line(format_args!(
        "this client keeps its token: it sent the same one {} times for the same, and did not ask for a larger one",
        refused.repeated + 1
    ));
    printer.line(
        "(oras-py 0.2.43 does so). If the rules grant it, fetch a larger token and give it to the client:",
    );
    printer.line(format_args!("    portpass token REGISTRY {}", scopes.join(" ")));
    printer.line("oras-py accepts it with client.auth.set_token_auth(TOKEN), other clients at login as a registry token");
}

fn row(name: &str, value: impl Into<String>) -> [String; 2] {
    [name.to_owned(), value.into()]
}

fn rows(refused: &RefusedRequest, now: SystemTime) -> Vec<[String; 2]> {
    let mut rows = vec![
        row("when", when(refused, now)),
        row("client", client(refused)),
        row("subject", subject(refused)),
        row("asked", format!("{} {}", refused.method, refused.path)),
        row("answer", format!("{}, by {}", refused.status, refused.by)),
        row("refusal", refused.refusal.as_str()),
        row("reason", refused.reason.as_str()),
    ];
    if !refused.needed.is_empty() {
        rows.push(row("needed", refused.needed.join(" ")));
    }
    if refused.refusal == INSUFFICIENT_SCOPE {
        rows.push(row("granted", granted(&refused.granted)));
    }
    let token = refused.token.as_ref();
    rows.extend(token.map(|token| token_rows(token, refused.at)).into_iter().flatten());
    rows
}

fn client(refused: &RefusedRequest) -> String {
    if refused.agent.is_empty() {
        refused.client.clone()
    } else {
        format!("{}, {}", refused.client, refused.agent)
    }
}

/// Who asked.
pub(super) fn subject(refused: &RefusedRequest) -> String {
    match refused.subject.as_deref() {
        None => "not known".to_owned(),
        Some("") => "anonymous".to_owned(),
        Some(name) => name.to_owned(),
    }
}

/// An entry without actions was asked for and denied.
fn granted(scopes: &[String]) -> String {
    let said = scopes.iter().map(|scope| match scope.strip_suffix(':') {
        Some(resource) => format!("nothing on {resource}, although the client asked for it"),
        None => scope.clone(),
    });
    let said: Vec<String> = said.collect();
    if said.is_empty() { "nothing".to_owned() } else { said.join("; ") }
}

/// What a token that was refused says of itself.
fn token_rows(token: &TokenSummary, then: SystemTime) -> Vec<[String; 2]> {
    let time = |seconds: Option<i64>| seconds.map(|seconds| moment(seconds, then));
    let audience = token.audience.join(", ");
    let subject =
        token.subject.as_deref().map(|name| if name.is_empty() { "nobody" } else { name });
    let rows = [
        ("iss", token.issuer.clone()),
        ("aud", (!audience.is_empty()).then_some(audience)),
        ("sub", subject.map(str::to_owned)),
        ("iat", time(token.issued_at)),
        ("nbf", time(token.not_before)),
        ("exp", time(token.expires)),
        ("alg", token.algorithm.clone()),
        ("key", Some(token.key.clone())),
    ];
    let shown = |(name, value): (&str, Option<String>)| Some(row(&format!("its {name}"), value?));
    rows.into_iter().filter_map(shown).collect()
}

/// A claim's time, and how far it was from the request.
fn moment(seconds: i64, then: SystemTime) -> String {
    let offset = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(offset)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(offset)
    };
    let Some(time) = time else { return seconds.to_string() };
    let far = match time.duration_since(then) {
        Ok(later) => format!("{} after the request", span(later)),
        Err(earlier) => format!("{} before the request", span(earlier.duration())),
    };
    format!("{} ({far})", date(time))
}

fn decision(printer: &Printer, decided: &GrantOrigin, refused: &RefusedRequest) {
    match decided {
        GrantOrigin::ThisInstallation { explained, suffices, keys } => {
            printer.table(["rules", "as they are now"], &[]);
            for explanation in &explained.explanations {
                printer.line(explanation);
            }
            if let Some(obstacle) = &explained.obstacle {
                printer.line(obstacle);
            }
            if *suffices {
                printer.line(why_it_lacks(refused));
            }
            if !keys.is_empty() {
                printer.line("if the client used one of these API keys, that is the reason:");
            }
            for NarrowKey { id, description, limit } in keys {
                printer.line(format!("    {id} is limited to {limit}  {description}").trim_end());
            }
        }
        GrantOrigin::OtherTokenService(elsewhere) => {
            printer.table(["rules", &format!("elsewhere: {}", elsewhere.realm)], &[]);
            printer.line("the token service is not in this configuration; if it is a portpass, run on its machine:");
            printer.line(format_args!("    {}", elsewhere.command));
        }
        GrantOrigin::NoTokenService => {}
    }
}

/// The rules would grant it, and the token does not.
fn why_it_lacks(refused: &RefusedRequest) -> &'static str {
    let was_denied = |scope: &String| scope.ends_with(':');
    if refused.granted.iter().any(was_denied) {
        "the rules grant it now: they were changed after the token was issued, or the token came from a smaller grant"
    } else if refused.repeated > 0 {
        "the rules grant it, and the client did not ask for it"
    } else {
        "the rules grant it: the client did not ask for it yet. Most clients then fetch a larger token, and nothing is wrong"
    }
}
