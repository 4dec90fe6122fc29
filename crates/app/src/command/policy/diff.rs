//! `policy diff`: who gains or loses what between two sets of rules.

use std::path::PathBuf;

use portpass_admin::{ChangedRights, Decider, RightsDiff, Rulebook};

use super::{Context, Failure, Outcome, refused};

/// Prints what differs; the status is 1 where anything does.
pub(super) async fn run(
    rulebook: &Rulebook,
    old: PathBuf,
    new: PathBuf,
    json: bool,
    context: &Context,
) -> Result<Outcome, Failure> {
    let diff = rulebook.diff(old, new, &context.environment).await.map_err(refused)?;
    let RightsDiff { changes, callers, unlisted, warnings } = &diff;
    for warning in warnings {
        context.printer.warning(warning);
    }
    if json {
        context.printer.json(&serde_json::to_value(&diff)?);
    } else {
        for change in changes {
            print(change, context);
        }
    }
    for source in unlisted {
        context.printer.warning(format_args!(
            "not all accounts of `{}` are listed: {}; `signed-in` and the groups stand for the others",
            source.source, source.why
        ));
    }
    if changes.is_empty() {
        context.printer.note(format_args!("nobody's rights change ({callers} callers compared)"));
        Ok(Outcome::Success)
    } else {
        Ok(Outcome::Problem)
    }
}

fn print(change: &ChangedRights, context: &Context) {
    for line in lines(change) {
        context.printer.line(line);
    }
}

/// ```text
/// gained: push on team/** except team/frozen
///   who: ann, robot:ci
///   old: no rule
///   new: rule 2 (rules.yml:4): allow [push] repository team/** to signed-in
/// ```
fn lines(change: &ChangedRights) -> Vec<String> {
    let ChangedRights { change: what, callers, actions, catalog, repositories, when, old, new } =
        change;
    let regions: Vec<String> = repositories.iter().map(ToString::to_string).collect();
    let on = if *catalog { "registry:catalog".to_owned() } else { regions.join(", or ") };
    let when = match &when[..] {
        [] => String::new(),
        when => format!(", {}", when.join("; or ")),
    };
    let is_of_time = *what == "lifetime";
    let side = |decider: &Option<Decider>| match decider {
        None => "no rule".to_owned(),
        Some(decider) if is_of_time => {
            let expiration = match decider.expiration {
                Some(seconds) => format!("{seconds} seconds"),
                None => "as long as the service says".to_owned(),
            };
            format!("{expiration}, by {decider}")
        }
        Some(decider) => decider.to_string(),
    };
    vec![
        format!("{what}: {} on {on}{when}", actions.join(", ")),
        format!("  who: {}", callers.join(", ")),
        format!("  old: {}", side(old)),
        format!("  new: {}", side(new)),
    ]
}
