//! `policy`: who may do what, which rule says so, and whether that is what was meant.

use std::{net::IpAddr, path::PathBuf};

use clap::{Args, Subcommand};
use portpass_admin::{Caller, Circumstances, Rulebook};

use super::{Context, InstallationArguments, refused};
use crate::{failure::Failure, outcome::Outcome};

mod diff;
mod junit;
mod lint;
mod test;
mod who;

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    installation: InstallationArguments,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say what the rules would grant to an account, and which rules decide
    Explain {
        /// The account; `anonymous` for a caller without credentials (`user:anonymous` for an account of that name),
        /// `robot:NAME` for a robot, `key:ID` for an API key
        account: Caller,
        /// The scopes to ask for, as in a challenge: repository:team/app:pull,push
        #[arg(required = true, value_name = "SCOPE")]
        scopes: Vec<String>,
        #[command(flatten)]
        circumstances: CircumstancesArguments,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Hold the rules against a file of expectations; needs no installation
    Test {
        /// A list of `{ as: ann, scope: "repository:team/app:pull,push", granted: [pull] }`; `from`, `at`, `service`,
        /// `rule`, `groups` and `labels` may be there too, `allow` and `repository` for a robot or an API key
        file: PathBuf,
        /// Write the results as JUnit XML too
        #[arg(long, value_name = "FILE")]
        junit: Option<PathBuf>,
    },
    /// Look for rules that do nothing, or more than was meant
    Lint {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say who gains or loses what between two configurations or two lists of rules; exit status 0 is nothing, 1
    /// something, 2 an error
    Diff {
        /// The configuration or the list of rules as it was
        old: PathBuf,
        /// As it is to be
        new: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List everybody who reaches a repository, and by which rules: at most, unless you say from where and when
    Who {
        /// The repository: team/app
        repository: String,
        #[command(flatten)]
        circumstances: CircumstancesArguments,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// What a decision depends on beside who asks for what.
#[derive(Args, Debug)]
struct CircumstancesArguments {
    /// The service that the token would be for; without it, the first in the configuration
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// The client's address, for rules with `from`; without it, no such rule allows anything
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,
    /// When, for rules with `between`: 2026-12-01T08:00:00Z, or how long ago, as in 2h; without it, now
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

impl From<CircumstancesArguments> for Circumstances {
    fn from(CircumstancesArguments { service, from, at }: CircumstancesArguments) -> Self {
        Self { service, address: from, at }
    }
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    let Arguments { action, installation } = arguments;
    match action {
        Action::Explain { account, scopes, circumstances, json } => {
            let installation = installation.open(context).await?;
            let circumstances = circumstances.into();
            let explained = installation.explain(&account, &circumstances, &scopes).await;
            let explained = explained.map_err(refused)?;
            for ignored in &explained.ignored_scopes {
                context.printer.warning(format!("left out of a token: {ignored}"));
            }
            if let Some(obstacle) = &explained.obstacle {
                context.printer.warning(obstacle);
            }
            if let Some(caveat) = &explained.caveat {
                context.printer.warning(caveat);
            }
            if json {
                context.printer.json(&serde_json::to_value(&explained.explanations)?);
            } else {
                for explanation in &explained.explanations {
                    context.printer.line(explanation);
                }
            }
            Ok(Outcome::Success)
        }
        Action::Test { file, junit } => {
            test::run(&rulebook(installation, context).await?, file, junit, context).await
        }
        Action::Lint { json } => {
            lint::run(&rulebook(installation, context).await?, json, context).await
        }
        Action::Diff { old, new, json } => {
            let compared = async {
                let rulebook = rulebook(installation, context).await?;
                diff::run(&rulebook, old, new, json, context).await
            };
            // As with diff, 1 is an answer.
            compared.await.map_err(Failure::no_answer)
        }
        Action::Who { repository, circumstances, json } => {
            let rulebook = rulebook(installation, context).await?;
            who::run(&rulebook, &repository, &circumstances.into(), json, context).await
        }
    }
}

/// Opens the rules of that installation, or of a configuration alone.
async fn rulebook(
    installation: InstallationArguments,
    context: &Context,
) -> Result<Rulebook, Failure> {
    let opened = Rulebook::open(&installation.sources(), &context.environment).await;
    let rulebook = opened.map_err(refused)?;
    for warning in rulebook.warnings() {
        context.printer.warning(warning);
    }
    Ok(rulebook)
}
