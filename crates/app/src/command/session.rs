//! `session`: refresh tokens, which `docker login` leaves at a client.

use clap::{Args, Subcommand};
use portpass_admin::{Installation, Session, SessionState, rfc3339};

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
    /// List sessions, newest first
    List {
        /// Only those of this account
        #[arg(value_name = "ACCOUNT")]
        account: Option<String>,
        /// Also expired and revoked sessions
        #[arg(short, long)]
        all: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// End sessions: their clients have to log in again
    Revoke {
        /// The ids, as `session list` shows them
        #[arg(value_name = "ID", required_unless_present = "account")]
        ids: Vec<String>,
        /// All sessions of this account
        #[arg(long, value_name = "ACCOUNT", conflicts_with = "ids")]
        account: Option<String>,
    },
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let installation = arguments.installation.open(context).await?;
    match arguments.action {
        Action::List { account, all, json } => {
            let mut sessions = installation.sessions(account.as_deref()).await.map_err(refused)?;
            sessions.retain(|session| all || matches!(session.state, SessionState::Valid { .. }));
            list(&sessions, json, context)
        }
        Action::Revoke { account: Some(account), .. } => {
            let revoked = installation.revoke_sessions_of(&account).await.map_err(refused)?;
            let plural = if revoked == 1 { "" } else { "s" };
            context.printer.note(format_args!("revoked {revoked} session{plural} of {account}"));
            Ok(())
        }
        Action::Revoke { ids, account: None } => revoke(&installation, &ids, context).await,
    }
}

fn list(sessions: &[Session], json: bool, context: &Context) -> Result<(), Failure> {
    if json {
        context.printer.json(&serde_json::to_value(sessions)?);
    } else {
        let heading = ["ID", "ACCOUNT", "SERVICE", "CLIENT", "CREATED", "LAST USED", "STATE"];
        let rows: Vec<[String; 7]> = sessions.iter().map(row).collect();
        context.printer.table(heading, &rows);
    }
    Ok(())
}

async fn revoke(
    installation: &Installation,
    ids: &[String],
    context: &Context,
) -> Result<(), Failure> {
    for id in ids {
        installation.revoke_session(id).await.map_err(refused)?;
        context.printer.note(format_args!("revoked {id}"));
    }
    Ok(())
}

fn row(session: &Session) -> [String; 7] {
    let state = match session.state {
        SessionState::Valid { until } => format!("valid until {}", rfc3339(until)),
        SessionState::Expired { at } => format!("expired {}", rfc3339(at)),
        SessionState::Revoked { at, why } => format!("revoked {} ({why})", rfc3339(at)),
    };
    [
        session.id.clone(),
        format!("{}/{}", session.source, session.account),
        session.service.clone(),
        session.client.clone(),
        rfc3339(session.created_at),
        session.used_at.map_or_else(|| "never".to_owned(), rfc3339),
        state,
    ]
}
