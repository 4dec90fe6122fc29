//! A value of the wrong shape: what its key takes, and an example.

use serde_path_to_error::{Path, Segment};
use serde_saphyr::Error as YamlError;

/// A key of the file, from the top: `token_service.policy[].allow`. Entries of a list have no number here; the
/// error has their line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    path: String,
    /// What is read as a whole, for a mistake that is in no key.
    whole: &'static str,
}

impl Key {
    /// The whole of `what`.
    pub(super) const fn whole(what: &'static str) -> Self {
        Self { path: String::new(), whole: what }
    }

    /// The key that the reader stood at.
    pub(super) fn at(path: &Path) -> Self {
        Self::below("", path)
    }

    /// The key that the reader of a file stood at which holds what may stand at the key `above`.
    pub(super) fn below(above: &str, path: &Path) -> Self {
        let mut at = above.to_owned();
        for segment in path {
            match segment {
                Segment::Seq { .. } => at.push_str("[]"),
                // The value of a `Located`, which nobody types.
                Segment::Map { key: name } if name == "value" => {}
                Segment::Map { key: name } | Segment::Enum { variant: name } => {
                    if !at.is_empty() {
                        at.push('.');
                    }
                    at.push_str(name);
                }
                Segment::Unknown => {}
            }
        }
        Self { path: at, ..Self::whole("the file") }
    }

    /// The example of the table, as it would be typed.
    fn example(&self) -> Option<&'static str> {
        // What people name themselves stands as `*` in the table.
        let named = self.path.rsplit_once('.').map(|(above, _)| format!("{above}.*"));
        let of = |path: &str| EXAMPLES.iter().find(|(key, _)| *key == path);
        of(&self.path).or_else(|| of(&named?)).map(|(_, example)| *example)
    }

    /// How a sentence calls it.
    fn named(&self) -> String {
        match self.path.strip_suffix("[]") {
            _ if self.path.is_empty() => self.whole.to_owned(),
            Some("") => format!("an entry of {}", self.whole),
            Some(list) => format!("an entry of `{list}`"),
            None => format!("`{}`", self.path.trim_start_matches("[].")),
        }
    }
}

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Keys,
    List,
    Value,
}

/// The sentence for a value of the wrong shape; `None` for other mistakes.
pub(super) fn sentence(error: &YamlError, key: &Key) -> Option<String> {
    let shape = match error {
        YamlError::Unexpected { expected: "mapping start", .. } => Shape::Keys,
        YamlError::Unexpected { expected: "sequence start", .. } => Shape::List,
        YamlError::Unexpected { .. }
        | YamlError::ExternallyTaggedEnumExpectedScalarOrMapping { .. }
        | YamlError::UnexpectedValueForUnitEnumVariant { .. }
        | YamlError::NullIntoString { .. } => Shape::Value,
        _ => return None,
    };
    let takes = match shape {
        Shape::Keys => "must have keys below it",
        Shape::List => "must be a list",
        Shape::Value => "must be a single value",
    };
    let named = key.named();
    Some(match key.example() {
        Some(example) => format!("{named} {takes}, as in `{example}`"),
        None => format!("{named} {takes}"),
    })
}

/// For each key that takes keys or a list, one that works. A test holds it against the schema.
const EXAMPLES: &[(&str, &str)] = &[
    ("", "registry: { auth: none }"),
    ("admin", "admin: { addr: 127.0.0.1:5001 }"),
    ("data", "data: /var/lib/portpass"),
    ("audit", "audit: { keep: 90d, max_size: 1GiB }"),
    ("audit.keep", "keep: 90d"),
    ("audit.max_size", "max_size: 1GiB"),
    ("database", "database: sqlite"),
    ("http", "http: { addr: 127.0.0.1:5000 }"),
    ("http.addr", "addr: 127.0.0.1:5000"),
    ("http.headers", "headers: { Access-Control-Allow-Origin: [\"*\"] }"),
    ("http.headers.*", "Access-Control-Allow-Origin: [\"*\"]"),
    ("http.idle_timeout", "idle_timeout: 620s"),
    ("http.tls", "tls: { certificate: server.crt, key: server.key }"),
    ("http.trusted_proxies", "trusted_proxies: [10.0.0.0/8]"),
    ("log", "log: { level: info }"),
    ("log.format", "format: json"),
    ("log.level", "level: info"),
    ("registry", "registry: { auth: none }"),
    ("registry.auth", "auth: { htpasswd: { realm: registry, path: users.htpasswd } }"),
    ("registry.auth.htpasswd", "htpasswd: { realm: registry, path: users.htpasswd }"),
    ("registry.auth.none", "none: {}"),
    ("registry.auth.silly", "silly: { realm: registry, service: registry }"),
    (
        "registry.auth.token",
        "token: { realm: \"https://auth.example.com/token\", service: registry, issuer: portpass, rootcertbundle: root.crt }",
    ),
    ("registry.auth.htpasswd.limits", "limits: { enabled: true }"),
    ("registry.auth.token.signingalgorithms", "signingalgorithms: [ES256]"),
    ("registry.immutable", "immutable: [{ name: releases, tags: \"v*\" }]"),
    ("registry.immutable[]", "- { name: releases, tags: \"v*\" }"),
    ("registry.immutable[].repositories", "repositories: \"team/**\""),
    ("registry.immutable[].tags", "tags: [\"v*\"]"),
    ("registry.immutable[].except_tags", "except_tags: \"*-rc*\""),
    ("registry.immutable[].except", "except: \"group:release\""),
    ("registry.retention", "retention: { rules: [{ name: builds, keep_last: 10 }] }"),
    ("registry.retention.interval", "interval: 1d"),
    ("registry.retention.rules", "rules: [{ name: builds, keep_last: 10 }]"),
    ("registry.retention.rules[]", "- { name: builds, keep_last: 10 }"),
    ("registry.retention.rules[].repositories", "repositories: \"team/**\""),
    ("registry.retention.rules[].tags", "tags: \"build-*\""),
    ("registry.retention.rules[].keep", "keep: [latest, \"v*\"]"),
    ("registry.retention.rules[].keep_last", "keep_last: 10"),
    ("registry.retention.rules[].keep_younger", "keep_younger: 30d"),
    ("registry.retention.rules[].keep_pulled_within", "keep_pulled_within: 90d"),
    ("registry.storage", "storage: { filesystem: { rootdirectory: /var/lib/portpass/blobs } }"),
    ("registry.storage.delete", "delete: { enabled: true }"),
    ("registry.storage.maintenance", "maintenance: { readonly: { enabled: true } }"),
    ("registry.storage.maintenance.readonly", "readonly: { enabled: true }"),
    ("registry.storage.gc", "gc: { interval: 1h, grace: 2h }"),
    ("registry.storage.gc.grace", "grace: 2h"),
    ("registry.storage.gc.interval", "interval: 1h"),
    ("registry.storage.gc.untagged", "untagged: { older_than: 7d }"),
    ("registry.storage.gc.untagged.older_than", "older_than: 7d"),
    ("registry.storage.gc.untagged.unless_pulled_within", "unless_pulled_within: 30d"),
    ("registry.storage.filesystem", "filesystem: { rootdirectory: /var/lib/portpass/blobs }"),
    ("registry.catalog", "catalog: { maxentries: 1000 }"),
    ("registry.catalog.maxentries", "maxentries: 1000"),
    ("registry.http", "http: { upload_query: true }"),
    (
        "registry.notifications",
        "notifications: { endpoints: [{ name: ci, url: \"https://ci.example.com/events\" }] }",
    ),
    (
        "registry.notifications.endpoints",
        "endpoints: [{ name: ci, url: \"https://ci.example.com/events\" }]",
    ),
    (
        "registry.notifications.endpoints[]",
        "- { name: ci, url: \"https://ci.example.com/events\" }",
    ),
    (
        "registry.notifications.endpoints[].headers",
        "headers: { Authorization: [\"Bearer TOKEN\"] }",
    ),
    ("registry.notifications.endpoints[].headers.*", "Authorization: [\"Bearer TOKEN\"]"),
    ("registry.notifications.endpoints[].ignore", "ignore: { actions: [pull] }"),
    ("registry.notifications.endpoints[].ignore.actions", "actions: [pull]"),
    (
        "registry.notifications.endpoints[].ignore.mediatypes",
        "mediatypes: [application/octet-stream]",
    ),
    (
        "registry.notifications.endpoints[].ignoredmediatypes",
        "ignoredmediatypes: [application/octet-stream]",
    ),
    ("registry.notifications.endpoints[].timeout", "timeout: 1s"),
    ("registry.notifications.endpoints[].backoff", "backoff: 1s"),
    ("registry.notifications.endpoints[].threshold", "threshold: 10"),
    ("registry.notifications.events", "events: { includereferences: true }"),
    ("registry.validation", "validation: { indexes: any }"),
    ("registry.validation.indexes", "indexes: any"),
    ("registry.validation.manifests", "manifests: { indexes: { platforms: none } }"),
    ("registry.validation.manifests.indexes", "indexes: { platforms: none }"),
    ("registry.validation.manifests.indexes.platforms", "platforms: none"),
    ("token_service", "token_service: { issuer: portpass }"),
    ("token_service.accounts", "accounts: [{ local: {} }]"),
    ("token_service.accounts[]", "- local: {}"),
    ("token_service.accounts[].htpasswd", "htpasswd: { path: users.htpasswd }"),
    ("token_service.accounts[].http", "http: { url: \"https://accounts.example.com/portpass\" }"),
    (
        "token_service.accounts[].http.client",
        "client: { certificate: client.crt, key: client.key }",
    ),
    (
        "token_service.accounts[].ldap",
        "ldap: { servers: [\"ldaps://ldap.example.org\"], base: \"dc=example,dc=org\", filter: \"(uid=${account})\" }",
    ),
    ("token_service.accounts[].ldap.groups", "groups: { member_of: {} }"),
    ("token_service.accounts[].ldap.groups.chain", "chain: {}"),
    ("token_service.accounts[].ldap.groups.member_of", "member_of: {}"),
    ("token_service.accounts[].ldap.groups.search", "search: { filter: \"(member=${dn})\" }"),
    ("token_service.accounts[].ldap.servers", "servers: [\"ldaps://ldap.example.org\"]"),
    ("token_service.accounts[].local", "local: {}"),
    (
        "token_service.accounts[].workload",
        "workload: { issuer: https://gitlab.example.com, audience: registry.example.com, accounts: [{ name: deploy, when: { project_path: acme/app } }] }",
    ),
    (
        "token_service.accounts[].workload.accounts",
        "accounts: [{ name: deploy, when: { project_path: acme/app } }]",
    ),
    (
        "token_service.accounts[].workload.accounts[]",
        "- { name: deploy, when: { project_path: acme/app } }",
    ),
    ("token_service.accounts[].workload.accounts[].groups", "groups: [ci]"),
    ("token_service.accounts[].workload.accounts[].labels", "labels: { team: red }"),
    ("token_service.accounts[].workload.accounts[].labels.*", "team: red"),
    ("token_service.accounts[].workload.accounts[].when", "when: { project_path: acme/app }"),
    ("token_service.accounts[].workload.accounts[].when.*", "project_path: acme/app"),
    ("token_service.accounts[].workload.audience", "audience: registry.example.com"),
    ("token_service.accounts[].workload.cache", "cache: 1h"),
    ("token_service.accounts[].workload.timeout", "timeout: 10s"),
    ("token_service.groups", "groups: { developers: [ann, \"htpasswd/bob\"] }"),
    ("token_service.groups.*", "developers: [ann, \"htpasswd/bob\"]"),
    ("token_service.introspection", "introspection: { to: \"group:registries\" }"),
    ("token_service.introspection.to", "to: \"group:registries\""),
    ("token_service.limits", "limits: { enabled: true }"),
    ("token_service.limits.requests", "requests: { account: 600/m, address: 6000/m }"),
    ("token_service.limits.requests.account", "account: 600/m"),
    ("token_service.limits.requests.address", "address: 6000/m"),
    ("token_service.passwords", "passwords: { min_length: 12 }"),
    ("token_service.policy", "policy: [{ allow: [pull], repository: \"public/**\", to: anyone }]"),
    ("token_service.policy[]", "- { allow: [pull], repository: \"public/**\", to: anyone }"),
    ("token_service.policy[].allow", "allow: [pull, push]"),
    ("token_service.policy[].deny", "deny: [push, delete]"),
    ("token_service.policy[].except", "except: \"group:release\""),
    ("token_service.policy[].repository", "repository: \"team/**\""),
    ("token_service.policy[].to", "to: anyone"),
    ("token_service.policy[].from", "from: [10.0.0.0/8]"),
    ("token_service.policy[].service", "service: registry"),
    (
        "token_service.policy[].between",
        "between: { days: mon-fri, hours: \"08:00-18:00\", zone: Europe/Berlin }",
    ),
    ("token_service.policy[].between.days", "days: [mon-fri]"),
    ("token_service.policy[].between.hours", "hours: [\"08:00-18:00\"]"),
    ("token_service.policy[].between.zone", "zone: Europe/Berlin"),
    ("token_service.policy[].between.after", "after: 2026-12-31"),
    ("token_service.policy[].between.before", "before: \"2026-12-31T18:00\""),
    ("token_service.policy_file", "policy_file: rules.yml"),
    ("token_service.services", "services: [{ name: registry }]"),
    ("token_service.services[]", "- { name: registry }"),
    ("token_service.signing", "signing: { certificate: token.crt, key: token.key }"),
    ("token_service.tls", "tls: { certificate: server.crt, key: server.key }"),
];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fmt::Write as _};

    use serde_json::Value;

    use super::*;
    use crate::{ConfigFile, schema};

    /// Whoever gives a key the wrong shape is shown the right one: no key may be without.
    #[test]
    fn every_key_that_takes_keys_or_a_list_has_an_example_that_works() {
        let schema = schema();
        let mut keys = BTreeSet::new();
        walk(&schema, &schema, String::new(), &mut keys);
        assert!(keys.len() > 20, "{keys:?}");
        for key in &keys {
            let known = Key { path: key.clone(), whole: "" };
            assert!(known.example().is_some(), "{key:?} has no example");
        }
        for (key, example) in EXAMPLES.iter().filter(|(key, _)| !key.is_empty()) {
            let text = typed(key, example);
            ConfigFile::parse("x", &text).unwrap_or_else(|error| panic!("{key}: {error}\n{text}"));
        }
    }

    /// The words of the YAML reader are nobody's business.
    #[test]
    fn no_word_of_the_parser_reaches_a_person() {
        let keys = EXAMPLES.iter().filter(|(key, _)| !key.is_empty());
        for ((key, _), wrong) in keys.flat_map(|key| {
            ["word", "7", "true", "[word]", "[[]]", "{ word: x }", "~"].map(|wrong| (key, wrong))
        }) {
            let name = key.rsplit('.').next().unwrap_or(key);
            let line = match name.strip_suffix("[]") {
                Some(_) => format!("- {wrong}"),
                None => format!("{}: {wrong}", name.replace('*', "X-Header")),
            };
            let text = typed(key, &line);
            let Err(error) = ConfigFile::parse("x", &text) else { continue };
            let said = error.to_string();
            for word in
                ["scalar", "sequence", " start", "mapping", "externally", "variant", "struct"]
            {
                assert!(!said.contains(word), "{text}: {said}");
            }
        }
    }

    /// The whole file, with this line where its key stands.
    fn typed(key: &str, line: &str) -> String {
        let entry = key.ends_with("[]");
        let mut above: Vec<&str> = key.trim_end_matches("[]").split('.').collect();
        if !entry {
            above.pop();
        }
        let mut text = String::new();
        let mut depth = 0;
        for name in above {
            let (name, list) = match name.strip_suffix("[]") {
                Some(name) => (name, true),
                None => (name, false),
            };
            writeln!(text, "{}{name}:", "  ".repeat(depth)).unwrap();
            depth += 1;
            if list {
                writeln!(text, "{}-", "  ".repeat(depth)).unwrap();
                depth += 1;
            }
        }
        writeln!(text, "{}{line}", "  ".repeat(depth)).unwrap();
        text
    }

    /// All keys below this part of the schema that take keys or a list.
    fn walk(root: &Value, part: &Value, key: String, keys: &mut BTreeSet<String>) {
        if let Some(name) = part.get("$ref").and_then(Value::as_str) {
            let name = name.rsplit('/').next().unwrap_or(name);
            return walk(root, &root["$defs"][name], key, keys);
        }
        let alternatives = ["anyOf", "oneOf"].into_iter().filter_map(|word| part.get(word));
        for alternative in alternatives.filter_map(Value::as_array).flatten() {
            walk(root, alternative, key.clone(), keys);
        }
        let below =
            |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
        if let Some(properties) = part.get("properties").and_then(Value::as_object) {
            keys.insert(key.clone());
            for (name, part) in properties {
                walk(root, part, below(name), keys);
            }
        }
        if let Some(part) = part.get("additionalProperties").filter(|part| part.is_object()) {
            keys.insert(key.clone());
            walk(root, part, below("*"), keys);
        }
        if let Some(items) = part.get("items") {
            keys.insert(key.clone());
            walk(root, items, format!("{key}[]"), keys);
        }
    }
}
