//! `serve`: run what the configuration names.

use std::{
    io::{IsTerminal, stderr},
    path::{Path, PathBuf},
};

use clap::Args;
use portpass_admin::Administrator;
use portpass_config::{Address, Adoption, Config, Environment, Sources};
use portpass_server::{
    Components, Server, ServerSettings, Shutdown, System,
    log::{self, LogGuard},
    raise_open_files,
    run::{Login, ReloadHandle},
};
use secrecy::ExposeSecret;
use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;

use super::{Context, config::load};
use crate::{failure::Failure, printer::Printer};

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The configuration file; without one, a registry and its token service on 127.0.0.1:5000
    #[arg(long, value_name = "FILE", env = "PORTPASS_CONFIG")]
    config: Option<PathBuf>,
    /// The data directory; by default /var/lib/portpass for root, else in the XDG data home
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address and port to listen on, as in `http.addr`: `:5000` is every address
    #[arg(long, value_name = "ADDRESS:PORT")]
    addr: Option<Address>,
    /// Take over the blobs of another installation, if the database names them; for a start after a restore
    #[arg(long)]
    adopt_storage: bool,
}

/// Runs until SIGINT or SIGTERM, then drains. SIGHUP reads the configuration again.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { config, data, addr, adopt_storage } = arguments;
    let adoption = if adopt_storage { Adoption::IfItFits } else { Adoption::Never };
    let mut sources = Sources { config, data, addr, adoption };
    let config = load(&sources, &context.environment).await?;
    let log = log::init(&config.log, stderr().is_terminal())?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    // Watched from here on: a signal during the start ends it as one later would.
    let shutdown = Shutdown::on_signals()?;
    raise_open_files();
    let system = System::real();
    let settings =
        ServerSettings { connections: system.files.connections, ..ServerSettings::default() };
    let components = Components::build(config, &context.environment, system).await;
    let components = components.map_err(|error| hinted(error.hints(), error))?;
    let server = Server::bind(components, settings).await;
    let server = server.map_err(|error| hinted(error.hints(), error))?;
    log.flush();
    announce(&server, &context.printer);
    // It was meant for this start: what a changed configuration names is not taken over.
    sources.adoption = Adoption::Never;
    let reload =
        tokio::spawn(reload_on_hangup(server.handle(), sources, context.environment.clone(), log));
    server.run(shutdown).await;
    reload.abort();
    // The log is written to its end before the process is.
    let _ = reload.await;
    Ok(())
}

fn hinted(hints: Vec<String>, error: impl std::error::Error) -> Failure {
    hints.into_iter().fold(Failure::from(error), Failure::hint)
}

/// Says where everything is. The last line on a terminal is the one to type; elsewhere stdout is a log,
/// and no password is shown.
fn announce(server: &Server, printer: &Printer) {
    let components = server.components();
    if !printer.is_terminal() {
        match components.administrator() {
            Some(Administrator::Created { password_file: Some(file), .. }) => {
                tracing::info!(
                    "created the account `admin`; its password is in {}",
                    file.display()
                );
            }
            Some(Administrator::InitialPassword { password_file }) => {
                tracing::info!("the password of `admin` is in {}", password_file.display());
            }
            Some(Administrator::Created { password_file: None, .. } | Administrator::Managed)
            | None => {}
        }
        return;
    }
    let addresses = server.addresses();
    printer.line(format_args!("portpass {}", env!("CARGO_PKG_VERSION")));
    for (what, bound) in [
        ("registry", addresses.http.filter(|_| components.has_registry())),
        (
            "token service",
            addresses.tokens.or(addresses.http).filter(|_| components.has_token_service()),
        ),
        ("health, metrics", addresses.admin),
    ] {
        if let Some(bound) = bound {
            printer.line(format_args!("  {what:15}  {}://{}", bound.scheme, bound.address));
        }
    }
    printer.line(format_args!("  {:15}  {}", "data", components.data().display()));
    if let Some(Administrator::Created { password_file: Some(file), password: Some(password) }) =
        components.administrator()
    {
        printer.line(format_args!(
            "  {:15}  admin, password {}",
            "account",
            password.expose_secret()
        ));
        printer.line(format_args!("  {:15}  (also in {})", "", file.display()));
    }
    if let Some(login) = server.login() {
        printer.line("");
        printer.line(docker_login(&login));
    }
}

/// Works as it stands, and carries no password.
fn docker_login(login: &Login) -> String {
    match (login.account, &login.password_file) {
        (Some(account), Some(file)) => {
            format!(
                "docker login --username {account} --password-stdin {} < {}",
                login.host,
                quoted(file)
            )
        }
        (Some(account), None) => format!("docker login --username {account} {}", login.host),
        (None, _) => format!("docker login {}", login.host),
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~+@".contains(&byte));
    if plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// Each SIGHUP reads the configuration again. What cannot be used is reported, and nothing changes.
async fn reload_on_hangup(
    handle: ReloadHandle,
    sources: Sources,
    environment: Environment,
    log: LogGuard,
) {
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => return tracing::warn!("cannot wait for SIGHUP: {error}"),
    };
    while hangup.recv().await.is_some() {
        match load(&sources, &environment).await {
            Ok(config) => reload(&handle, config, &log).await,
            Err(failure) => {
                let hints = (!failure.hints().is_empty()).then(|| failure.hints().join("; "));
                tracing::error!(hints, "the configuration stays as it was: {}", failure.message());
            }
        }
    }
}

async fn reload(handle: &ReloadHandle, config: Config, log: &LogGuard) {
    let (level, warnings) = (config.log.level, config.warnings.clone());
    match handle.reload(config).await {
        Ok(()) => {
            // That it was read is said even where little else is to be.
            log.set_level(level.max(LevelFilter::INFO));
            for warning in warnings {
                tracing::warn!("{warning}");
            }
            tracing::info!("the configuration was read again and is in use");
            log.set_level(level);
        }
        Err(error) => tracing::error!("the configuration stays as it was: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_line_names_the_file_and_never_the_password() {
        let login = |account, file: Option<&str>| {
            docker_login(&Login {
                host: "127.0.0.1:5000".to_owned(),
                account,
                password_file: file.map(Into::into),
            })
        };
        let line = "docker login --username admin --password-stdin 127.0.0.1:5000 < /var/lib/portpass/admin-password";
        assert_eq!(login(Some("admin"), Some("/var/lib/portpass/admin-password")), line);
        let quoted = login(Some("admin"), Some("/home/o'hara x/p"));
        assert!(quoted.ends_with(r"< '/home/o'\''hara x/p'"), "{quoted}");
        assert_eq!(login(Some("admin"), None), "docker login --username admin 127.0.0.1:5000");
        assert_eq!(login(None, None), "docker login 127.0.0.1:5000");
    }
}
