//! `audit`: who did what, and whether the trail of it is as it was written.

use std::time::Duration;

use clap::{Args, Subcommand};
use portpass_admin::{AuditEntry, AuditFilter, AuditQuery, AuditVerdict, Installation};

use super::{Context, InstallationArguments, refused};
use crate::failure::Failure;

mod display;

/// The arguments.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    query: QueryArguments,
    #[command(flatten)]
    installation: InstallationArguments,
}

#[derive(Args, Debug)]
struct QueryArguments {
    /// Only what this account did, and what was done to it
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Only entries about repositories that match: `team/app`, `team/*`, `team/**`
    #[arg(long, value_name = "PATTERN")]
    repository: Option<String>,
    /// Only entries since then: `2h` or `3d` ago, or a time as in 2026-11-30T05:00:00Z
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only this action; may be given several times, or as a list with commas
    #[arg(long, value_name = "ACTION", value_delimiter = ',')]
    action: Vec<String>,
    /// Only the latest NUMBER entries; without it and without --since, 50
    #[arg(short, long, value_name = "NUMBER")]
    number: Option<usize>,
    /// Continue with new entries, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Print JSON, an object on each line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check whether the trail was changed
    Verify {
        /// A position that you noted earlier: the trail must still contain it
        #[arg(long, value_name = "NUMBER:HASH")]
        expect: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { action, query, installation } = arguments;
    let installation = installation.open(context).await?;
    match action {
        Some(Action::Verify { expect, json }) => {
            let verdict = installation.verify_audit(expect.as_deref()).await.map_err(refused)?;
            verified(&verdict, json, context)
        }
        None => read(&installation, query, context).await,
    }
}

async fn read(
    installation: &Installation,
    query: QueryArguments,
    context: &Context,
) -> Result<(), Failure> {
    let QueryArguments { account, repository, since, action: actions, number, follow, json } =
        query;
    let query = AuditQuery { account, repository, since, actions };
    let filter = installation.audit_filter(&query).map_err(refused)?;
    let mut place = installation.audit_end().await.map_err(refused)?;
    let printed = |entries: &[AuditEntry]| print(entries, json, context);
    match (number, &query.since) {
        (None, Some(_)) => {
            let first = installation.audit_begin(&filter).await.map_err(refused)?;
            place = all(installation, &filter, first.saturating_sub(1), &printed).await?.max(place);
        }
        (number, _) => {
            let number = number.unwrap_or(LATEST);
            let entries = installation.latest_audit(&filter, number).await.map_err(refused)?;
            printed(&entries)?;
            if let (true, Some(account)) = (entries.is_empty(), &query.account)
                && let Err(unknown) = installation.check_account_known(account).await
            {
                context.printer.warning(unknown);
            }
            place = entries.last().map_or(place, |last| place.max(last.sequence));
        }
    }
    if !follow {
        return Ok(());
    }
    let following = async {
        while !context.printer.is_closed() {
            tokio::time::sleep(LOOK_EVERY).await;
            place = all(installation, &filter, place, &printed).await?;
        }
        Ok(())
    };
    tokio::select! {
        ended = following => ended,
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

/// Prints all that is meant behind a place, and gives the place where the trail ends.
async fn all(
    installation: &Installation,
    filter: &AuditFilter,
    mut place: i64,
    printed: impl Fn(&[AuditEntry]) -> Result<(), Failure>,
) -> Result<i64, Failure> {
    while let Some((entries, last)) =
        installation.audit_after(filter, place).await.map_err(refused)?
    {
        printed(&entries)?;
        place = last;
    }
    Ok(place)
}

fn print(entries: &[AuditEntry], json: bool, context: &Context) -> Result<(), Failure> {
    for entry in entries {
        if context.printer.is_closed() {
            break;
        }
        if json {
            context.printer.line(display::json(entry)?);
        } else {
            context.printer.text(&display::text(entry));
        }
    }
    Ok(())
}

fn verified(verdict: &AuditVerdict, json: bool, context: &Context) -> Result<(), Failure> {
    if json {
        context.printer.json(&serde_json::to_value(verdict)?);
    } else {
        context.printer.text(&display::verdict(verdict));
    }
    if verdict.holds {
        return Ok(());
    }
    let failure = Failure::new("the audit trail was changed");
    Err(failure.hint("anyone who can write to the database can do this; the server logs the last position of the trail every hour"))
}

/// Entries that are listed where nobody says how many.
const LATEST: usize = 50;
/// Two look-ups each time.
const LOOK_EVERY: Duration = Duration::from_millis(500);
