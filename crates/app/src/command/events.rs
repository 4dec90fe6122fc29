//! `events`: what others are told of the registry, and whether they take it.

use std::time::Duration;

use clap::{Args, Subcommand};
use portpass_admin::{EndpointStatus, EventRange, EventRecord, Installation, rfc3339};
use serde_json::Value;

use super::{Context, InstallationArguments, json_line, refused};
use crate::failure::Failure;

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
    /// Only the latest NUMBER events
    #[arg(short, long, value_name = "NUMBER", default_value_t = LATEST)]
    number: usize,
    /// Continue with new events, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Print JSON, an object on each line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the endpoints, and whether they take events
    Endpoints {
        /// Print JSON, an object on each line
        #[arg(long)]
        json: bool,
    },
    /// Have an endpoint told of events once more
    Redeliver {
        /// The endpoint's name in the configuration
        endpoint: String,
        /// The number of an event, or the first and the last: `12-20`
        #[arg(required = true)]
        events: Vec<EventRange>,
    },
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { action, query, installation } = arguments;
    let installation = installation.open(context).await?;
    match action {
        None => read(&installation, &query, context).await,
        Some(Action::Endpoints { json }) => {
            for endpoint in installation.event_endpoints().await.map_err(refused)? {
                if json {
                    context.printer.line(serde_json::to_string(&endpoint)?);
                } else {
                    context.printer.line(sentence(&endpoint));
                }
            }
            Ok(())
        }
        Some(Action::Redeliver { endpoint, events }) => {
            let mut told = 0;
            for range in events {
                told += installation.redeliver(&endpoint, range).await.map_err(refused)?;
            }
            let events = if told == 1 { "event" } else { "events" };
            context.printer.note(format!("{endpoint} is told of {told} {events} once more"));
            Ok(())
        }
    }
}

async fn read(
    installation: &Installation,
    query: &QueryArguments,
    context: &Context,
) -> Result<(), Failure> {
    let mut place = installation.event_end().await.map_err(refused)?;
    let latest = installation.latest_events(query.number).await.map_err(refused)?;
    if latest.is_empty() && installation.event_endpoints().await.map_err(refused)?.is_empty() {
        context
            .printer
            .warning("there are events only where `registry.notifications` names an endpoint");
    }
    place = latest.last().map_or(place, |last| place.max(last.sequence));
    print(&latest, query.json, context)?;
    if !query.follow {
        return Ok(());
    }
    let following = async {
        while !context.printer.is_closed() {
            let events = installation.events_after(place).await.map_err(refused)?;
            match events.last() {
                Some(last) => place = last.sequence,
                None => tokio::time::sleep(LOOK_EVERY).await,
            }
            print(&events, query.json, context)?;
        }
        Ok(())
    };
    tokio::select! {
        ended = following => ended,
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

fn print(events: &[EventRecord], json: bool, context: &Context) -> Result<(), Failure> {
    for event in events {
        if context.printer.is_closed() {
            break;
        }
        let line =
            if json { json_line::escaped(&serde_json::to_string(event)?) } else { line(event)? };
        context.printer.line(line);
    }
    Ok(())
}

/// `12  2026-12-01T04:18:11Z  push    team/app:v1  by ann`
fn line(record: &EventRecord) -> Result<String, Failure> {
    let EventRecord { sequence, at, action, repository, event } = record;
    let event: Value = serde_json::from_str(event.get())?;
    let text = |pointer| event.pointer(pointer).and_then(Value::as_str);
    let reference = match (text("/target/tag"), text("/target/digest")) {
        (Some(tag), _) => format!(":{tag}"),
        (None, Some(digest)) => format!("@{digest}"),
        (None, None) => String::new(),
    };
    let actor = text("/actor/name").map(|name| format!("  by {name}")).unwrap_or_default();
    let line =
        format!("{sequence:>8}  {}  {action:<6}  {repository}{reference}{actor}", rfc3339(*at));
    Ok(json_line::escaped(&line))
}

fn sentence(endpoint: &EndpointStatus) -> String {
    let EndpointStatus { name, waiting, lost, failures, failure } = endpoint;
    let lost = match lost {
        0 => String::new(),
        lost => format!(", {lost} removed before they were taken"),
    };
    let failure = match failure {
        None => String::new(),
        Some(failure) => format!(", {failures} failures in a row: {failure}"),
    };
    json_line::escaped(&format!("{name}: {waiting} waiting{lost}{failure}"))
}

/// Events that are listed where nobody says how many.
const LATEST: usize = 50;

const LOOK_EVERY: Duration = Duration::from_millis(500);
