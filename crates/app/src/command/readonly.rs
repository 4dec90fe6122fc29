//! `readonly`: a registry that serves pulls and refuses to change anything.

use clap::{Args, Subcommand};
use portpass_admin::{Change, ReadOnlyStatus, rfc3339};

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
    /// Refuse pushes and deletes; a running server follows within two seconds
    On,
    /// Allow pushes and deletes again
    Off,
    /// Say whether pushes and deletes are refused, and why
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let installation = arguments.installation.open(context).await?;
    let note = match arguments.action {
        Action::On => match installation.make_read_only().await.map_err(refused)? {
            Change::Done => {
                "the registry is read-only; a running server follows within two seconds"
            }
            Change::Unknown => "the registry was read-only already",
        },
        Action::Off => match installation.make_writable().await.map_err(refused)? {
            Change::Done => "the registry is writable; a running server follows within two seconds",
            Change::Unknown => "the registry was writable already",
        },
        Action::Status { json } => {
            let status = installation.read_only().await.map_err(refused)?;
            if json {
                context.printer.json(&serde_json::to_value(status)?);
            } else {
                context.printer.line(sentence(&status));
            }
            return Ok(());
        }
    };
    context.printer.note(note);
    Ok(())
}

fn sentence(status: &ReadOnlyStatus) -> String {
    match status {
        ReadOnlyStatus { configured: true, .. } => {
            "read-only, by registry.storage.maintenance.readonly in the configuration".to_owned()
        }
        ReadOnlyStatus { switched_on: Some(since), .. } => {
            format!("read-only since {}, by `portpass readonly on`", rfc3339(*since))
        }
        ReadOnlyStatus { .. } => "writable".to_owned(),
    }
}
