//! `explain`: why a server refused a request, and what to do about it.

use clap::Args;
use portpass_client::{Clock as _, SystemClock, inspect::distance};
use portpass_server::{
    config::Sources,
    manage::{self, Decided, ManageError, Management, rfc3339},
    refusals::{self, Absence, Question, Refused, Told},
};
use serde_json::{Value, json};

use super::{Context, Installation, refused};
use crate::failure::Failure;

mod shown;

use self::shown::show;

/// What was typed.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// What the answer has as `X-Request-Id`, and the log as `request_id`; without one, the latest refusals are listed
    #[arg(value_name = "REQUEST-ID")]
    request: Option<String>,
    /// How many are listed at most
    #[arg(short, long, value_name = "NUMBER", default_value_t = 20, conflicts_with = "request")]
    number: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    installation: Installation,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { request, number, json, installation } = arguments;
    let sources = installation.sources();
    let data = manage::data_directory(&sources, &context.environment).await.map_err(refused)?;
    let question = request.clone().map_or(Question::Latest(number), Question::Request);
    let told = refusals::ask(&data, &question).await?;
    match &request {
        Some(request) if told.found.is_empty() => Err(absent(&told, request)),
        Some(_) => explain(&told.found, &sources, json, context).await,
        None if json => {
            context.printer.json(&serde_json::to_value(&told.found)?);
            Ok(())
        }
        None => {
            list(&told, context);
            Ok(())
        }
    }
}

fn list(told: &Told, context: &Context) {
    if told.found.is_empty() {
        context.printer.note("nothing was refused since the server started");
        return;
    }
    let row = |refused: &Refused| {
        [
            refused.request.clone(),
            rfc3339(refused.at),
            refused.client.clone(),
            shown::subject(refused),
            format!("{} {}", refused.method, refused.path),
            refused.status.to_string(),
            refused.refusal.clone(),
        ]
    };
    let heading = ["REQUEST ID", "WHEN", "CLIENT", "SUBJECT", "REQUEST", "STATUS", "REFUSAL"];
    let rows: Vec<[String; 7]> = told.found.iter().map(row).collect();
    context.printer.table(heading, &rows);
}

/// A trusted proxy may have given one id to several requests.
async fn explain(
    found: &[Refused],
    sources: &Sources,
    json: bool,
    context: &Context,
) -> Result<(), Failure> {
    let mut documents = Vec::new();
    for refused in found {
        let background = Background::of(refused, sources, context).await;
        if json {
            documents.push(described(refused, &background)?);
        } else {
            show(&context.printer, refused, &background, SystemClock.now());
        }
    }
    if json {
        context.printer.json(&Value::Array(documents));
    }
    Ok(())
}

/// What the installation knows beside what the server kept.
enum Background {
    /// The rules that decided.
    Decided(Box<Decided>),
    /// The state of the account.
    Account(String),
    /// It cannot be looked at.
    Hidden(String),
    /// Nothing is to be looked at.
    Nothing,
}

impl Background {
    async fn of(refused: &Refused, sources: &Sources, context: &Context) -> Self {
        let known = match (refused.refusal.as_str(), refused.subject.as_deref()) {
            (refusals::INSUFFICIENT_SCOPE, Some(subject)) => {
                Self::decided(subject, &refused.needed, sources, context).await
            }
            ("account-changed" | "wrong-password", Some(name))
                if refused.by == refusals::By::TokenService =>
            {
                Self::account(name, sources, context).await
            }
            _ => Ok(Self::Nothing),
        };
        known.unwrap_or_else(|error| Self::Hidden(error.to_string()))
    }

    async fn decided(
        subject: &str,
        needed: &[String],
        sources: &Sources,
        context: &Context,
    ) -> Result<Self, ManageError> {
        let decided = open(sources, context).await?.decided(subject, needed).await?;
        Ok(Self::Decided(Box::new(decided)))
    }

    async fn account(
        name: &str,
        sources: &Sources,
        context: &Context,
    ) -> Result<Self, ManageError> {
        open(sources, context).await?.about_account(name).await.map(Self::Account)
    }
}

async fn open(sources: &Sources, context: &Context) -> Result<Management, ManageError> {
    manage::open(sources, &context.environment).await
}

fn described(refused: &Refused, background: &Background) -> Result<Value, Failure> {
    let mut document = serde_json::to_value(refused)?;
    document["failures"] = serde_json::to_value(refused.known_failures())?;
    document["what_to_do"] = refused.what_to_do().into();
    match background {
        Background::Decided(decided) => match &**decided {
            Decided::Here { explained, suffices } => {
                document["rules"] = json!({
                    "explanations": explained.explanations,
                    "obstacle": explained.obstacle,
                    "grant_all_now": suffices,
                });
            }
            Decided::Elsewhere(elsewhere) => {
                document["rules_elsewhere"] = serde_json::to_value(elsewhere)?;
            }
            Decided::Nowhere => {}
        },
        Background::Account(state) => document["account"] = state.as_str().into(),
        Background::Hidden(why) => document["hidden"] = why.as_str().into(),
        Background::Nothing => {}
    }
    Ok(document)
}

/// Why nothing is kept of it, and where to look instead.
fn absent(told: &Told, request: &str) -> Failure {
    let (why, hint) = match told.absence(request) {
        Absence::OtherProcess => (
            format!(
                "the request {request} is of an earlier start of this server, or of another server: the ids of this start \
                 begin with {}",
                told.process
            ),
            format!("the log line of that time has the reason: look for request_id={request}"),
        ),
        Absence::NotYet => {
            (format!("there has been no request {request} yet"), "is it the whole id?".to_owned())
        }
        Absence::Served => (
            format!("the request {request} was not refused, or came without credentials"),
            format!("its log line tells how it ended: look for request_id={request}"),
        ),
        Absence::ServedOrForgotten => (
            format!(
                "of the request {request} nothing is kept: it was not refused, came without credentials, or is not among \
                 the last {} refusals",
                told.kept
            ),
            format!("its log line tells how it ended: look for request_id={request}"),
        ),
        Absence::Foreign => (
            format!("no refused request has the id {request}"),
            "`portpass explain` lists the latest refusals".to_owned(),
        ),
    };
    Failure::new(why).hint(hint)
}

/// When it was, and how long ago that is.
fn when(refused: &Refused, now: std::time::SystemTime) -> String {
    format!("{} ({})", rfc3339(refused.at), distance(refused.at, now))
}
