//! `catalog`: what a registry has.

use clap::Args;
use portpass_client::Host;
use serde_json::json;

use super::{
    Context,
    connection::{Connection, explained_operation},
};
use crate::failure::Failure;

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The registry
    #[arg(value_name = "HOST[:PORT]")]
    host: Host,
    /// Print the names as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { host, json, connection } = arguments;
    let session = connection.session(host.clone(), context)?;
    let names = session.catalog().await.map_err(explained_operation)?;
    if json {
        context.printer.json(&json!({ "registry": host.to_string(), "repositories": names }));
    } else {
        for name in &names {
            context.printer.line(name);
        }
    }
    Ok(())
}
