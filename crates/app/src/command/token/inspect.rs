//! `token inspect`: what a token says, and whether it holds.

use std::{
    fs,
    io::{IsTerminal as _, Read as _, stdin},
    path::{Path, PathBuf},
};

use clap::Args;
use portpass_client::{Clock as _, SystemClock};
use portpass_diagnose::inspect::{
    ChainEntry, Inspection, KeyIds, Refusal, TrustSettings, token_in,
};
use serde_json::{Value, json};

use super::Context;
use crate::command::workload;
use crate::{failure::Failure, printer::Printer};

/// The arguments.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The token, or the whole response of a token service; with `-` or without it, read stdin
    #[arg(value_name = "JWT")]
    token: Option<String>,
    /// Trusted certificates, as in a registry's `rootcertbundle`
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Trusted keys, as in a registry's `jwks`
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// The registry's `issuer`; without it, every value is accepted
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// The registry's `service`; without it, every value is accepted
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Check a job's or a pod's token against the `workload` accounts of this configuration
    #[arg(long, value_name = "FILE", conflicts_with_all = ["bundle", "jwks", "issuer", "service"])]
    config: Option<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub(super) async fn run(arguments: &Arguments, context: &Context) -> Result<(), Failure> {
    let now = SystemClock.now();
    let trusted = against(arguments)?.map(TrustSettings::read).transpose()?;
    let token = token_in(&typed(arguments.token.as_deref())?)?;
    if token.is_empty() {
        return Err(Failure::usage("there is no token to inspect"));
    }
    let inspection = Inspection::of(&token, now)?;
    let found = Found {
        ids: inspection.key_ids(trusted.as_ref()),
        chain: inspection.chain(now),
        claims: inspection.claim_rows(now),
    };
    let printer = &context.printer;
    if let Some(config) = &arguments.config {
        return examined(&token, config, &inspection, &found, arguments.json, context).await;
    }
    for skipped in trusted.iter().flat_map(|trusted| &trusted.skipped) {
        printer.warning(skipped);
    }
    let checked = trusted.map(|trusted| inspection.verify(&token, trusted, now));
    if arguments.json {
        printer.json(&described(&inspection, &found, checked.as_ref()));
    } else {
        show(printer, &inspection, &found);
    }
    match checked {
        Some(Err(refusal)) => Err(explained(&refusal)),
        Some(Ok(())) => {
            printer.note("it is valid: signature, issuer, service and times are correct");
            Ok(())
        }
        None if arguments.json => Ok(()),
        None => {
            printer.note(
                "its signature was not checked; name the trusted keys with --bundle or --jwks",
            );
            Ok(())
        }
    }
}

/// What it says, and what a token service with this configuration makes of it.
async fn examined(
    token: &str,
    config: &Path,
    inspection: &Inspection,
    found: &Found,
    json: bool,
    context: &Context,
) -> Result<(), Failure> {
    let sources = workload::sources(config);
    let examination = workload::examine(token, &sources, context).await?;
    if json {
        let mut document = described(inspection, found, None);
        document["workload"] = serde_json::to_value(&examination)?;
        context.printer.json(&document);
    } else {
        show(&context.printer, inspection, found);
        workload::show(&context.printer, &examination);
    }
    match &examination.refusal {
        None => Ok(()),
        Some(refusal) => {
            Err(Failure::new(format!("it is nobody's: {} ({})", refusal.reason, refusal.id)))
        }
    }
}

/// What has to be looked for.
struct Found {
    ids: Option<KeyIds>,
    chain: Vec<ChainEntry>,
    claims: Vec<(String, String)>,
}

fn described(
    inspection: &Inspection,
    found: &Found,
    checked: Option<&Result<(), Refusal>>,
) -> Value {
    json!({
        "header": inspection.header,
        "claims": inspection.claims,
        "key": inspection.key(),
        "key_ids": found.ids,
        "chain": found.chain,
        "notes": inspection.notes,
        "holds": checked.map(Result::is_ok),
        "refusal": checked.and_then(|checked| checked.as_ref().err()),
    })
}

/// The reason, the id that a registry's log would have, what to do, and what others call it.
fn explained(refusal: &Refusal) -> Failure {
    let Refusal { id, reason, what_to_do, failures } = refusal;
    let failure = Failure::new(format!("a registry refuses it: {reason} ({id})"));
    let failure = what_to_do.iter().fold(failure, |failure, advice| failure.hint(*advice));
    let name = if failures.len() == 1 { "known as" } else { "may be" };
    failures.iter().fold(failure, |failure, known| {
        failure.hint(format!("{name} {}: {}", known.row, known.what))
    })
}

fn show(printer: &Printer, inspection: &Inspection, found: &Found) {
    let row = |(name, value): &(String, String)| [name.clone(), value.clone()];
    let mut header: Vec<[String; 2]> = inspection.header_rows().iter().map(row).collect();
    header.push(["key".to_owned(), inspection.key()]);
    if let Some(KeyIds { libtrust, rfc7638, kind, found }) = &found.ids {
        header.push(["it is".to_owned(), format!("{kind}, {found}")]);
        header.push(["libtrust".to_owned(), libtrust.clone()]);
        header.push(["RFC 7638".to_owned(), rfc7638.clone()]);
    }
    printer.table(["header", ""], &header);
    if !found.chain.is_empty() {
        let rows: Vec<[String; 5]> = found.chain.iter().map(ChainEntry::row).collect();
        printer.table(["certificate", "issued by", "valid", "CA", "key"], &rows);
    }
    let claims: Vec<[String; 2]> = found.claims.iter().map(row).collect();
    printer.table(["claim", ""], &claims);
    let access: Vec<[String; 2]> = inspection.access_rows().iter().map(row).collect();
    if !access.is_empty() {
        printer.table(["access", "actions"], &access);
    }
    for note in &inspection.notes {
        printer.warning(note);
    }
}

/// Whom to trust; `None` if nobody was named.
fn against(arguments: &Arguments) -> Result<Option<TrustSettings>, Failure> {
    let Arguments { bundle, jwks, issuer, service, .. } = arguments;
    if bundle.is_none() && jwks.is_none() {
        return match issuer.as_ref().or(service.as_ref()) {
            None => Ok(None),
            Some(_) => Err(Failure::usage("--issuer and --service need --bundle or --jwks")),
        };
    }
    Ok(Some(TrustSettings {
        bundle: bundle.as_deref().map(bytes_of).transpose()?,
        jwks: jwks.as_deref().map(text_of).transpose()?,
        issuer: issuer.clone(),
        service: service.clone(),
    }))
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| unreadable(path, &error))
}

fn text_of(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{} cannot be read: {error}", path.display()))
}

fn typed(token: Option<&str>) -> Result<String, Failure> {
    match token.filter(|token| *token != "-") {
        Some(token) => Ok(token.to_owned()),
        None if token.is_none() && stdin().is_terminal() => {
            Err(Failure::usage("there is no token to inspect").hint("give one, or pipe one in"))
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
