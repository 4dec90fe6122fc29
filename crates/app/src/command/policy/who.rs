//! `policy who`: everybody who reaches a repository.

use portpass_admin::{Circumstances, Reach, ReachingCaller, Rulebook, UnlistedReach};

use super::{Context, Failure, Outcome, refused};

/// Prints who reaches it.
pub(super) async fn run(
    rulebook: &Rulebook,
    repository: &str,
    circumstances: &Circumstances,
    json: bool,
    context: &Context,
) -> Result<Outcome, Failure> {
    let reach = rulebook.who(repository, circumstances).await.map_err(refused)?;
    if json {
        context.printer.json(&serde_json::to_value(&reach)?);
    } else {
        print(&reach, context);
    }
    Ok(Outcome::Success)
}

fn print(reach: &Reach, context: &Context) {
    let Reach { repository, callers, rules, unlisted } = reach;
    if callers.is_empty() {
        context.printer.line(format_args!("nobody is known to reach {repository}"));
    } else {
        let rows: Vec<[String; 4]> = callers.iter().map(row).collect();
        context.printer.table(["WHO", "SOURCE", "MAY", "BY RULE"], &rows);
    }
    if !rules.is_empty() {
        context.printer.line("");
    }
    for rule in rules {
        context.printer.line(format_args!("rule {}: {}", rule.number, rule.text));
    }
    for UnlistedReach { source, reached_by } in unlisted {
        let meant = reached_by.iter().map(|meant| format!("{} by rule {}", meant.to, meant.rule));
        let meant: Vec<String> = meant.collect();
        let they = match &meant[..] {
            [] => "no rule gives them anything there".to_owned(),
            meant => format!("what rules give them there: {}", meant.join(", ")),
        };
        context.printer.warning(format_args!(
            "not all accounts of `{}` are listed: {}; {they}",
            source.source, source.why
        ));
    }
}

fn row(caller: &ReachingCaller) -> [String; 4] {
    let ReachingCaller { who, source, disabled, shadowed_by, actions, rules, own } = caller;
    let mut by: Vec<String> = rules.iter().map(ToString::to_string).collect();
    by.extend((!own.is_empty()).then(|| "its own permission".to_owned()));
    let who = match shadowed_by {
        Some(owner) => format!("{who} (no login reaches it: `{owner}` has the name)"),
        None if *disabled => format!("{who} (disabled or expired)"),
        None => who.clone(),
    };
    [who, source.clone().unwrap_or_default(), actions.join(", "), by.join(", ")]
}
