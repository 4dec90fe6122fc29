//! `token`: get a token from a registry's token service, or inspect one.

use clap::{Args, Subcommand};
use portpass_client::{Host, Scopes, registry::Granted};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{
    Context,
    connection::{Connection, explained, warn_of_oddities},
};
use crate::failure::Failure;

mod inspect;

/// The arguments.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// The registry
    #[arg(value_name = "HOST[:PORT]", required = true)]
    host: Option<Host>,
    /// The scope to ask for, as in repository:team/app:pull,push; may be given several times
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<Scopes>,
    /// Ask without credentials, even if some are stored
    #[arg(long)]
    anonymous: bool,
    /// Print the token with the details of the request and the response, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the contents of a token, and check it with --bundle or --jwks
    Inspect(inspect::Arguments),
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let Arguments { action, host, scope, anonymous, json, connection } = arguments;
    let host = match (action, host) {
        (Some(Action::Inspect(arguments)), _) => return inspect::run(&arguments, context).await,
        (None, Some(host)) => host,
        (None, None) => return Err(Failure::usage("name a registry")),
    };
    let scopes = scope.iter().fold(Scopes::none(), Scopes::union);
    let (registry, _) = connection.registry(host, context)?;
    let granted = if anonymous {
        registry.token_with(&scopes, None).await
    } else {
        registry.token(&scopes).await
    };
    let granted = granted.map_err(explained)?;
    warn_of_oddities(&context.printer, &granted.issued);
    let missing = granted.missing();
    for access in &missing {
        context.printer.warning(format_args!("the token service does not grant {access}"));
    }
    if granted.found.is_none() && !missing.is_empty() {
        context.printer.note("the token is anonymous; `portpass login` may get a larger one");
    }
    if json {
        context.printer.json(&described(&granted));
    } else {
        context.printer.line(granted.issued.token.expose_secret());
    }
    Ok(())
}

fn described(granted: &Granted) -> Value {
    let Granted { issued, found, realm, service, scopes } = granted;
    let oddities = issued.oddities.iter().map(|oddity| {
        let breaks: Vec<&str> = oddity.breaks().iter().map(|peer| peer.as_str()).collect();
        json!({ "id": oddity.id(), "text": oddity.to_string(), "breaks": breaks })
    });
    json!({
        "token": issued.token.expose_secret(),
        "expires_in": issued.expires_in,
        "realm": realm.shown(),
        "service": service,
        "got": issued.flow.as_str(),
        "account": found.as_ref().and_then(|found| found.credential.username()),
        "credential": found.as_ref().map(|found| found.place.to_string()),
        "asked": scopes.words().collect::<Vec<_>>(),
        "missing": granted.missing().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "oddities": oddities.collect::<Vec<_>>(),
    })
}
