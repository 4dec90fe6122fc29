//! `${NAME}` in a value: other programs put a variable of the environment there. Here nothing does, and to take it for the
//! value itself would be worse than to say so.

use serde_json::Value;

use super::ConfigError;

/// Refuses the first one in a file's text. In rules and filters `${account}` and the like are ours, and are checked there.
pub(super) fn refuse(file: &str, text: &str) -> Result<(), ConfigError> {
    if !text.contains("${") {
        return Ok(());
    }
    // What is no YAML is told of by whoever reads it for good.
    let Ok(whole) = serde_saphyr::from_str::<Value>(text) else { return Ok(()) };
    let Some((key, name)) = find(&whole, "") else { return Ok(()) };
    let mark = format!("${{{name}");
    let line = text.lines().position(|line| line.contains(&mark) && !line.trim().starts_with('#'));
    let place = line.map_or_else(|| file.to_owned(), |line| format!("{file}:{}", line + 1));
    Err(refusal(&place, &key, name))
}

/// What to say beside another mistake in a file that has one: it may well be the reason. In no YAML, `{ host: ${HOST} }`
/// among others, nobody can say what is a rule's; those that rules know are passed over there.
pub(super) fn hint(text: &str) -> Option<String> {
    if !text.contains("${") {
        return None;
    }
    let name = match serde_saphyr::from_str::<Value>(text) {
        Ok(whole) => find(&whole, "")?.1.to_owned(),
        Err(_) => in_no_yaml(text)?.to_owned(),
    };
    Some(format!("portpass does not replace `${{{name}}}`: {WAYS_OUT}"))
}

/// Refuses one in the value of a variable of the environment.
pub(super) fn refuse_in_variable(name: &str, key: &str, text: &str) -> Result<(), ConfigError> {
    let Some(first) = within(text) else { return Ok(()) };
    // Lists are in YAML too, with keys below them.
    let whole = serde_saphyr::from_str::<Value>(text);
    let is_ours = |name: &&str| is_ours(key) || key == ACCOUNTS && is_placeholder_of_ours(name);
    let found = match &whole {
        Ok(whole) => find(whole, key).map(|(_, found)| found),
        Err(_) => Some(first).filter(|name| !is_ours(name)),
    };
    found.map_or(Ok(()), |found| Err(refusal(name, key, found)))
}

fn refusal(place: &str, key: &str, name: &str) -> ConfigError {
    let message = format!("{key}: portpass does not replace `${{{name}}}`");
    ConfigError::at(place, message).hint(WAYS_OUT)
}

fn in_no_yaml(text: &str) -> Option<&str> {
    let lines = text.lines().filter(|line| !line.trim().starts_with('#'));
    lines.filter_map(within).find(|name| !is_placeholder_of_ours(name))
}

/// The key and the name of the first one.
fn find<'a>(value: &'a Value, key: &str) -> Option<(String, &'a str)> {
    match value {
        _ if is_ours(key) => None,
        Value::String(text) => Some((key.to_owned(), within(text)?)),
        Value::Array(all) => all.iter().find_map(|one| find(one, key)),
        Value::Object(all) => all.iter().find_map(|(name, value)| {
            let below = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            within(name).map(|found| (below.clone(), found)).or_else(|| find(value, &below))
        }),
        _ => None,
    }
}

/// Whether who reads the value knows what to put there.
fn is_ours(key: &str) -> bool {
    TEMPLATES.contains(&key)
}

/// What stands in the first `${…}`.
fn within(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("${")?;
    rest.split_once('}').map(|(name, _)| name)
}

/// What rules, directories and issuers know.
fn is_placeholder_of_ours(name: &str) -> bool {
    matches!(name, "account" | "dn" | "group")
        || name.starts_with("label:")
        || name.starts_with("claim:")
}

const ACCOUNTS: &str = "token_service.accounts";
const TEMPLATES: &[&str] = &[
    "token_service.policy",
    "token_service.accounts.ldap.filter",
    "token_service.accounts.ldap.groups.search.filter",
    "token_service.accounts.ldap.user_dn",
    "token_service.accounts.workload.accounts",
];
const WAYS_OUT: &str = "write the value itself, or set the key by its own variable (`portpass config environment` lists them); `envsubst` can fill in a file before the start";
