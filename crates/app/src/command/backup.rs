//! `backup`: an installation, copied while a server runs on it.

use std::path::PathBuf;

use clap::Args;
use portpass_admin::BackupSummary;

use super::{Context, InstallationArguments, refused};
use crate::{failure::Failure, printer::human_bytes};

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A new folder, an empty one, or the folder of an earlier backup
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    installation: InstallationArguments,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { folder, json, installation } = arguments;
    let configured = installation.config.is_some();
    let installation = installation.open(context).await?;
    let done = installation.back_up(&folder).await.map_err(|error| refused(error.into()))?;
    if json {
        context.printer.json(&serde_json::to_value(&done)?);
    } else {
        context.printer.note(summary(&done));
    }
    if configured {
        context.printer.note(
            "note: a backup does not contain the configuration file, nor the certificates, keys and password files that it names: keep them too",
        );
    }
    Ok(())
}

fn summary(done: &BackupSummary) -> String {
    let BackupSummary { folder, database_bytes, copied, copied_bytes, already, removed } = done;
    format!(
        "backed up to {}: database {}, {copied} blobs copied ({}), {already} there already, {removed} removed",
        folder.display(),
        human_bytes(*database_bytes),
        human_bytes(*copied_bytes),
    )
}
