//! `login`: check a name and a password at a registry, and keep them where docker does.

use clap::Args;
use portpass_client::{
    Host,
    credentials::{CredentialSource, CredentialStore as _},
    registry::LoggedIn,
};

use super::{
    Context,
    connection::{Connection, explained, warn_of_oddities},
};
use crate::{
    failure::Failure,
    prompt::{self, PasswordFrom},
};

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The registry
    #[arg(value_name = "HOST[:PORT]")]
    host: Host,
    /// The account; without it, the command asks on the terminal
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// Read the password from stdin
    #[arg(long, requires = "username")]
    password_stdin: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { host, username, password_stdin, connection } = arguments;
    let (registry, files) = connection.registry(host.clone(), context)?;
    let username = match username {
        Some(name) => name,
        None => prompt::name("Username: ")?,
    };
    prompt::account(&username)?;
    let from = if password_stdin { PasswordFrom::Stdin } else { PasswordFrom::Terminal };
    let password = prompt::password("Password: ", from)?;
    let LoggedIn { kept, issued, identity_token } =
        registry.log_in(&username, password).await.map_err(explained)?;
    let printer = &context.printer;
    if let Some(issued) = issued {
        warn_of_oddities(printer, &issued);
    }
    let Some(place) = kept else {
        printer
            .note(format_args!("{host} does not ask for a login; nothing was checked or stored"));
        return Ok(());
    };
    let what = if identity_token { "an identity token" } else { "the password" };
    printer.note(format_args!("logged in to {host} as {username}; {what} is stored in {place}"));
    if !identity_token && matches!(place, CredentialSource::File(_)) {
        printer.warning("the file has the password without encryption; docker's \"credsStore\" names a helper that stores it safely");
    }
    let used = files.get(&host, None).await.map_err(explained)?;
    if let Some(other) = used.map(|found| found.place).filter(|used| *used != place) {
        printer.warning(format_args!("the entry for {host} in {other} has priority"));
    }
    Ok(())
}
