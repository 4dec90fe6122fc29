//! `fsck`: whether all images are whole.

use clap::Args;
use portpass_admin::{StorageCheck, StorageFault};

use super::{Context, InstallationArguments, refused};
use crate::failure::Failure;

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Repair what can be: give blobs the bytes that lie elsewhere, and set aside what is damaged
    #[arg(long)]
    repair: bool,
    /// Only repositories of this pattern, as in `team/**`
    #[arg(long, value_name = "PATTERN")]
    repository: Option<String>,
    /// Read without a rest; by default, half of the time is left to others
    #[arg(long)]
    fast: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    installation: InstallationArguments,
}

/// Runs it. It is a failure if clients miss something.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { repair, repository, fast, json, installation } = arguments;
    let installation = installation.open(context).await?;
    let check = StorageCheck { repository, repair, fast };
    let verdict = installation.check_storage(check).await.map_err(refused)?;
    if json {
        context.printer.json(&serde_json::to_value(&verdict)?);
    } else {
        for problem in &verdict.problems {
            context.printer.warning(sentence(problem));
        }
        context.printer.line(format!(
            "checked {} blobs ({} bytes), {} manifests, {} tags, {} objects; {} problems",
            verdict.blobs,
            verdict.bytes,
            verdict.manifests,
            verdict.tags,
            verdict.objects,
            verdict.problems.len()
        ));
    }
    match verdict.broken() {
        0 => Ok(()),
        count => Err(Failure::new(format!("{count} blobs, manifests or tags are broken"))),
    }
}

fn sentence(problem: &StorageFault) -> String {
    let StorageFault { kind, digest, tag, repositories, object, what, advice, .. } = problem;
    let name = tag.as_ref().or(digest.as_ref()).or(object.as_ref()).map_or("", String::as_str);
    let place = if repositories.is_empty() {
        String::new()
    } else {
        format!(" in {}", repositories.join(", "))
    };
    format!("{name}{place}: {what} ({kind}): {advice}")
}
