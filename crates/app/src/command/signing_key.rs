//! `signing-key`: the keys that sign tokens.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use portpass_admin::{Algorithm, Installation, KeyFormat, KeyPhase, SigningKey, rfc3339};

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
    /// List the keys and their use
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Sign with another key from now on
    Rotate {
        /// Only the key of this algorithm, as in `RS256`; without it, that of each
        #[arg(long, value_name = "NAME")]
        algorithm: Option<Algorithm>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write the public keys for a registry
    Export {
        /// Certificates for `rootcertbundle`, or a JWK set for `jwks`
        #[arg(long, value_enum, default_value_t = Format::Bundle)]
        format: Format,
        /// Write to this file; without it, print the keys
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Bundle,
    Jwks,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let installation = arguments.installation.open(context).await?;
    match arguments.action {
        Action::List { json } => {
            list(&installation.signing_keys().await.map_err(refused)?, json, context)
        }
        Action::Rotate { algorithm, json } => {
            let keys = installation.rotate_signing_key(algorithm).await.map_err(refused)?;
            context.printer.note("rotated; a running token service follows within seconds");
            let notes = installation.rotation_notes(KeyFormat::Bundle).map_err(refused)?;
            say(&notes, context);
            list(&keys, json, context)
        }
        Action::Export { format, output } => export(&installation, format, output, context).await,
    }
}

fn list(keys: &[SigningKey], json: bool, context: &Context) -> Result<(), Failure> {
    if json {
        context.printer.json(&serde_json::to_value(keys)?);
    } else {
        let rows: Vec<[String; 4]> = keys.iter().map(row).collect();
        context.printer.table(["ID", "ALGORITHM", "SERVICES", "PHASE"], &rows);
    }
    Ok(())
}

fn row(key: &SigningKey) -> [String; 4] {
    let phase = match key.phase {
        KeyPhase::Announced { signs_from } => {
            format!("announced, signs from {}", rfc3339(signs_from))
        }
        KeyPhase::FromFiles => "signing, from files".to_owned(),
        KeyPhase::Retired { until } => format!("retired, removed {}", rfc3339(until)),
        KeyPhase::Signing { since } => format!("signing since {}", rfc3339(since)),
    };
    [key.id.clone(), key.algorithm.clone(), key.services.join(", "), phase]
}

async fn export(
    installation: &Installation,
    format: Format,
    output: Option<PathBuf>,
    context: &Context,
) -> Result<(), Failure> {
    let format = match format {
        Format::Bundle => KeyFormat::Bundle,
        Format::Jwks => KeyFormat::Jwks,
    };
    let export = installation.export_signing_keys(format).await.map_err(refused)?;
    match output {
        Some(path) => {
            installation.write_export(&export, &path).await.map_err(refused)?;
            context.printer.note(format_args!("wrote {}", path.display()));
        }
        None => context.printer.line(export.text.trim_end()),
    }
    say(&export.notes, context);
    Ok(())
}

fn say(notes: &[String], context: &Context) {
    for note in notes {
        context.printer.note(format_args!("note: {note}"));
    }
}
