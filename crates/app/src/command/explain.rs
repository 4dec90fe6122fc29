//! `explain`: why a server refused a request, and what to do about it.

use clap::Args;
use portpass_admin::{AdminError, GrantOrigin, Installation, rfc3339};
use portpass_client::{Clock as _, SystemClock};
use portpass_config::Sources;
use portpass_diagnose::time::distance;
use portpass_server::refusals::{self, Absence, KnownFailure, Query, QueryResult, RefusedRequest};
use serde_json::{Value, json};

use super::{Context, InstallationArguments, config::load_forgiving};
use crate::failure::Failure;

mod display;
mod list;

use self::display::show;

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The request's id: `X-Request-Id` in the response, `request_id` in the log; without one, list the latest refusals
    #[arg(value_name = "REQUEST-ID")]
    request: Option<String>,
    /// List at most this many refusals
    #[arg(short, long, value_name = "NUMBER", default_value_t = 20, conflicts_with = "request")]
    number: usize,
    /// Also list requests that found nothing (404), as in every push and pull
    #[arg(long, conflicts_with = "request")]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    installation: InstallationArguments,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { request, number, all, json, installation } = arguments;
    let sources = installation.sources();
    let data = load_forgiving(&sources, &context.environment).await?.data;
    let query = match &request {
        Some(request) => Query::Request(request.clone()),
        None if all => Query::All(number),
        None => Query::Latest(number),
    };
    let result = refusals::query(&data, &query).await?;
    match &request {
        Some(request) if result.found.is_empty() => Err(absent(&result, request)),
        Some(_) => explain(&result.found, &sources, json, context).await,
        None if json => {
            context.printer.json(&serde_json::to_value(&result.found)?);
            Ok(())
        }
        None => {
            list::show(&context.printer, &result, all);
            Ok(())
        }
    }
}

/// A trusted proxy may have given one id to several requests.
async fn explain(
    found: &[RefusedRequest],
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
    Decided(Box<GrantOrigin>),
    /// The state of the account.
    Account(String),
    /// It cannot be looked at.
    Hidden(String),
    /// Nothing is to be looked at.
    Nothing,
}

/// The failures that a refusal may be.
struct PossibleFailures {
    known: Vec<&'static KnownFailure>,
    /// Whether it is the only one, and no other way to it can be thought of.
    is_certain: bool,
}

/// No rule grants it.
const NO_RULE: &str = "F104";
/// What the rules of a token service, or how it reads scopes, would explain.
const OF_RULES: &[&str] = &["F47", NO_RULE];

impl Background {
    async fn of(refused: &RefusedRequest, sources: &Sources, context: &Context) -> Self {
        let known = match (refused.refusal.as_str(), refused.subject.as_deref()) {
            (refusals::INSUFFICIENT_SCOPE, Some(subject)) => {
                Self::decided(subject, &refused.needed, sources, context).await
            }
            ("account-changed" | "wrong-password", Some(name))
                if refused.by == refusals::RefusedBy::TokenService =>
            {
                Self::account(name, sources, context).await
            }
            _ => Ok(Self::Nothing),
        };
        known.unwrap_or_else(|error| Self::Hidden(error.to_string()))
    }

    /// What it is known as. Rules that grant it do not refuse it; rules that do not are the reason for certain, where
    /// it is a token service of this installation that they decide for.
    fn failures(&self, refused: &RefusedRequest) -> PossibleFailures {
        let mut known = refused.known_failures();
        let rules = match self {
            Self::Decided(decided) => match **decided {
                GrantOrigin::ThisInstallation { suffices, .. } => Some(suffices),
                GrantOrigin::OtherTokenService(_) | GrantOrigin::NoTokenService => None,
            },
            Self::Account(_) | Self::Hidden(_) | Self::Nothing => None,
        };
        let of_rules = |failure: &&KnownFailure| failure.row == NO_RULE;
        match rules {
            // Here every scope of a request is read.
            Some(true) => known.retain(|failure| !OF_RULES.contains(&failure.row)),
            Some(false) if known.iter().any(of_rules) => known.retain(|failure| of_rules(failure)),
            Some(false) | None => {}
        }
        let is_certain = known.len() == 1 && (rules.is_some() || known[0].row != NO_RULE);
        PossibleFailures { known, is_certain }
    }

    async fn decided(
        subject: &str,
        needed: &[String],
        sources: &Sources,
        context: &Context,
    ) -> Result<Self, AdminError> {
        let decided = open(sources, context).await?.grant_origin(subject, needed).await?;
        Ok(Self::Decided(Box::new(decided)))
    }

    async fn account(name: &str, sources: &Sources, context: &Context) -> Result<Self, AdminError> {
        open(sources, context).await?.account_state(name).await.map(Self::Account)
    }
}

async fn open(sources: &Sources, context: &Context) -> Result<Installation, AdminError> {
    portpass_admin::open(sources, &context.environment).await
}

fn described(refused: &RefusedRequest, background: &Background) -> Result<Value, Failure> {
    let mut document = serde_json::to_value(refused)?;
    document["failures"] = serde_json::to_value(background.failures(refused).known)?;
    document["what_to_do"] = refused.what_to_do().into();
    match background {
        Background::Decided(decided) => match &**decided {
            GrantOrigin::ThisInstallation { explained, suffices, keys } => {
                document["rules"] = json!({
                    "explanations": explained.explanations,
                    "obstacle": explained.obstacle,
                    "grant_all_now": suffices,
                    "narrower_api_keys": keys,
                });
            }
            GrantOrigin::OtherTokenService(elsewhere) => {
                document["rules_elsewhere"] = serde_json::to_value(elsewhere)?;
            }
            GrantOrigin::NoTokenService => {}
        },
        Background::Account(state) => document["account"] = state.as_str().into(),
        Background::Hidden(why) => document["hidden"] = why.as_str().into(),
        Background::Nothing => {}
    }
    Ok(document)
}

/// Why nothing is kept of it, and where to look instead.
fn absent(result: &QueryResult, request: &str) -> Failure {
    let (why, hint) = match result.absence(request) {
        Absence::OtherProcess => (
            format!(
                "the request {request} is from an earlier start of this server, or from another server: the ids of this start \
                 begin with {}",
                result.process
            ),
            format!("the log line of that time has the reason: look for request_id={request}"),
        ),
        Absence::NotYet => {
            (format!("there has been no request {request} yet"), "is it the whole id?".to_owned())
        }
        Absence::Served => (
            format!("the request {request} was not refused, or came without credentials"),
            format!("its log line says how it ended: look for request_id={request}"),
        ),
        Absence::ServedOrForgotten => (
            format!(
                "the server has kept nothing about the request {request}: it was not refused, came without credentials, or is not among \
                 the last {} refusals",
                result.kept
            ),
            format!("its log line says how it ended: look for request_id={request}"),
        ),
        Absence::Foreign => (
            format!("no refused request has the id {request}"),
            "`portpass explain` lists the latest refusals".to_owned(),
        ),
    };
    Failure::new(why).hint(hint)
}

/// When it was, and how long ago that is.
fn when(refused: &RefusedRequest, now: std::time::SystemTime) -> String {
    format!("{} ({})", rfc3339(refused.at), distance(refused.at, now))
}
