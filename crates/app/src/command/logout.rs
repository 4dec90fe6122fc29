//! `logout`: forget the credentials of a registry, and end the identity token among them.

use clap::Args;
use portpass_client::{
    Host,
    credentials::{CredentialSource, CredentialStore as _},
    tokens::Revocation,
};

use super::{
    Context,
    connection::{Connection, explained},
};
use crate::failure::Failure;

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The registry
    #[arg(value_name = "HOST[:PORT]")]
    host: Host,
    #[command(flatten)]
    connection: Connection,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { host, connection } = arguments;
    let (registry, files) = connection.registry(host.clone(), context)?;
    let done = registry.log_out().await.map_err(explained)?;
    let printer = &context.printer;
    if done.erased.is_empty() {
        printer.note(format_args!("not logged in to {host}"));
    } else {
        let places: Vec<String> = done.erased.iter().map(CredentialSource::to_string).collect();
        printer.note(format_args!(
            "logged out of {host}; nothing is stored in {} any more",
            places.join(" and ")
        ));
    }
    match done.identity_token {
        None => {}
        Some(Revocation::Revoked) => printer.note("the identity token has been revoked"),
        Some(Revocation::Unsupported) => {
            printer.note("the token service does not let clients revoke identity tokens; this one is valid until it expires there");
        }
        Some(Revocation::Failed(reason)) => {
            printer.warning(format_args!("the identity token could not be revoked: {reason}"));
        }
    }
    if let Ok(Some(found)) = files.get(&host, None).await {
        printer.warning(format_args!("{} still has a credential for {host}", found.place));
    }
    Ok(())
}
