//! What of an ACL its author may not have meant, or what is not the same here.

use portpass_authority::docker_auth::EntryText;

use super::{is_plain, matches_text};

/// The doubts on all entries, in their order.
pub(super) fn of_acl(entries: &[EntryText]) -> Vec<String> {
    let mut doubts = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let mut say = |what: String| doubts.push(format!("entry {} of the ACL: {what}", at + 1));
        if is_unconditional(entry) {
            say("`match` is empty, so it is about everybody and everything, and no entry behind it is read".to_owned());
        }
        if entry.actions.len() > 1 && entry.actions.iter().any(|word| word == "*") {
            say("`*` among other actions is no wildcard; only `[\"*\"]` gives everything"
                .to_owned());
        }
        for word in &entry.actions {
            if !["pull", "push", "delete", "*"].contains(&word.as_str()) {
                say(format!("no registry asks for the action {word:?}"));
            }
        }
        for (field, pattern) in fields(entry) {
            of_pattern(field, pattern, &mut say);
        }
        for (label, pattern) in &entry.labels {
            of_pattern(&format!("label {label}"), pattern, &mut say);
            of_label(label, pattern, entry, &mut say);
        }
        if let Some(earlier) = entries[..at].iter().position(|earlier| covers(earlier, entry)) {
            say(format!("it is never reached: entry {} matches whatever it matches", earlier + 1));
        }
    }
    doubts
}

/// Whether it has no condition at all.
pub(super) fn is_unconditional(entry: &EntryText) -> bool {
    fields(entry).next().is_none() && entry.ip.is_none() && entry.labels.is_empty()
}

fn fields(entry: &EntryText) -> impl Iterator<Item = (&'static str, &str)> {
    let fields = [
        ("account", &entry.account),
        ("type", &entry.resource_type),
        ("name", &entry.name),
        ("service", &entry.service),
    ];
    fields.into_iter().filter_map(|(field, pattern)| Some((field, pattern.as_deref()?)))
}

fn of_pattern(field: &str, pattern: &str, say: &mut impl FnMut(String)) {
    match pattern.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
        Some(expression) if !expression.is_empty() => {
            let anchored = expression.starts_with('^') && expression.ends_with('$');
            if !anchored && ![".+", ".*", "."].contains(&expression) {
                say(format!(
                    "{field} `{pattern}` is found anywhere in the text; `/^{expression}$/` would be the whole of it"
                ));
            }
        }
        _ if field != "name" => {}
        _ if pattern.contains("**") => {
            say(format!("name `{pattern}`: `**` is no more than `*`, which matches no `/`"));
        }
        _ if pattern == "*" || pattern.ends_with("/*") => {
            say(format!(
                "name `{pattern}`: `*` matches no `/`, so names with more segments are not meant"
            ));
        }
        _ => {}
    }
    let mut before = false;
    for (place, _) in pattern.match_indices('{') {
        let inner = pattern[place + 1..].split('}').next().unwrap_or_default();
        let is_placeholder = pattern[..place].ends_with('$');
        if inner.starts_with("labels:") {
            if is_placeholder {
                say(format!(
                    "{field} `{pattern}`: a value of the label acts as a pattern, so `*` or `.*` means everything"
                ));
            } else {
                say(format!(
                    "{field} `{pattern}`: `{{{inner}}}` without `$` is text and no placeholder"
                ));
            }
        } else if is_placeholder {
            let (name, group) = inner.split_once(':').unwrap_or((inner, ""));
            let known = ["account", "type", "name", "service"]
                .contains(&name.to_ascii_lowercase().as_str());
            if !known {
                say(format!(
                    "{field} `{pattern}`: there is no placeholder `${{{inner}}}`, so it is text"
                ));
            } else if !group.is_empty() && before {
                say(format!(
                    "{field} `{pattern}`: docker_auth overlooks `${{{inner}}}` behind another placeholder, so this never matched; here it is replaced"
                ));
            }
        }
        before |= is_placeholder;
    }
}

/// docker_auth looks for captures in the four fields alone.
fn of_label(label: &str, pattern: &str, entry: &EntryText, say: &mut impl FnMut(String)) {
    for (place, _) in pattern.match_indices("${") {
        let Some(end) = pattern[place..].find('}') else { continue };
        let placeholder = &pattern[place..=place + end];
        let is_capture = placeholder.contains(':') && !placeholder.starts_with("${labels:");
        if is_capture && !fields(entry).any(|(_, field)| field.contains(placeholder)) {
            say(format!(
                "label {label} `{pattern}`: docker_auth replaces `{placeholder}` only if account, type, name or service mentions it too, so this never matched; here it is replaced"
            ));
        }
        if placeholder.starts_with("${labels:") {
            say(format!(
                "label {label} `{pattern}`: in the pattern of a label, `{placeholder}` is text"
            ));
        }
    }
}

/// Whether the first matches whatever the second matches, as far as the patterns tell.
fn covers(first: &EntryText, second: &EntryText) -> bool {
    let wider = |first: &Option<String>, second: &Option<String>| match (first, second) {
        (None, _) => true,
        (Some(first), Some(second)) if first == second => true,
        (Some(first), Some(second)) => {
            let is_text = !second.starts_with('/') && is_plain(&second.replace('/', ""));
            is_text && !first.contains("${") && matches_text(first, second)
        }
        (Some(_), None) => false,
    };
    // What a group took depends on the other patterns.
    let same = |first: &EntryText| fields(first).eq(fields(second));
    if fields(first).any(|(_, pattern)| pattern.contains("${") && pattern.contains(':'))
        && !same(first)
    {
        return false;
    }
    wider(&first.account, &second.account)
        && wider(&first.resource_type, &second.resource_type)
        && wider(&first.name, &second.name)
        && wider(&first.service, &second.service)
        && (first.ip.is_none() || first.ip == second.ip)
        && first.labels.iter().all(|(name, pattern)| second.labels.get(name) == Some(pattern))
}
