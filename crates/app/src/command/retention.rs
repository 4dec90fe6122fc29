//! `retention`: which tags stay by the rules, and which go.

use clap::Args;
use portpass_admin::{Everything, RetentionForecast};

use super::{Context, InstallationArguments, refused};
use crate::failure::Failure;

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// List each tag with the rule that keeps or drops it, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Also where a rule drops all tags that it decides about, or a repository loses every tag
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    installation: InstallationArguments,
}

/// Runs it. Servers may run meanwhile, and see what is gone within a second.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { dry_run, yes, json, installation } = arguments;
    let installation = installation.open(context).await?;
    if dry_run {
        let forecast = installation.retention().await.map_err(refused)?;
        if json {
            context.printer.json(&serde_json::to_value(&forecast)?);
        } else {
            foretell(&forecast, context);
        }
        return Ok(());
    }
    let confirmation = if yes { Everything::Confirmed } else { Everything::Unconfirmed };
    let done = installation.apply_retention(confirmation).await.map_err(refused)?;
    if json {
        context.printer.json(&serde_json::to_value(done)?);
    } else {
        let (tags, manifests) = (done.tags, done.manifests);
        context.printer.line(format!("removed {tags} tags and {manifests} manifests"));
    }
    Ok(())
}

fn foretell(forecast: &RetentionForecast, context: &Context) {
    let RetentionForecast { tags, manifests, unconfirmed, items } = forecast;
    let rows = items.iter().map(|item| {
        [
            item.repository.clone(),
            item.tag.clone(),
            item.fate.to_owned(),
            item.rule.clone().unwrap_or_else(|| "-".to_owned()),
            item.why.clone(),
        ]
    });
    let heading = ["REPOSITORY", "TAG", "FATE", "RULE", "WHY"];
    context.printer.table(heading, &rows.collect::<Vec<_>>());
    for what in unconfirmed {
        context.printer.warning(format!("{what}: this needs `--yes`"));
    }
    context.printer.note(format!("{tags} tags and {manifests} manifests would go"));
}
