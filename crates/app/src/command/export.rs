//! `export`: all images, as files that others read.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use portpass_admin::{ExportFormat, ExportSummary, StorageExport};

use super::{Context, InstallationArguments, refused};
use crate::failure::Failure;

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// A new folder, an empty one, or that of an earlier export
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// What is written
    #[arg(long, value_name = "FORMAT", default_value = "oci")]
    format: Format,
    /// Only repositories of this pattern, as in `team/**`
    #[arg(long, value_name = "PATTERN")]
    repository: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    installation: InstallationArguments,
}

/// The form of an export.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// An OCI layout; its entries are called REPOSITORY:TAG
    Oci,
    /// The storage directory of a distribution registry
    Distribution,
}

/// Runs it. A blob that is lost here is a failure: the export is not what it should be.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { path, format, repository, json, installation } = arguments;
    let format = match format {
        Format::Oci => ExportFormat::Oci,
        Format::Distribution => ExportFormat::Distribution,
    };
    let installation = installation.open(context).await?;
    let export = StorageExport { path, format, repository };
    let summary =
        installation.export_storage(export).await.map_err(|error| refused(error.into()))?;
    if json {
        context.printer.json(&serde_json::to_value(&summary)?);
    }
    let ExportSummary { repositories, tags, docker_tags, manifests, blobs, problems } = summary;
    if docker_tags > 0 && matches!(format, ExportFormat::Oci) {
        context.printer.note(format!(
            "note: {docker_tags} tags name images of docker's own kind, which skopeo does not find by name in a layout; `--format distribution` writes them for a registry"
        ));
    }
    if !json {
        for problem in &problems {
            let (place, what, advice) = (&problem.place, &problem.what, problem.advice);
            context.printer.warning(format!("{place}: {what} ({}): {advice}", problem.kind));
        }
        context.printer.line(format!(
            "exported {repositories} repositories, {tags} tags, {manifests} manifests, {blobs} blobs"
        ));
    }
    match problems.len() {
        0 => Ok(()),
        count => {
            Err(Failure::new(format!("{count} blobs of this installation could not be exported")))
        }
    }
}
