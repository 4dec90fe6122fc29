//! All keys of a file with their lines, known or not.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use crate::{Located, Location};

/// A file as a tree of keys; what stands there does not matter.
#[derive(Debug)]
pub(super) enum Tree {
    Keys(Vec<(String, Located<Tree>)>),
    List(Vec<Located<Tree>>),
    Value,
}

/// A key that docker_auth passes over in silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UnknownKey {
    /// From the top: `acl[3].match.team`.
    pub(super) path: String,
    pub(super) line: u64,
}

impl Tree {
    /// Below `path`, the keys that stand in no row of [`KNOWN`].
    pub(super) fn unknown_keys(&self, path: &str) -> Vec<UnknownKey> {
        let mut unknown = Vec::new();
        self.collect(path, path, &mut unknown);
        unknown
    }

    /// `kind` is the path as the table has it.
    fn collect(&self, path: &str, kind: &str, unknown: &mut Vec<UnknownKey>) {
        let joined = |before: &str, key: &str| {
            if before.is_empty() { key.to_owned() } else { format!("{before}.{key}") }
        };
        match self {
            Self::Value => {}
            Self::List(entries) => {
                for (at, entry) in entries.iter().enumerate() {
                    let path = format!("{path}[{}]", at + 1);
                    entry.value.collect(&path, kind, unknown);
                }
            }
            Self::Keys(keys) => {
                let Some((_, known)) = KNOWN.iter().find(|(table, _)| *table == kind) else {
                    return;
                };
                for (key, below) in keys {
                    let path = joined(path, key);
                    if known.contains(&"*") {
                        below.value.collect(&path, &joined(kind, "*"), unknown);
                    } else if known.contains(&key.as_str()) {
                        below.value.collect(&path, &joined(kind, key), unknown);
                    } else {
                        let line = match below.place {
                            Location::Line(line) => line,
                            _ => 0,
                        };
                        unknown.push(UnknownKey { path, line });
                    }
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keys, a list or a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut keys = Vec::new();
        while let Some(entry) = map.next_entry()? {
            keys.push(entry);
        }
        Ok(Tree::Keys(keys))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = list.next_element()? {
            entries.push(entry);
        }
        Ok(Tree::List(entries))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Value)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Value)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Value)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Value)
    }

    fn visit_str<E>(self, _: &str) -> Result<Tree, E> {
        Ok(Tree::Value)
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Value)
    }
}

const TOKEN_DATABASE: &[&str] = &["path", "token_hash_cost"];
const GCS_DATABASE: &[&str] = &["bucket", "client_secret_file", "token_hash_cost"];
const REDIS_DATABASE: &[&str] = &["redis_options", "redis_cluster_options", "token_hash_cost"];
const DIAL: &[&str] = &[
    "addrs",
    "direct",
    "timeout",
    "failfast",
    "database",
    "source",
    "service",
    "mechanism",
    "username",
    "password",
    "password_file",
    "enable_tls",
];
const COMMAND: &[&str] = &["command", "args"];
const PLUGIN: &[&str] = &["plugin_path"];

/// What docker_auth 1.14 reads below each key; `*` is a name that people give, and a key that is not here may have
/// anything below it.
const KNOWN: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "server",
            "token",
            "users",
            "ext_auth",
            "google_auth",
            "github_auth",
            "oidc_auth",
            "gitlab_auth",
            "ldap_auth",
            "mongo_auth",
            "xorm_auth",
            "plugin_authn",
            "acl",
            "acl_mongo",
            "acl_xorm",
            "ext_authz",
            "plugin_authz",
            "casbin_authz",
        ],
    ),
    (
        "server",
        &[
            "addr",
            "net",
            "path_prefix",
            "real_ip_header",
            "real_ip_pos",
            "certificate",
            "key",
            "hsts",
            "tls_min_version",
            "tls_curve_preferences",
            "tls_cipher_suites",
            "letsencrypt",
        ],
    ),
    ("server.letsencrypt", &["email", "cache_dir", "host"]),
    ("token", &["issuer", "expiration", "certificate", "key", "disable_legacy_key_id"]),
    ("users", &["*"]),
    ("users.*", &["password", "labels"]),
    ("ext_auth", COMMAND),
    (
        "google_auth",
        &[
            "domain",
            "client_id",
            "client_secret",
            "client_secret_file",
            "level_token_db",
            "gcs_token_db",
            "redis_token_db",
            "http_timeout",
        ],
    ),
    ("google_auth.level_token_db", TOKEN_DATABASE),
    ("google_auth.gcs_token_db", GCS_DATABASE),
    ("google_auth.redis_token_db", REDIS_DATABASE),
    (
        "github_auth",
        &[
            "organization",
            "client_id",
            "client_secret",
            "client_secret_file",
            "level_token_db",
            "gcs_token_db",
            "redis_token_db",
            "http_timeout",
            "revalidate_after",
            "github_web_uri",
            "github_api_uri",
            "registry_url",
        ],
    ),
    ("github_auth.level_token_db", TOKEN_DATABASE),
    ("github_auth.gcs_token_db", GCS_DATABASE),
    ("github_auth.redis_token_db", REDIS_DATABASE),
    (
        "oidc_auth",
        &[
            "issuer",
            "redirect_url",
            "client_id",
            "client_secret",
            "client_secret_file",
            "level_token_db",
            "gcs_token_db",
            "redis_token_db",
            "http_timeout",
            "registry_url",
            "user_claim",
            "labels_claims",
            "scopes",
        ],
    ),
    ("oidc_auth.level_token_db", TOKEN_DATABASE),
    ("oidc_auth.gcs_token_db", GCS_DATABASE),
    ("oidc_auth.redis_token_db", REDIS_DATABASE),
    (
        "gitlab_auth",
        &[
            "organization",
            "client_id",
            "client_secret",
            "client_secret_file",
            "level_token_db",
            "gcs_token_db",
            "redis_token_db",
            "http_timeout",
            "revalidate_after",
            "gitlab_web_uri",
            "gitlab_api_uri",
            "registry_url",
            "grant_type",
            "redirect_uri",
        ],
    ),
    ("gitlab_auth.level_token_db", TOKEN_DATABASE),
    ("gitlab_auth.gcs_token_db", GCS_DATABASE),
    ("gitlab_auth.redis_token_db", REDIS_DATABASE),
    (
        "ldap_auth",
        &[
            "addr",
            "tls",
            "insecure_tls_skip_verify",
            "ca_certificate",
            "base",
            "filter",
            "bind_dn",
            "bind_password_file",
            "labels",
            "initial_bind_as_user",
        ],
    ),
    ("ldap_auth.labels", &["*"]),
    ("ldap_auth.labels.*", &["attribute", "parse_cn", "lower_case"]),
    ("mongo_auth", &["dial_info", "collection"]),
    ("mongo_auth.dial_info", DIAL),
    ("xorm_auth", &["database_type", "conn_string"]),
    ("plugin_authn", PLUGIN),
    ("acl", &["match", "actions", "comment"]),
    ("acl.match", &["account", "type", "name", "service", "ip", "labels"]),
    ("acl_mongo", &["dial_info", "collection", "cache_ttl"]),
    ("acl_mongo.dial_info", DIAL),
    ("acl_xorm", &["database_type", "conn_string", "cache_ttl"]),
    ("ext_authz", COMMAND),
    ("plugin_authz", PLUGIN),
    ("casbin_authz", &["model_path", "policy_path"]),
];
