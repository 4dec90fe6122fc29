//! `robot`: accounts of programs, with a permission of their own.

use clap::{Args, Subcommand};
use portpass_admin::{Installation, Limits, Robot, RobotSecret, RobotStatus, rfc3339};
use portpass_config::Span;

use super::{Context, InstallationArguments, issued::Printed, refused};
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
    /// Add a robot, and print its user name and secret once
    Add {
        /// Lower-case letters, digits, `.`, `_` and `-`; the user name is robot-NAME
        name: String,
        #[command(flatten)]
        limits: LimitArguments,
        #[command(flatten)]
        output: Printed,
    },
    /// List all robots
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one robot: what it may do, its secrets and their last use
    Show {
        /// The robot
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make another secret; the one before it stays valid for a while
    Rotate {
        /// The robot
        name: String,
        /// How long the secret before it stays valid
        #[arg(long, value_name = "SPAN", default_value = "24h")]
        overlap: Span,
        /// When the robot ends, counted from now; without it, as before
        #[arg(long, value_name = "SPAN")]
        expires: Option<Span>,
        #[command(flatten)]
        output: Printed,
    },
    /// Prevent logins of a robot
    Disable {
        /// The robot
        name: String,
    },
    /// Allow a disabled robot to log in again
    Enable {
        /// The robot
        name: String,
    },
    /// Remove a robot and its secrets
    Remove {
        /// The robot
        name: String,
    },
}

/// What a robot or an API key may do, and until when.
#[derive(Args, Debug)]
pub(crate) struct LimitArguments {
    /// The actions: `pull`, `push`, `delete` or `*`, separated by commas
    #[arg(long, value_name = "ACTIONS", required = true, value_delimiter = ',')]
    allow: Vec<String>,
    /// A pattern of repositories, as in rules; may be given several times
    #[arg(long = "repository", value_name = "PATTERN", required = true)]
    repositories: Vec<String>,
    /// How long it is valid, as in 90d; without it, until it is removed
    #[arg(long, value_name = "SPAN")]
    expires: Option<Span>,
    /// What it is for
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
}

impl From<LimitArguments> for Limits {
    fn from(arguments: LimitArguments) -> Self {
        Self {
            actions: arguments.allow,
            repositories: arguments.repositories,
            expires: arguments.expires.map(|Span(span)| span),
            description: arguments.description,
        }
    }
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), Failure> {
    let installation = arguments.installation.open(context).await?;
    let note = |what: &str, name: &str| context.printer.note(format_args!("{what} {name}"));
    match arguments.action {
        Action::Add { name, limits, output } => {
            let issued = installation.add_robot(&name, limits.into()).await.map_err(refused)?;
            note("added", &issued.username);
            output.print(&issued, context);
        }
        Action::List { json } => list(&installation, json, context).await?,
        Action::Show { name, json } => {
            let robot = installation.robot(&name).await.map_err(refused)?;
            if json {
                context.printer.json(&serde_json::to_value(&robot)?);
            } else {
                show(&robot, context);
            }
        }
        Action::Rotate { name, overlap: Span(overlap), expires, output } => {
            let expires = expires.map(|Span(span)| span);
            let rotated =
                installation.rotate_robot(&name, overlap, expires).await.map_err(refused)?;
            note("made another secret of", &rotated.issued.username);
            for secret in &rotated.cut_short {
                context.printer.warning(cut_short(secret));
            }
            warn_if_expired(&rotated.robot, context);
            output.print(&rotated.issued, context);
        }
        Action::Disable { name } => {
            installation.disable_robot(&name).await.map_err(refused)?;
            note("disabled", &name);
        }
        Action::Enable { name } => {
            installation.enable_robot(&name).await.map_err(refused)?;
            note("enabled", &name);
            warn_if_expired(&installation.robot(&name).await.map_err(refused)?, context);
        }
        Action::Remove { name } => {
            installation.remove_robot(&name).await.map_err(refused)?;
            note("removed", &name);
        }
    }
    Ok(())
}

async fn list(installation: &Installation, json: bool, context: &Context) -> Result<(), Failure> {
    let robots = installation.robots().await.map_err(refused)?;
    if json {
        context.printer.json(&serde_json::to_value(&robots)?);
    } else {
        let heading =
            ["NAME", "STATUS", "ALLOW", "REPOSITORIES", "EXPIRES", "LAST USED", "DESCRIPTION"];
        let rows: Vec<[String; 7]> = robots.into_iter().map(row).collect();
        context.printer.table(heading, &rows);
    }
    Ok(())
}

fn row(robot: Robot) -> [String; 7] {
    [
        robot.name,
        status(&robot.status),
        robot.allow.join(","),
        robot.repositories.join(","),
        time_or_never(robot.expires_at),
        time_or_never(robot.used_at),
        robot.description,
    ]
}

fn show(robot: &Robot, context: &Context) {
    let line = |key: &str, value: &str| {
        context.printer.line(format!("{key:14}{value}").trim_end());
    };
    line("name", &robot.name);
    line("user name", &robot.username);
    line("description", &robot.description);
    line("status", &status(&robot.status));
    line("allow", &robot.allow.join(", "));
    line("repositories", &robot.repositories.join(", "));
    line("created", &rfc3339(robot.created_at));
    line("expires", &time_or_never(robot.expires_at));
    line("last used", &time_or_never(robot.used_at));
    for secret in &robot.secrets {
        let end = match secret.expires_at {
            Some(end) => format!("until {}", rfc3339(end)),
            None => "the newest".to_owned(),
        };
        let (made, used) = (rfc3339(secret.created_at), time_or_never(secret.used_at));
        line("secret", &format!("made {made}, {end}, last used {used}"));
    }
}

fn status(status: &RobotStatus) -> String {
    match status {
        RobotStatus::Enabled => "enabled".to_owned(),
        RobotStatus::Disabled { since } => format!("disabled {}", rfc3339(*since)),
        RobotStatus::Expired { since } => format!("expired {}", rfc3339(*since)),
    }
}

fn warn_if_expired(robot: &Robot, context: &Context) {
    if let RobotStatus::Expired { .. } = robot.status {
        let name = &robot.name;
        context.printer.warning(format_args!(
            "robot `{name}` has expired; `portpass robot rotate {name} --expires 90d` renews it"
        ));
    }
}

/// The first rotation promised its overlap to clients that may not have a newer secret yet.
fn cut_short(secret: &RobotSecret) -> String {
    let made = rfc3339(secret.created_at);
    let used = secret.used_at.map_or_else(
        || "it was never used".to_owned(),
        |at| format!("it was used last at {}", rfc3339(at)),
    );
    let until = time_or_never(secret.expires_at);
    format!(
        "the secret made {made} has ended, before {until}, because a robot has two at most; {used}: give the new one to \
         clients that still have it"
    )
}

/// A time that need not be.
pub(crate) fn time_or_never(time: Option<std::time::SystemTime>) -> String {
    time.map_or_else(|| "never".to_owned(), rfc3339)
}
