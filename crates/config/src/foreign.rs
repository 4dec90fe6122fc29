//! What other servers are configured by: their variables and files, recognised and named.

use serde_json::Value;

use super::Environment;

/// What a variable of distribution sets that there is not here, and what there is instead.
const VARIABLES: &[(&str, &str)] = &[
    ("REGISTRY_COMPATIBILITY", "schema 1 is not supported"),
    ("REGISTRY_HEALTH", "health is served at `admin.addr`"),
    ("REGISTRY_HTTP_DEBUG_PROMETHEUS", "metrics are served at `admin.addr`"),
    ("REGISTRY_HTTP_DRAINTIMEOUT", "a stop always waits for requests in progress"),
    ("REGISTRY_HTTP_H2C", "HTTP/2 is always on"),
    (
        "REGISTRY_HTTP_HEADERS",
        "headers are set together, as REGISTRY_HTTP_HEADERS='{ X-Name: [value] }'",
    ),
    ("REGISTRY_HTTP_HTTP2", "HTTP/2 is always on"),
    ("REGISTRY_HTTP_NET", "listeners use TCP"),
    ("REGISTRY_HTTP_PREFIX", "clients ask for /v2/ at the root"),
    ("REGISTRY_HTTP_RELATIVEURLS", "URLs use `http.host`, or the host of the client's request"),
    ("REGISTRY_HTTP_SECRET", "uploads need no shared secret"),
    ("REGISTRY_HTTP_TLS", "set REGISTRY_HTTP_TLS_CERTIFICATE and _KEY; TLS has no other settings"),
    ("REGISTRY_LOG_ACCESSLOG", "the log has one line per request, at level info"),
    ("REGISTRY_LOG_FIELDS", "you cannot add fields to log lines"),
    ("REGISTRY_LOG_HOOKS", "the log goes only to stderr"),
    ("REGISTRY_LOG_REPORTCALLER", "log lines name the module"),
    ("REGISTRY_LOGLEVEL", "the level is REGISTRY_LOG_LEVEL"),
    ("REGISTRY_MIDDLEWARE", "the registry has no middleware"),
    (
        "REGISTRY_NOTIFICATIONS",
        "endpoints are one list, as in REGISTRY_NOTIFICATIONS_ENDPOINTS='[{ name: ci, url: … }]'",
    ),
    ("REGISTRY_POLICY", "repository classes are not supported"),
    ("REGISTRY_PROXY", "this registry cannot mirror another one"),
    ("REGISTRY_REDIS", "the registry does not use Redis"),
    ("REGISTRY_REPORTING", "portpass sends no reports to other services"),
    ("REGISTRY_STORAGE_CACHE", "the registry has its own cache, without settings"),
    (
        "REGISTRY_STORAGE_FILESYSTEM_MAXTHREADS",
        "the number of open files follows the limit of the system",
    ),
    ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING", "the registry removes old uploads by itself"),
    ("REGISTRY_STORAGE_REDIRECT", "the registry serves blobs itself"),
    ("REGISTRY_STORAGE_TAG", "the registry lists tags from its database"),
    ("REGISTRY_STORAGE", "this version supports only the storage `filesystem`"),
    (
        "REGISTRY_VALIDATION",
        "only REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS says how manifests are checked",
    ),
];

/// Warnings of variables that distribution would heed. `known` are those that are heeded here too.
pub(super) fn variables_of_distribution<'a>(
    environment: &'a Environment,
    known: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = String> + 'a {
    let foreign = environment.iter().filter(move |(name, _)| !known(name));
    let foreign = foreign.filter(|(name, value)| !is_of_kubernetes(name, value));
    foreign.filter_map(|(name, value)| {
        let is_here = name == "REGISTRY_STORAGE" && value.eq_ignore_ascii_case("filesystem");
        let mut all = VARIABLES.iter().filter(|_| !is_here);
        let (_, instead) = all.find(|(of, _)| is_below(name, of))?;
        Some(format!("the environment variable {name} sets nothing here: {instead}"))
    })
}

/// Whether a variable is the named one, or of a key below it.
fn is_below(name: &str, of: &str) -> bool {
    name.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

/// A service called `registry` or `registry-proxy` gives every pod variables of its own.
fn is_of_kubernetes(name: &str, value: &str) -> bool {
    value.starts_with("tcp://")
        || value.starts_with("udp://")
        || name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.contains("_PORT_")
}

/// Words of distribution's log that there are not here, and the nearest that there is. Other variables stand as they are.
pub(super) fn translated<'a>(name: &str, value: &'a str) -> (&'a str, Option<String>) {
    let level = value.to_ascii_lowercase();
    let ours = match (name, if name == "REGISTRY_LOG_LEVEL" { &*level } else { value }) {
        ("REGISTRY_LOG_FORMATTER", "logstash") => "json",
        ("REGISTRY_LOG_LEVEL", "warning") => "warn",
        ("REGISTRY_LOG_LEVEL", "fatal" | "panic") => "error",
        _ => return (value, None),
    };
    let warning = format!("the environment variable {name} says {value}, which is `{ours}` here");
    (ours, Some(warning))
}

/// Whose file it is, if it is another server's: a sentence that leads on.
pub(super) fn file_hint(text: &str) -> Option<&'static str> {
    let whole: Value = serde_saphyr::from_str(text).ok()?;
    let has = |key: &str| whole.get(key).is_some();
    let of_accounts = ["users", "acl", "ldap_auth", "ext_auth", "google_auth", "github_auth"];
    if has("server") && has("token") || has("token") && of_accounts.into_iter().any(has) {
        return Some(
            "this looks like the file of docker_auth: docs/moving-in.md has each of its keys; `token.certificate` and `token.key` belong under `token_service.signing`, and `key_id: libtrust` at the service keeps its key ids",
        );
    }
    (has("version") && has("storage")).then_some(
        "this looks like the file of another registry: `portpass import distribution FILE` turns it into one of portpass",
    )
}
