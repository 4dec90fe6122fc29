//! `token inspect`: what a token says, and whether it holds.

use std::{
    fs,
    io::{IsTerminal as _, Read as _, stdin},
    path::{Path, PathBuf},
};

use clap::Args;
use portpass_client::{
    Clock as _, SystemClock,
    inspect::{Against, Inspection, token_in},
};
use serde_json::json;

use super::Context;
use crate::{failure::Failure, printer::Printer};

/// What was typed.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The token, or a token service's whole answer; from stdin if it is `-` or not given
    #[arg(value_name = "JWT")]
    token: Option<String>,
    /// Certificates that are trusted, as in a registry's `rootcertbundle`
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Keys that are trusted, as in a registry's `jwks`
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Who has to have signed it; whoever it says, if not given
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// For whom it has to be; for whomever it says, if not given
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let now = SystemClock.now();
    let against = against(arguments)?;
    let token = token_in(&typed(arguments.token.as_deref())?)?;
    if token.is_empty() {
        return Err(Failure::usage("there is no token to look into"));
    }
    let inspection = Inspection::of(&token, now)?;
    let checked = against.map(|against| inspection.verify(&token, &against, now));
    let printer = &context.printer;
    if arguments.json {
        printer.json(&json!({
            "header": inspection.header,
            "claims": inspection.claims,
            "key": inspection.key,
            "notes": inspection.notes,
            "holds": checked.as_ref().map(Result::is_ok),
            "refusal": checked.as_ref().and_then(|checked| checked.as_ref().err()),
        }));
    } else {
        show(printer, &inspection, &inspection.claim_rows(now));
    }
    match checked {
        Some(Err(refusal)) => Err(Failure::new(format!("a registry refuses it: {refusal}"))),
        Some(Ok(())) => {
            printer.note("it holds: signature, issuer, service and times are as they should be");
            Ok(())
        }
        None if arguments.json => Ok(()),
        None => {
            printer.note("its signature was not checked; --bundle or --jwks says whom to trust");
            Ok(())
        }
    }
}

fn show(printer: &Printer, inspection: &Inspection, claims: &[(String, String)]) {
    let plain = |name: &str| !matches!(name, "kid" | "x5c" | "jwk");
    let header = inspection.header.iter().filter(|(name, _)| plain(name));
    let mut header: Vec<[String; 2]> = header
        .map(|(name, value)| {
            [name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)]
        })
        .collect();
    header.push(["key".to_owned(), inspection.key.clone()]);
    printer.table(["header", ""], &header);
    let claims: Vec<[String; 2]> =
        claims.iter().map(|(name, value)| [name.clone(), value.clone()]).collect();
    printer.table(["claim", ""], &claims);
    if let Some(access) = inspection.access().filter(|access| !access.is_empty()) {
        let rows: Vec<[String; 2]> = access
            .iter()
            .map(|access| [access.resource.to_string(), access.actions.to_string()])
            .collect();
        printer.table(["access", "actions"], &rows);
    }
    for note in &inspection.notes {
        printer.warning(note);
    }
}

/// Whom to trust; `None` if nobody was named.
fn against(arguments: &Arguments) -> Result<Option<Against>, Failure> {
    let Arguments { bundle, jwks, issuer, service, .. } = arguments;
    if bundle.is_none() && jwks.is_none() {
        return match issuer.as_ref().or(service.as_ref()) {
            None => Ok(None),
            Some(_) => Err(Failure::usage(
                "--issuer and --service are for a check, which needs --bundle or --jwks",
            )),
        };
    }
    Ok(Some(Against {
        bundle: bundle.as_deref().map(text_of).transpose()?,
        jwks: jwks.as_deref().map(text_of).transpose()?,
        issuer: issuer.clone(),
        service: service.clone(),
    }))
}

fn text_of(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))
}

fn typed(token: Option<&str>) -> Result<String, Failure> {
    match token.filter(|token| *token != "-") {
        Some(token) => Ok(token.to_owned()),
        None if token.is_none() && stdin().is_terminal() => {
            Err(Failure::usage("there is no token to look into").hint("give one, or pipe one in"))
        }
        None => {
            let mut text = String::new();
            stdin().take(MAX_LENGTH).read_to_string(&mut text)?;
            Ok(text)
        }
    }
}

/// More than any token that a registry would look at.
const MAX_LENGTH: u64 = 1024 * 1024;
