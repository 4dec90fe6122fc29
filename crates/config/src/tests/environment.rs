//! Variables.

use portpass_authority::request::RefreshIssuance::{self, Given, Withheld};
use tracing::level_filters::LevelFilter;

use super::*;

#[test]
fn variables_that_are_not_in_the_table_never_stop_the_start() {
    let config = without_file(&[
        ("REGISTRY_PORT", "tcp://10.0.0.1:5000"),
        ("REGISTRY_SERVICE_HOST", "10.0.0.1"),
        ("PORTPASS_PORT_5000_TCP_ADDR", "10.0.0.1"),
        ("REGISTRY_AUTH_TOKEN", "x"),
    ]);
    assert_eq!(config.unwrap().warnings, [""; 0]);
}

/// A Compose file of distribution, moved over as it is.
#[test]
fn variables_of_distribution_that_set_nothing_here_are_named() {
    let variables = [
        ("REGISTRY_STORAGE", "s3", "only the storage `filesystem`"),
        ("REGISTRY_STORAGE_S3_BUCKET", "b", "only the storage `filesystem`"),
        ("REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_AGE", "2h", "old uploads by itself"),
        ("REGISTRY_PROXY_REMOTEURL", "https://r.example", "cannot mirror"),
        ("REGISTRY_HTTP_SECRET", "abc", "no shared secret"),
        ("REGISTRY_HTTP_HEADERS_X-Frame-Options", "[deny]", "REGISTRY_HTTP_HEADERS='{"),
        ("REGISTRY_HTTP_TLS_LETSENCRYPT_EMAIL", "a@b", "TLS has no other settings"),
        ("REGISTRY_LOG_ACCESSLOG_DISABLED", "true", "one line per request"),
        ("REGISTRY_HEALTH_STORAGEDRIVER_ENABLED", "true", "`admin.addr`"),
    ];
    for (name, value, instead) in variables {
        let warnings = without_file(&[(name, value)]).unwrap().warnings;
        let [warning] = &warnings[..] else { panic!("{name}: {warnings:?}") };
        let told = format!("the environment variable {name} sets nothing here: ");
        assert!(warning.starts_with(&told) && warning.contains(instead), "{warning}");
        assert!(!warning.contains(value) || value.len() < 4, "a value may be secret: {warning}");
    }
    // What is here, and what Kubernetes sets for a service of that name.
    for (name, value) in [
        ("REGISTRY_STORAGE", "filesystem"),
        ("REGISTRY_STORAGE_DELETE_ENABLED", "true"),
        ("REGISTRY_PROXY_PORT", "tcp://10.0.0.1:80"),
        ("REGISTRY_PROXY_SERVICE_HOST", "10.0.0.1"),
        ("REGISTRY_PROXY_SERVICE_PORT_HTTP", "80"),
        ("REGISTRY_PROXY_PORT_80_TCP_PROTO", "tcp"),
        ("REGISTRY_STORAGES", "s3"),
    ] {
        assert_eq!(without_file(&[(name, value)]).unwrap().warnings, [""; 0], "{name}");
    }
}

#[test]
fn words_of_distributions_log_do_not_stop_the_start() {
    for (name, value, log) in [
        ("REGISTRY_LOG_FORMATTER", "logstash", "Log { level: LevelFilter::INFO, format: Json }"),
        ("REGISTRY_LOG_LEVEL", "warning", "Log { level: LevelFilter::WARN, format: Text }"),
        ("REGISTRY_LOG_LEVEL", "panic", "Log { level: LevelFilter::ERROR, format: Text }"),
        ("REGISTRY_LOG_LEVEL", "Warning", "Log { level: LevelFilter::WARN, format: Text }"),
    ] {
        let config = without_file(&[(name, value)]).unwrap();
        assert_eq!(format!("{:?}", config.log), log);
        assert!(config.warnings[0].contains(&format!("{name} says {value}")), "{name}");
    }
    // Under our own name it is a mistake.
    assert!(without_file(&[("PORTPASS_LOG_FORMAT", "logstash")]).is_err());
}

#[test]
fn a_level_is_taken_in_any_case_and_another_word_is_told_of_with_all_of_them() {
    for (word, level) in [
        ("TRACE", LevelFilter::TRACE),
        ("Debug", LevelFilter::DEBUG),
        ("info", LevelFilter::INFO),
        ("WARN", LevelFilter::WARN),
        ("eRRor", LevelFilter::ERROR),
    ] {
        for name in ["REGISTRY_LOG_LEVEL", "PORTPASS_LOG_LEVEL"] {
            let config = without_file(&[(name, word)]).unwrap();
            assert_eq!((config.log.level, config.warnings.len()), (level, 0), "{name}={word}");
        }
        let text = format!("registry: {{ auth: none }}\nlog: {{ level: {word} }}\n");
        assert_eq!(Folder::new(&text).load().unwrap().log.level, level, "{word}");
    }
    for name in ["REGISTRY_LOG_LEVEL", "PORTPASS_LOG_LEVEL"] {
        let error = without_file(&[(name, "loud")]).unwrap_err().to_string();
        assert!(
            error.ends_with(
                "unknown word `loud`; expected one of `trace`, `debug`, `info`, `warn`, `error`"
            ),
            "{error}"
        );
    }
}

/// Nothing replaces it: a registry that calls itself `${HOST}` would be worse than one that does not start.
#[test]
fn a_variable_in_a_value_is_refused_and_is_no_text() {
    for (text, told) in [
        (
            "registry: { auth: none }\nhttp: { host: \"https://${REGISTRY_HOST}\" }\n",
            ":2: http.host: portpass does not replace `${REGISTRY_HOST}`",
        ),
        (
            "# ${A}\nregistry: { auth: none }\ndata: ${A:-/x}/b\n",
            ":3: data: portpass does not replace `${A:-/x}`",
        ),
        (
            "registry: { auth: none }\nhttp:\n  headers:\n    X-A: [a, \"${B}\"]\n",
            ":4: http.headers.X-A: portpass does not replace `${B}`",
        ),
        (
            "token_service:\n  services:\n    - { name: \"${SERVICE}\" }\n",
            ":3: token_service.services.name: portpass does not replace `${SERVICE}`",
        ),
    ] {
        let error = Folder::new(text).load().unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
        assert!(error.hints()[0].contains("portpass config environment"), "{error}");
    }
    let error = without_file(&[("PORTPASS_HTTP_HOST", "https://${HOST}")]).unwrap_err();
    let told = "PORTPASS_HTTP_HOST: http.host: portpass does not replace `${HOST}`";
    assert_eq!(error.to_string(), told);
    // In rules these are ours.
    let rule = "[{ allow: [pull], repository: '${account}/**', to: signed-in }]";
    assert!(without_file(&[("PORTPASS_TOKEN_SERVICE_POLICY", rule)]).is_ok());
    let text = format!("token_service:\n  policy: {rule}\n");
    assert!(Folder::new(&text).load().is_ok());
}

/// Where the reader stumbles first, or the value's own type.
#[test]
fn a_variable_in_a_value_is_pointed_out_beside_another_mistake() {
    let hints = |text: &str| Folder::new(text).load().unwrap_err().hints().to_vec();
    for (text, variable) in [
        ("registry: { auth: none }\nhttp: { host: ${HOST} }\n", "${HOST}"),
        ("# ${A}\nregistry: { auth: none }\nhttp:\n  addr: \"${ADDR}\"\n", "${ADDR}"),
        ("token_service: { expiration: '${LIFE:-60}' }\n", "${LIFE:-60}"),
    ] {
        let hints = hints(text);
        let told = format!("portpass does not replace `{variable}`: write the value itself");
        assert!(hints.iter().any(|hint| hint.starts_with(&told)), "{text}: {hints:?}");
    }
    for text in [
        "http: { addr: x }\n# ${A}\n",
        "http: { addr: x }\ntoken_service:\n  policy: [{ allow: [pull], repository: '${account}/**' }]\n",
        "token_service:\n  policy: [{ allow: [pull], repository: ${account}/** }]\n",
    ] {
        let hints = hints(text);
        assert!(!hints.iter().any(|hint| hint.contains("does not replace")), "{text}: {hints:?}");
    }
}

#[test]
fn a_name_that_is_nearly_ours_is_pointed_out() {
    let warnings = without_file(&[("PORTPASS_HTTP_ADRR", "127.0.0.1:1")]).unwrap().warnings;
    let told =
        "the environment variable PORTPASS_HTTP_ADRR is unknown; did you mean PORTPASS_HTTP_ADDR?";
    assert_eq!(warnings, [told]);
}

#[test]
fn distributions_names_are_read_and_ours_win() {
    let registry = [("REGISTRY_HTTP_ADDR", "127.0.0.1:1")];
    assert_eq!(without_file(&registry).unwrap().http.addr.to_string(), "127.0.0.1:1");
    let both = [("REGISTRY_HTTP_ADDR", "127.0.0.1:1"), ("PORTPASS_HTTP_ADDR", "127.0.0.1:2")];
    assert_eq!(without_file(&both).unwrap().http.addr.to_string(), "127.0.0.1:2");
}

/// CF7
#[test]
fn a_registry_can_be_told_everything_by_variables_and_is_then_alone() {
    let folder = Folder::new("");
    folder.certify("root");
    let bundle = folder.path().join("root.crt").display().to_string();
    let config = without_file(&[
        ("REGISTRY_AUTH", "token"),
        ("REGISTRY_AUTH_TOKEN_REALM", "https://auth.example/token"),
        ("REGISTRY_AUTH_TOKEN_SERVICE", "registry"),
        ("REGISTRY_AUTH_TOKEN_ISSUER", "auth"),
        ("REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE", &bundle),
        ("REGISTRY_STORAGE_DELETE_ENABLED", "false"),
    ])
    .unwrap();
    let registry = config.registry.unwrap();
    assert!(matches!(registry.auth, RegistryAuth::Configured(Auth::Token(_))));
    assert!(!registry.deletes);
    assert!(
        config.token_service.is_none(),
        "whoever names a controller has a token service, or none"
    );
}

#[test]
fn variables_name_a_second_controller_as_little_as_a_file_does() {
    let folder = Folder::new("registry: { auth: { silly: { realm: r, service: s } } }\n");
    let error = folder.load_with(&[("REGISTRY_AUTH_HTPASSWD_PATH", "/x")]).unwrap_err();
    let told = "REGISTRY_AUTH_HTPASSWD_PATH: registry.auth.htpasswd.path: there are two access controllers, `silly` \
                and `htpasswd`; exactly one is expected";
    assert_eq!(error.to_string(), told);
    let error = folder.load_with(&[("REGISTRY_AUTH", "tokens")]).unwrap_err();
    assert!(error.to_string().contains("unknown word \"tokens\""), "{error}");
}

#[test]
fn lists_and_maps_are_given_as_in_the_file_or_with_commas() {
    let config = without_file(&[
        ("PORTPASS_HTTP_TRUSTED_PROXIES", "10.0.0.0/8, 192.168.0.0/16"),
        ("PORTPASS_HTTP_IDLE_TIMEOUT", "75s"),
        ("PORTPASS_HTTP_HEADERS", "{ X-Frame-Options: [deny] }"),
        ("PORTPASS_TOKEN_SERVICE_SERVICES", "[{ name: a, key_id: libtrust }, { name: b }]"),
        ("PORTPASS_TOKEN_SERVICE_POLICY", "[{ allow: [pull], repository: '**', to: anyone }]"),
        ("PORTPASS_TOKEN_SERVICE_EXPIRATION", "900"),
    ])
    .unwrap();
    assert!(config.http.trusted_proxies.contain("192.168.1.1".parse().unwrap()));
    assert_eq!(config.http.idle_timeout, Duration::from_secs(75));
    assert_eq!(config.http.headers["x-frame-options"], "deny");
    let service = config.token_service.unwrap();
    assert_eq!(service.services.iter().count(), 2);
    assert_eq!(service.policy.rules().unwrap().rules().len(), 1);
    assert_eq!(service.lifetime.seconds(), 900);
}

/// A service's own word counts, and the others have the word for all.
#[test]
fn refresh_tokens_are_withheld_from_all_services_or_from_one() {
    let issuance = |variables: &[(&str, &str)]| -> Vec<RefreshIssuance> {
        let service = without_file(variables).unwrap().token_service.unwrap();
        service.services.iter().map(|service| service.refresh).collect()
    };
    let services =
        ("PORTPASS_TOKEN_SERVICE_SERVICES", "[{ name: a, refresh_tokens: true }, { name: b }]");
    let none = ("PORTPASS_TOKEN_SERVICE_REFRESH_TOKENS", "false");
    let one =
        ("PORTPASS_TOKEN_SERVICE_SERVICES", "[{ name: a }, { name: b, refresh_tokens: false }]");
    assert_eq!(issuance(&[]), [Given]);
    assert_eq!(issuance(&[none]), [Withheld]);
    assert_eq!(issuance(&[services, none]), [Given, Withheld]);
    assert_eq!(issuance(&[one]), [Given, Withheld]);
}

#[test]
fn a_wrong_value_is_reported_under_the_variables_name() {
    for (name, value, told) in [
        (
            "PORTPASS_HTTP_ADDR",
            "5000",
            "PORTPASS_HTTP_ADDR: http.addr: \"5000\" is not an IP address and a port",
        ),
        (
            "PORTPASS_TOKEN_SERVICE_EXPIRATION",
            "5",
            "PORTPASS_TOKEN_SERVICE_EXPIRATION: token_service.expiration: ",
        ),
        ("PORTPASS_LOG_LEVEL", "loud", "PORTPASS_LOG_LEVEL: log.level: "),
        (
            "REGISTRY_HTTP_TLS_KEY",
            "/x",
            "REGISTRY_HTTP_TLS_KEY: http.tls: the key `certificate` is missing",
        ),
    ] {
        let error = without_file(&[(name, value)]).unwrap_err().to_string();
        assert!(error.starts_with(told), "{error}");
    }
}

/// Every value of the file has its variable, and every variable sets a value of the file.
#[test]
fn the_table_and_the_schema_name_the_same_keys() {
    let schema = schema();
    let mut keys = Vec::new();
    collect(&schema, &schema, "", &mut keys);
    keys.sort();
    let mut table: Vec<String> = variables().map(|variable| variable.key.to_owned()).collect();
    // The word alone chooses a controller; the file has it as the map's key.
    table.retain(|key| key != "registry.auth");
    table.sort();
    keys.retain(|key| key != "registry.auth.none");
    assert_eq!(keys, table);
}

/// The paths of all values that are no sections.
fn collect(
    schema: &serde_json::Value,
    root: &serde_json::Value,
    path: &str,
    keys: &mut Vec<String>,
) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    let alternatives = ["anyOf", "oneOf"].iter().find_map(|word| schema[word].as_array());
    if let Some(alternatives) = alternatives {
        let is_section = |one: &&serde_json::Value| {
            ["$ref", "properties", "anyOf"].iter().any(|word| one.get(word).is_some())
        };
        let given =
            alternatives.iter().filter(|one| one["type"] != "null" && one.get("const").is_none());
        let (sections, values): (Vec<_>, Vec<_>) = given.partition(is_section);
        for section in &sections {
            collect(section, root, path, keys);
        }
        if !sections.is_empty() && values.is_empty() {
            return;
        }
    }
    match schema["properties"].as_object() {
        Some(properties) if !properties.is_empty() => {
            for (name, property) in properties {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(property, root, &path, keys);
            }
        }
        _ => keys.push(path.to_owned()),
    }
}
