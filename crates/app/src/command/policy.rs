//! `policy`: who may do what, and which rule says so.

use std::{convert::Infallible, str::FromStr};

use clap::{Args, Subcommand};
use portpass_admin::Caller;

use super::{Context, InstallationArguments, refused};
use crate::failure::Failure;

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
        /// The account; `anonymous` for a caller without credentials (`user:anonymous` for an account of that name)
        account: CallerArgument,
        /// The scopes to ask for, as in a challenge: repository:team/app:pull,push
        #[arg(required = true, value_name = "SCOPE")]
        scopes: Vec<String>,
        /// The service that the token would be for; without it, the first in the configuration
        #[arg(long, value_name = "NAME")]
        service: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Whom a rule would name so.
#[derive(Clone, Debug)]
struct CallerArgument(Caller);

impl FromStr for CallerArgument {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(match text {
            "anonymous" => Caller::Anonymous,
            name => Caller::Account(name.strip_prefix("user:").unwrap_or(name).to_owned()),
        }))
    }
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let installation = arguments.installation.open(context).await?;
    let Action::Explain { account, scopes, service, json } = arguments.action;
    let explained = installation.explain(&account.0, service.as_deref(), &scopes).await;
    let explained = explained.map_err(refused)?;
    for ignored in &explained.ignored_scopes {
        context.printer.warning(format!("left out of a token: {ignored}"));
    }
    if let Some(obstacle) = &explained.obstacle {
        context.printer.warning(obstacle);
    }
    if json {
        context.printer.json(&serde_json::to_value(&explained.explanations)?);
    } else {
        for explanation in &explained.explanations {
            context.printer.line(explanation);
        }
    }
    Ok(())
}
