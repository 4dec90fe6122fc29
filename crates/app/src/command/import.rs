//! `import`: the configuration of another server as one of ours, and the images of another registry.

mod distribution;
mod storage;

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use portpass_config::{ImportTarget, Imported};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Context, config::refused};
use crate::failure::Failure;

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    /// Print a configuration that does what docker_auth's does, with each doubt as a comment
    DockerAuth(DockerAuth),
    /// Print a configuration that does what that of a distribution registry does, with each doubt as a comment
    Distribution(distribution::Arguments),
    /// Bring in the repositories of a distribution registry from its storage directory, which stays as it is
    Storage(storage::Arguments),
}

#[derive(Args, Debug)]
struct DockerAuth {
    /// docker_auth's configuration file
    file: PathBuf,
    /// Write the configuration to this file instead; it must not exist
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the users with their hashes to this file; by default users.htpasswd beside the output, or in the current directory
    #[arg(long, value_name = "FILE")]
    htpasswd: Option<PathBuf>,
    /// What a registry calls itself (its `service`); once for each registry
    #[arg(long, value_name = "NAME")]
    service: Vec<String>,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    match arguments.from {
        From::DockerAuth(arguments) => docker_auth(arguments, context).await,
        From::Distribution(arguments) => distribution::run(arguments, context).await,
        From::Storage(arguments) => storage::run(arguments, context).await,
    }
}

async fn docker_auth(arguments: DockerAuth, context: &Context) -> Result<(), Failure> {
    let output = arguments.output.clone();
    let (imported, htpasswd) = tokio::task::spawn_blocking(move || arguments.import()).await??;
    let printer = &context.printer;
    if imported.htpasswd.is_some() {
        printer.note(format!("the users and their hashes are in {}", htpasswd.display()));
    }
    match output {
        None => printer.line(imported.configuration.trim_end()),
        Some(output) => printer.note(format!("the configuration is in {}", output.display())),
    }
    warn_of_doubts(imported.doubts.len(), context);
    Ok(())
}

fn warn_of_doubts(doubts: usize, context: &Context) {
    if doubts > 0 {
        context
            .printer
            .warning(format!("{doubts} doubts: look at each line that begins with `# doubt:`"));
    }
}

impl DockerAuth {
    /// Reads the file and writes what it becomes; gives also where the users went. Blocks.
    fn import(self) -> Result<(Imported, PathBuf), Failure> {
        let name = self.file.display().to_string();
        let unreadable = |error| Failure::new(format!("cannot read {name}: {error}"));
        let text = fs::read_to_string(&self.file).map_err(unreadable)?;
        let beside = match self.output.as_deref().and_then(Path::parent) {
            Some(folder) => folder.join(USERS),
            None => PathBuf::from(USERS),
        };
        let target = ImportTarget {
            source: std::path::absolute(&self.file)?,
            htpasswd: std::path::absolute(self.htpasswd.unwrap_or(beside))?,
            services: self.service,
        };
        let imported = portpass_config::import(&name, &text, &target).map_err(refused)?;
        if let Some(users) = &imported.htpasswd {
            write_users(&target.htpasswd, users)?;
        }
        if let Some(output) = &self.output {
            write_new(output, imported.configuration.as_bytes())
                .map_err(|error| not_written(output, &error))?;
        }
        Ok((imported, target.htpasswd))
    }
}

/// For its owner alone. What is there already is only overwritten by the same.
fn write_users(path: &Path, users: &SecretString) -> Result<(), Failure> {
    let users = users.expose_secret().as_bytes();
    match write_new(path, users) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => match fs::read(path) {
            Ok(there) if there == users => Ok(()),
            _ => Err(not_written(path, &error).hint("give another file: --htpasswd FILE")),
        },
        written => written.map_err(|error| not_written(path, &error)),
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn not_written(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot write {}: {error}", path.display()))
}

const USERS: &str = "users.htpasswd";
