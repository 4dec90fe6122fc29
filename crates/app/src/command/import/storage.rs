//! `import storage`: the repositories of a distribution registry, from its own files.

use std::path::PathBuf;

use clap::Args;
use portpass_admin::{Adoption, ImportCounts, ImportSummary, StorageImport};

use super::super::{Context, InstallationArguments, refused};
use crate::failure::Failure;

/// The arguments.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The `rootdirectory` of the old registry
    #[arg(value_name = "PATH")]
    path: PathBuf,
    #[command(flatten)]
    how: How,
    /// Only repositories of this pattern, as in `team/**`
    #[arg(long, value_name = "PATTERN")]
    repository: Option<String>,
    /// Read and hash every blob that comes in; manifests always are
    #[arg(long)]
    verify: bool,
    /// Say what would come in, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    installation: InstallationArguments,
}

/// How blobs become ours.
#[derive(Args, Debug)]
#[group(multiple = false)]
struct How {
    /// Give each blob a second name, by a hard link: no byte is copied, and either registry may delete its own (default)
    #[arg(long)]
    link: bool,
    /// Copy each blob
    #[arg(long)]
    copy: bool,
    /// Point to each blob where it lies: the old storage must stay, and no garbage collection may run on it
    #[arg(long)]
    in_place: bool,
}

/// Runs it. What is broken in the old storage is told, and is no failure.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { path, how, repository, verify, dry_run, json, installation } = arguments;
    let adoption = match how {
        How { copy: true, .. } => Adoption::Copy,
        How { in_place: true, .. } => Adoption::SymbolicLink,
        How { link: _, .. } => Adoption::HardLink,
    };
    let installation = installation.open_or_make(context).await?;
    let import = StorageImport { path, adoption, repository, verify, dry_run };
    let summary =
        installation.import_storage(import).await.map_err(|error| refused(error.into()))?;
    if json {
        context.printer.json(&serde_json::to_value(&summary)?);
    } else {
        tell(&summary, dry_run, context);
    }
    Ok(())
}

fn tell(summary: &ImportSummary, dry_run: bool, context: &Context) {
    let ImportSummary { new, already, problems } = summary;
    for problem in problems {
        let (place, what, advice) = (&problem.place, &problem.what, problem.advice);
        context.printer.warning(format!("{place}: {what} ({}): {advice}", problem.kind));
    }
    let done = if dry_run { "would import" } else { "imported" };
    context.printer.line(format!("{done} {}", counted(*new)));
    if *already != ImportCounts::default() {
        context.printer.line(format!("here already: {}", counted(*already)));
    }
    if !problems.is_empty() {
        context.printer.line(format!("problems: {}", problems.len()));
    }
}

fn counted(counts: ImportCounts) -> String {
    let ImportCounts { repositories, tags, manifests, blobs } = counts;
    format!("{repositories} repositories, {tags} tags, {manifests} manifests, {blobs} blobs")
}
