//! `config`: check a configuration file, print its schema and its variables.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use portpass_config::{Config, ConfigError, Environment, RegistryAuth, Sources, TokenListen};

use super::Context;
use crate::{failure::Failure, printer::Printer};

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Say what a start with this file would do, or why it would fail; opens no port
    Check {
        /// The configuration file; without one, the embedded default
        #[arg(env = "PORTPASS_CONFIG")]
        file: Option<PathBuf>,
    },
    /// Print the JSON Schema of the configuration file
    Schema,
    /// Print the environment variables that set values of the configuration
    Environment,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let printer = &context.printer;
    match arguments.action {
        Action::Check { file } => {
            let sources = Sources { config: file, ..Sources::default() };
            describe(&load(&sources, &context.environment).await?, printer);
        }
        Action::Schema => printer.json(&portpass_config::schema()),
        Action::Environment => {
            let rows: Vec<[String; 3]> = portpass_config::variables()
                .map(|variable| {
                    [
                        variable.name.into(),
                        variable.registry.unwrap_or_default().into(),
                        variable.key.into(),
                    ]
                })
                .collect();
            printer.table(["VARIABLE", "ALSO", "SETS"], &rows);
        }
    }
    Ok(())
}

/// Reads everything that the sources and the environment name.
pub(crate) async fn load(sources: &Sources, environment: &Environment) -> Result<Config, Failure> {
    let (sources, environment) = (sources.clone(), environment.clone());
    tokio::task::spawn_blocking(move || Config::load(&sources, &environment))
        .await?
        .map_err(refused)
}

/// Reads the same for somebody who can do without rules and files that are broken.
pub(super) async fn load_forgiving(
    sources: &Sources,
    environment: &Environment,
) -> Result<Config, Failure> {
    let (sources, environment) = (sources.clone(), environment.clone());
    tokio::task::spawn_blocking(move || Config::load_forgiving(&sources, &environment))
        .await?
        .map_err(refused)
}

/// A configuration that makes no sense, with what may help.
pub(super) fn refused(error: ConfigError) -> Failure {
    let hints = error.hints().to_vec();
    hints.into_iter().fold(Failure::from(error), Failure::hint)
}

fn describe(config: &Config, printer: &Printer) {
    for warning in &config.warnings {
        printer.warning(warning);
    }
    let tls = |encrypted: bool| if encrypted { "https" } else { "http" };
    let http = format!("{}://{}", tls(config.http.tls.is_some()), config.http.addr);
    printer.line(format_args!("data           {}", config.data.display()));
    if let Some(registry) = &config.registry {
        let auth = match &registry.auth {
            RegistryAuth::InProcess => "tokens of the token service in this process",
            RegistryAuth::Configured(named) => named.description(),
        };
        let deletes = if registry.deletes { "" } else { ", nothing can be deleted" };
        printer.line(format_args!("registry       {http}, open to: {auth}{deletes}"));
        printer.line(format_args!("blobs          {}", registry.blobs.display()));
    }
    if let Some(service) = &config.token_service {
        let at = match &service.listen {
            TokenListen::Shared => http,
            TokenListen::Own { addr, tls: own } => format!("{}://{addr}", tls(own.is_some())),
        };
        let services: Vec<&str> =
            service.services.iter().map(|service| service.name.as_str()).collect();
        printer.line(format_args!("token service  {at}{}", service.path.as_str()));
        printer.line(format_args!(
            "issuer         {}, for {}",
            service.issuer,
            services.join(", ")
        ));
        printer.line(format_args!("rules          {}", service.policy.description()));
    }
    if let Some(admin) = &config.admin {
        printer.line(format_args!("admin          http://{}", admin.addr));
    }
}
