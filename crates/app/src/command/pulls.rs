//! `pulls`: when tags and manifests were pulled last, and how often.

use clap::Args;
use portpass_admin::{PullRecord, PullsOf, rfc3339};

use super::{Context, InstallationArguments, refused};
use crate::failure::Failure;

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The repository, without a host
    #[arg(value_name = "REPOSITORY")]
    repository: String,
    /// List manifests by digest, also those without a tag
    #[arg(long)]
    digests: bool,
    /// Print JSON, an object on each line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    installation: InstallationArguments,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { repository, digests, json, installation } = arguments;
    let installation = installation.open(context).await?;
    let of = if digests { PullsOf::Manifests } else { PullsOf::Tags };
    let (mut page, mut next) = installation.pulls(&repository, of, None).await.map_err(refused)?;
    if !json {
        let what = if digests { "DIGEST" } else { "TAG" };
        context.printer.line(line("PULLS", "LAST PULLED", what));
    }
    loop {
        for record in &page {
            print(record, json, context)?;
        }
        if next.is_none() || context.printer.is_closed() {
            return Ok(());
        }
        (page, next) = installation.pulls(&repository, of, next).await.map_err(refused)?;
    }
}

fn print(record: &PullRecord, json: bool, context: &Context) -> Result<(), Failure> {
    if json {
        context.printer.line(serde_json::to_string(record)?);
    } else {
        let last = record.last_pulled.map_or_else(|| "never".to_owned(), rfc3339);
        let name = record.tag.as_ref().unwrap_or(&record.digest);
        context.printer.line(line(&record.pulls.to_string(), &last, name));
    }
    Ok(())
}

/// Of fixed widths: a repository may have more tags than are held at once.
fn line(pulls: &str, last: &str, name: &str) -> String {
    format!("{pulls:>10}  {last:<20}  {name}")
}
