//! `key`: API keys, which a person gives to programs in place of the password.

use clap::{Args, Subcommand};
use portpass_admin::{ApiKey, rfc3339};

use super::{
    Context, InstallationArguments,
    issued::Printed,
    refused,
    robot::{LimitArguments, time_or_never},
};
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
    /// Add an API key of an account, and print it once
    Add {
        /// The account, of any source; SOURCE/NAME if two sources have that name
        account: String,
        #[command(flatten)]
        limits: LimitArguments,
        #[command(flatten)]
        output: Printed,
    },
    /// List API keys
    List {
        /// Only those of this account
        account: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End API keys
    Revoke {
        /// The ids, as `key list` shows them
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let installation = arguments.installation.open(context).await?;
    match arguments.action {
        Action::Add { account, limits, output } => {
            let issued = installation.add_key(&account, limits.into()).await.map_err(refused)?;
            context.printer.note(format_args!("added an API key of {}", issued.username));
            if let Some(obstacle) =
                installation.account_obstacle(&account).await.map_err(refused)?
            {
                context.printer.warning(obstacle);
            }
            output.print(&issued, context);
        }
        Action::List { account, json } => {
            let keys = installation.keys(account.as_deref()).await.map_err(refused)?;
            list(&keys, json, context)?;
        }
        Action::Revoke { ids } => {
            for id in ids {
                installation.revoke_key(&id).await.map_err(refused)?;
                context.printer.note(format_args!("revoked {id}"));
            }
        }
    }
    Ok(())
}

fn list(keys: &[ApiKey], json: bool, context: &Context) -> Result<(), Failure> {
    if json {
        context.printer.json(&serde_json::to_value(keys)?);
    } else {
        let heading = [
            "ID",
            "ACCOUNT",
            "ALLOW",
            "REPOSITORIES",
            "CREATED",
            "EXPIRES",
            "LAST USED",
            "DESCRIPTION",
        ];
        let rows: Vec<[String; 8]> = keys.iter().map(row).collect();
        context.printer.table(heading, &rows);
    }
    Ok(())
}

fn row(key: &ApiKey) -> [String; 8] {
    [
        key.id.clone(),
        format!("{}/{}", key.source, key.account),
        key.allow.join(","),
        key.repositories.join(","),
        rfc3339(key.created_at),
        time_or_never(key.expires_at),
        time_or_never(key.used_at),
        key.description.clone(),
    ]
}
