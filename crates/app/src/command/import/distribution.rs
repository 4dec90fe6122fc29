//! `import distribution`: the configuration of a distribution registry as one of ours.

use std::{fs, path::PathBuf};

use clap::Args;

use super::{Context, not_written, warn_of_doubts, write_new};
use crate::{command::config::refused, failure::Failure};

/// The arguments.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The configuration file of the registry
    file: PathBuf,
    /// Write the configuration to this file instead; it must not exist
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs it.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { file, output } = arguments;
    let target = output.clone();
    let imported = tokio::task::spawn_blocking(move || {
        let name = file.display().to_string();
        let unreadable = |error| Failure::new(format!("cannot read {name}: {error}"));
        let text = fs::read_to_string(&file).map_err(unreadable)?;
        let beside = std::path::absolute(&file)?;
        let imported = portpass_config::import_distribution(&name, &text, &beside);
        let imported = imported.map_err(refused)?;
        if let Some(target) = target {
            write_new(&target, imported.configuration.as_bytes())
                .map_err(|error| not_written(&target, &error))?;
        }
        Ok::<_, Failure>(imported)
    });
    let imported = imported.await??;
    match output {
        None => context.printer.line(imported.configuration.trim_end()),
        Some(output) => {
            context.printer.note(format!("the configuration is in {}", output.display()));
        }
    }
    warn_of_doubts(imported.doubts.len(), context);
    Ok(())
}
