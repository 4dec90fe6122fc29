//! `gc`: what no image needs.

use clap::Args;
use portpass_admin::{GarbageCollection, GarbageForecast, rfc3339};

use super::{Context, InstallationArguments, refused};
use crate::failure::Failure;

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// List what would go, when and why, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    installation: InstallationArguments,
}

/// Runs it. Servers may run meanwhile, and collect too.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { dry_run, json, installation } = arguments;
    let installation = installation.open(context).await?;
    if dry_run {
        let forecast = installation.garbage().await.map_err(refused)?;
        if json {
            context.printer.json(&serde_json::to_value(&forecast)?);
        } else {
            foretell(&forecast, context);
        }
        return Ok(());
    }
    let collected = installation.collect_garbage().await.map_err(refused)?;
    if json {
        context.printer.json(&serde_json::to_value(collected)?);
    } else {
        tell(&collected, context);
    }
    Ok(())
}

fn foretell(forecast: &GarbageForecast, context: &Context) {
    let GarbageForecast { blobs, manifests, bytes, items } = forecast;
    let unknown = || "-".to_owned();
    let rows = items.iter().map(|item| {
        [
            rfc3339(item.goes_at),
            item.kind.to_owned(),
            item.bytes.to_string(),
            item.repository.clone().unwrap_or_else(unknown),
            item.digest.clone().unwrap_or_else(unknown),
            item.why.to_owned(),
        ]
    });
    let heading = ["NOT BEFORE", "KIND", "BYTES", "HELD BY", "DIGEST", "WHY"];
    context.printer.table(heading, &rows.collect::<Vec<_>>());
    context
        .printer
        .note(format!("{manifests} manifests and {blobs} blobs would go: {bytes} bytes"));
}

fn tell(collected: &GarbageCollection, context: &Context) {
    let GarbageCollection { blobs, manifests, bytes, marked, waiting } = collected;
    context.printer.line(format!("removed {manifests} manifests and {blobs} blobs: {bytes} bytes"));
    if *waiting > 0 {
        context
            .printer
            .note(format!("{waiting} blobs more go when requests have ended that may read them"));
    }
    if *marked > 0 {
        context.printer.note(format!(
            "{marked} manifests and blobs are marked: they go after `registry.storage.gc.grace`, unless a client asks for them"
        ));
    }
}
