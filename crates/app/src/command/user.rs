//! `user`: the accounts of the token service's database.

use clap::{Args, Subcommand};
use portpass_admin::{Installation, NewUser, RevokedTokens, User, UserStatus, rfc3339};
use secrecy::SecretString;

use super::{Context, InstallationArguments, refused, robot::time_or_never};
use crate::{
    failure::Failure,
    prompt::{self, PasswordFrom},
};

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
    /// Add an account
    Add {
        /// Letters and digits of any script and `._@+-`
        name: String,
        /// A group that rules can name; may be given several times
        #[arg(short, long = "group", value_name = "GROUP")]
        group: Vec<String>,
        /// Groups, separated by commas
        #[arg(long, value_name = "GROUPS", value_delimiter = ',')]
        groups: Vec<String>,
        #[command(flatten)]
        password: NewPassword,
    },
    /// List the accounts of all sources that can name theirs
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Set another password; all clients of the account have to log in again
    Password {
        /// The account
        name: String,
        #[command(flatten)]
        password: NewPassword,
    },
    /// Put an account into groups, or take it out of them
    Groups {
        /// The account
        name: String,
        /// A group to be in; may be given several times
        #[arg(long, value_name = "GROUP", required_unless_present = "remove")]
        add: Vec<String>,
        /// A group to be in no more; may be given several times
        #[arg(long, value_name = "GROUP")]
        remove: Vec<String>,
    },
    /// Prevent logins of an account, and revoke its tokens
    Disable {
        /// The account
        name: String,
    },
    /// Allow a disabled account to log in again
    Enable {
        /// The account
        name: String,
    },
    /// Remove an account, and revoke its tokens
    Remove {
        /// The account
        name: String,
    },
    /// Revoke the tokens of an account; it can log in again
    Revoke {
        /// The account, of any source
        name: String,
        /// Revoke access tokens only: clients that are logged in stay so, and get new ones
        #[arg(long)]
        keep_sessions: bool,
    },
}

#[derive(Args, Debug)]
struct NewPassword {
    /// Read the password from stdin; without it, the command asks on the terminal
    #[arg(long)]
    password_stdin: bool,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let installation = arguments.installation.open(context).await?;
    let note = |what: &str, name: &str| context.printer.note(format_args!("{what} {name}"));
    match arguments.action {
        Action::Add { name, group, groups, password } => {
            let groups = [group, groups].concat();
            // Nobody is to type a password twice for a name that cannot be.
            installation.check_new_user(&name, &groups).await.map_err(refused)?;
            let password = password.read(&name)?;
            let user = NewUser { name: name.clone(), password, groups };
            let doubts = installation.add_user(user).await.map_err(refused)?;
            note("added", &name);
            for doubt in doubts {
                context.printer.note(format_args!("warning: {doubt}"));
            }
        }
        Action::List { json } => list(&installation, json, context).await?,
        Action::Password { name, password } => {
            // Nobody is to type a password twice for a name that was mistyped.
            installation.check_user_exists(&name).await.map_err(refused)?;
            let password = password.read(&name)?;
            let stale = installation.set_password(&name, password).await.map_err(refused)?;
            note("set the password of", &name);
            if let Some(file) = stale {
                note("removed the old one,", &file.display().to_string());
            }
        }
        Action::Groups { name, add, remove } => {
            let groups = installation.change_groups(&name, &add, &remove).await.map_err(refused)?;
            let groups = if groups.is_empty() { "no group".to_owned() } else { groups.join(", ") };
            context.printer.note(format_args!("{name} is in {groups}"));
        }
        Action::Disable { name } => {
            installation.disable_user(&name).await.map_err(refused)?;
            note("disabled", &name);
        }
        Action::Enable { name } => {
            installation.enable_user(&name).await.map_err(refused)?;
            note("enabled", &name);
        }
        Action::Remove { name } => {
            installation.remove_user(&name).await.map_err(refused)?;
            note("removed", &name);
        }
        Action::Revoke { name, keep_sessions } => {
            let which = if keep_sessions { RevokedTokens::Access } else { RevokedTokens::All };
            let revoked = installation.revoke_tokens(&name, which).await.map_err(refused)?;
            note("revoked the tokens of", &name);
            if revoked.sessions > 0 {
                note("ended its sessions:", &revoked.sessions.to_string());
            }
            if let Some(doubt) = revoked.doubt {
                context.printer.note(format_args!("warning: {doubt}"));
            }
        }
    }
    Ok(())
}

async fn list(installation: &Installation, json: bool, context: &Context) -> Result<(), Failure> {
    let users = installation.users().await.map_err(refused)?;
    if json {
        context.printer.json(&serde_json::to_value(&users)?);
    } else {
        let rows: Vec<[String; 6]> = users.into_iter().map(row).collect();
        let heading = ["NAME", "SOURCE", "STATUS", "GROUPS", "CREATED", "LAST USED"];
        context.printer.table(heading, &rows);
    }
    Ok(())
}

fn row(user: User) -> [String; 6] {
    let status = match user.status {
        UserStatus::Enabled => "enabled".to_owned(),
        UserStatus::Disabled { since } => format!("disabled {}", rfc3339(since)),
        UserStatus::Unusable => "unusable".to_owned(),
    };
    let created = user.created_at.map(rfc3339).unwrap_or_default();
    let last_use = time_or_never(user.used_at);
    [user.name, user.source, status, user.groups.join(","), created, last_use]
}

impl NewPassword {
    /// Reads it, or asks for it twice: it is not seen while it is typed.
    fn read(&self, name: &str) -> Result<SecretString, Failure> {
        if self.password_stdin {
            return prompt::password("", PasswordFrom::Stdin);
        }
        prompt::new_password(&format!("Password for {name}: "))
    }
}
