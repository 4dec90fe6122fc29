//! The commands: one file each, or one per group.
//!
//! A file holds `Arguments` (what was typed, by clap) and `run(arguments, &Context)`.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod catalog;
pub(crate) mod config;
pub(crate) mod connection;
pub(crate) mod copy;
pub(crate) mod delete;
pub(crate) mod diagnose;
pub(crate) mod digest;
mod directory;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod fsck;
pub(crate) mod gc;
mod habits;
pub(crate) mod import;
pub(crate) mod issued;
mod json_line;
pub(crate) mod key;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod manifest;
pub(crate) mod policy;
pub(crate) mod pull;
pub(crate) mod pulls;
pub(crate) mod push;
pub(crate) mod readonly;
pub(crate) mod referrers;
pub(crate) mod retention;
pub(crate) mod robot;
pub(crate) mod serve;
pub(crate) mod session;
pub(crate) mod signing_key;
pub(crate) mod tag;
pub(crate) mod tags;
pub(crate) mod token;
mod transfer;
pub(crate) mod user;
pub(crate) mod version;
mod workload;

use std::path::PathBuf;

pub(crate) use habits::parse;

use clap::{Args, Parser, Subcommand};
use portpass_admin::{AdminError, Installation};
use portpass_config::{Environment, Sources};

use crate::{failure::Failure, outcome::Outcome, printer::Printer};

/// Registry token authentication: a token service, an OCI registry and their client in one binary.
#[derive(Debug, Parser)]
#[command(name = "portpass", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the services of the configuration; without one, a registry and its token service
    Serve(serve::Arguments),
    /// Check the configuration, print its schema or its environment variables
    Config(config::Arguments),
    /// Manage the accounts of the token service
    User(user::Arguments),
    /// Manage robots: accounts of programs, limited to repositories and actions
    Robot(robot::Arguments),
    /// Manage API keys: what a person gives to programs in place of the password
    Key(key::Arguments),
    /// List and revoke refresh tokens
    Session(session::Arguments),
    /// List, rotate and export the keys that sign tokens
    SigningKey(signing_key::Arguments),
    /// Say what the rules grant and which rules decide, and test, check and compare them
    Policy(policy::Arguments),
    /// Refuse pushes and deletes while pulls go on, or allow them again
    Readonly(readonly::Arguments),
    /// Read and hash every blob, look at every row, and repair what can be
    Fsck(fsck::Arguments),
    /// Remove what no image needs, or list what would go, when and why
    Gc(gc::Arguments),
    /// Remove the tags that no rule keeps, or list what becomes of each tag and why
    Retention(retention::Arguments),
    /// List when tags and manifests were pulled last, and how often
    Pulls(pulls::Arguments),
    /// List what others were told of the registry, and have them told once more
    Events(events::Arguments),
    /// Read the audit trail, or check whether it was changed
    Audit(audit::Arguments),
    /// Bring in the configuration of another server, or the images of another registry
    Import(import::Arguments),
    /// Write the images as an OCI layout or as the storage of a distribution registry
    Export(export::Arguments),
    /// Copy an installation, also while a server runs, into a folder that a server can start from
    Backup(backup::Arguments),
    /// Say why a request was refused, and what to do about it
    Explain(explain::Arguments),
    /// Log in to a registry
    Login(login::Arguments),
    /// Remove the stored credentials of a registry
    Logout(logout::Arguments),
    /// Get a token from a registry's token service, or inspect one
    Token(token::Arguments),
    /// Fetch an image from a registry into a folder or an archive
    Pull(pull::Arguments),
    /// Send an image from a folder or an archive to a registry
    Push(push::Arguments),
    /// Copy an image between registries, folders and archives; between registries without the disk
    Copy(copy::Arguments),
    /// Print the digest of an image
    Digest(digest::Arguments),
    /// Print or send the manifest of an image
    Manifest(manifest::Arguments),
    /// List what is about an image: signatures, attestations, lists of contents
    Referrers(referrers::Arguments),
    /// Let more tags stand for an image, without a pull
    Tag(tag::Arguments),
    /// List the tags of a repository
    Tags(tags::Arguments),
    /// List the repositories of a registry
    Catalog(catalog::Arguments),
    /// Delete a tag, or a manifest with all its tags
    Delete(delete::Arguments),
    /// Find out why logins, pulls or pushes fail at a registry, and how to fix it
    Diagnose(diagnose::Arguments),
    /// Print the version
    Version,
}

impl CommandLine {
    /// Whether the command answers others until it is stopped.
    pub(crate) fn serves(&self) -> bool {
        matches!(self.command, Command::Serve(_))
    }
}

/// Everything a command may touch beside its arguments.
#[derive(Debug)]
pub(crate) struct Context {
    /// The only way to stdout and stderr.
    pub(crate) printer: Printer,
    /// The process environment, read once.
    pub(crate) environment: Environment,
}

/// Runs the command that was typed.
pub(crate) async fn run(command_line: CommandLine, context: &Context) -> Result<Outcome, Failure> {
    let done = match command_line.command {
        Command::Serve(arguments) => serve::run(arguments, context).await,
        Command::Config(arguments) => config::run(arguments, context).await,
        Command::User(arguments) => user::run(arguments, context).await,
        Command::Robot(arguments) => robot::run(arguments, context).await,
        Command::Key(arguments) => key::run(arguments, context).await,
        Command::Session(arguments) => session::run(arguments, context).await,
        Command::SigningKey(arguments) => signing_key::run(arguments, context).await,
        Command::Readonly(arguments) => readonly::run(arguments, context).await,
        Command::Fsck(arguments) => fsck::run(arguments, context).await,
        Command::Gc(arguments) => gc::run(arguments, context).await,
        Command::Retention(arguments) => retention::run(arguments, context).await,
        Command::Pulls(arguments) => pulls::run(arguments, context).await,
        Command::Events(arguments) => events::run(arguments, context).await,
        Command::Audit(arguments) => audit::run(arguments, context).await,
        Command::Import(arguments) => import::run(arguments, context).await,
        Command::Export(arguments) => export::run(arguments, context).await,
        Command::Backup(arguments) => backup::run(arguments, context).await,
        Command::Explain(arguments) => explain::run(arguments, context).await,
        Command::Login(arguments) => login::run(arguments, context).await,
        Command::Logout(arguments) => logout::run(arguments, context).await,
        Command::Token(arguments) => token::run(arguments, context).await,
        Command::Pull(arguments) => pull::run(arguments, context).await,
        Command::Push(arguments) => push::run(arguments, context).await,
        Command::Copy(arguments) => copy::run(arguments, context).await,
        Command::Digest(arguments) => digest::run(arguments, context).await,
        Command::Manifest(arguments) => manifest::run(arguments, context).await,
        Command::Referrers(arguments) => referrers::run(arguments, context).await,
        Command::Tag(arguments) => tag::run(arguments, context).await,
        Command::Tags(arguments) => tags::run(arguments, context).await,
        Command::Catalog(arguments) => catalog::run(arguments, context).await,
        Command::Delete(arguments) => delete::run(arguments, context).await,
        Command::Version => {
            version::run(context);
            Ok(())
        }
        Command::Policy(arguments) => return policy::run(arguments, context).await,
        Command::Diagnose(arguments) => return diagnose::run(arguments, context).await,
    };
    done.map(|()| Outcome::Success)
}

/// `--config` and `--data`, which every management command takes: which installation is meant.
#[derive(Args, Clone, Debug)]
pub(crate) struct InstallationArguments {
    /// The configuration file; without one, the embedded default
    #[arg(long, global = true, value_name = "FILE", env = "PORTPASS_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The data directory; by default /var/lib/portpass for root, else in the XDG data home
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

impl InstallationArguments {
    /// What the configuration is to be read from.
    pub(crate) fn sources(&self) -> Sources {
        let Self { config, data } = self.clone();
        Sources { config, data, ..Sources::default() }
    }

    /// Opens the database and configuration of that installation, while a server runs on it or not.
    pub(crate) async fn open(self, context: &Context) -> Result<Installation, Failure> {
        let installation =
            portpass_admin::open(&self.sources(), &context.environment).await.map_err(refused)?;
        warn(&installation, context);
        Ok(installation)
    }

    /// As [`InstallationArguments::open`], and makes the installation if there is none yet.
    pub(crate) async fn open_or_make(self, context: &Context) -> Result<Installation, Failure> {
        let (sources, environment) = (self.sources(), &context.environment);
        let opened = portpass_admin::open_or_make(&sources, environment).await;
        let installation = opened.map_err(refused)?;
        warn(&installation, context);
        Ok(installation)
    }
}

fn warn(installation: &Installation, context: &Context) {
    for warning in installation.warnings() {
        context.printer.warning(warning);
    }
}

/// What a management command could not do, with its hints and exit status.
pub(crate) fn refused(error: AdminError) -> Failure {
    let hints = error.hints();
    let failure =
        if error.is_usage() { Failure::usage(error.to_string()) } else { Failure::from(error) };
    hints.into_iter().fold(failure, Failure::hint)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::CommandLine;

    #[test]
    fn every_command_is_defined_without_contradictions() {
        CommandLine::command().debug_assert();
    }
}
