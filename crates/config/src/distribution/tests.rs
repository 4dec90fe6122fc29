//! What becomes of distribution's keys, and that the result is a configuration.

use std::path::Path;

use super::*;
use crate::{Config, Environment, Sources, file::ConfigFile};

fn translated(text: &str) -> Translated {
    let source = Path::new("/etc/docker/registry/config.yml");
    let done = import("config.yml", text, source).unwrap_or_else(|error| panic!("{error}\n{text}"));
    ConfigFile::parse("ours.yml", &done.configuration)
        .unwrap_or_else(|error| panic!("{error}\n{}", done.configuration));
    let lines = done.configuration.lines().filter(|line| line.starts_with("# doubt: "));
    assert_eq!(lines.count(), done.doubts.len());
    done
}

fn doubted(done: &Translated, part: &str) -> bool {
    done.doubts.iter().any(|doubt| doubt.contains(part))
}

/// As Debian installs it, but for the files that it names.
#[test]
fn the_file_of_debian_becomes_one_that_a_server_starts_from() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("htpasswd");
    std::fs::write(&users, "ann:$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu\n")
        .unwrap();
    let text = format!(
        "\
version: 0.1
log:
  fields: {{ service: registry }}
storage:
  cache: {{ blobdescriptor: inmemory }}
  filesystem: {{ rootdirectory: /var/lib/docker-registry }}
  delete: {{ enabled: true }}
http:
  addr: :5000
  headers: {{ X-Content-Type-Options: [nosniff] }}
auth:
  htpasswd: {{ realm: basic-realm, path: {} }}
health:
  storagedriver: {{ enabled: true, interval: 10s, threshold: 3 }}
",
        users.display()
    );
    let done = translated(&text);
    for part in ["log.fields", "storage.cache", "import storage /var/lib/docker-registry", "health"]
    {
        assert!(doubted(&done, part), "{part}: {:#?}", done.doubts);
    }
    assert_eq!(done.doubts.len(), 4, "{:#?}", done.doubts);
    let file = folder.path().join("portpass.yml");
    std::fs::write(&file, &done.configuration).unwrap();
    let data = Some(folder.path().join("data"));
    let sources = Sources { config: Some(file), data, ..Sources::default() };
    let config = Config::load(&sources, &Environment::default()).unwrap();
    let registry = config.registry.unwrap();
    assert!(registry.deletes);
    assert_eq!(registry.blobs, Path::new("/var/lib/docker-registry/portpass"));
    assert_eq!(config.http.addr, ":5000".parse().unwrap());
}

#[test]
fn every_section_is_kept_changed_or_doubted() {
    let done = translated(
        "\
version: '0.1'
loglevel: fatal
log: { formatter: logstash, accesslog: { disabled: yes }, hooks: [] }
storage:
  s3: { bucket: images, secretkey: hunter2 }
  redirect: { disable: false }
  maintenance: { readonly: { enabled: on }, uploadpurging: { enabled: true } }
http:
  net: unix
  addr: /run/registry.sock
  host: registry.example.com
  secret: hunter2
  prefix: /registry/
  relativeurls: true
  headers: { Location: [here], X-Own: [\"a\\\"b\", c] }
  tls: { certificate: server.crt, letsencrypt: { email: a@b }, clientcas: [/ca.pem] }
  debug: { addr: localhost:5001, prometheus: { enabled: true, path: /prom } }
auth:
  token:
    realm: https://auth.example.com/token
    service: registry
    issuer: Acme
    rootcertbundle: /etc/bundle.pem
    signingalgorithms: [HS256, ES256]
    autoredirect: true
notifications:
  events: { includereferences: yes }
  endpoints:
    - name: x
      url: http://hunter2@x/hook
      headers: { Authorization: [hunter2] }
      timeout: 500ms
      threshold: 5
      backoff: 60000000000
      ignoredmediatypes: [application/octet-stream]
      ignore: { actions: [pull, look] }
    - { name: ci, disabled: true, url: https://y.example/ }
    - { name: z, url: hunter2 }
catalog: { maxentries: 50 }
validation: { disabled: true, manifests: { urls: { allow: [x] }, indexes: { platforms: None } } }
proxy: { remoteurl: https://registry-1.example.com, password: hunter2 }
redis: { addr: x, password: hunter2 }
whatever: 1
",
    );
    let text = &done.configuration;
    assert!(!text.contains("hunter2"), "no secret is copied:\n{text}");
    for kept in [
        "level: error",
        "format: json",
        "admin:\n  addr: \"localhost:5001\"",
        "\"X-Own\": [\"a\\\"b\", \"c\"]",
        "signingalgorithms: [\"ES256\"]",
        "autoredirect: true",
        "delete: { enabled: false }",
        "    maintenance: { readonly: { enabled: true } }",
        "    events: { includereferences: true }",
        "      - name: \"x\"\n        url: \"http://x/hook\"\n        timeout: 1s\n        backoff: 1m\n        threshold: 5\n",
        "          mediatypes: [\"application/octet-stream\"]\n          actions: [\"pull\"]",
        "      - name: \"ci\"\n        url: \"https://y.example/\"\n        disabled: true",
        "  catalog: { maxentries: 50 }",
        "  validation: { indexes: any }",
    ] {
        assert!(text.contains(kept), "{kept}:\n{text}");
    }
    for part in [
        "logstash",
        "accesslog",
        "storage.s3",
        "redirect",
        "uploadpurging",
        "unix",
        "http.host",
        "http.prefix",
        "relativeurls",
        "Location",
        "belong together",
        "letsencrypt",
        "clientcas",
        "/prom",
        "HS",
        "notifications.endpoints[0].url` has a user name",
        "notifications.endpoints[0].headers` (Authorization)",
        "timeout` is 500ms; it is 1s here",
        "which is no action",
        "notifications.endpoints[2].url` is no URL",
        "`validation` is off",
        "validation.manifests.urls",
        "proxy",
        "redis",
        "`whatever`",
        "server.crt",
        "log.hooks",
    ] {
        assert!(doubted(&done, part), "{part}: {:#?}", done.doubts);
    }
}

#[test]
fn a_placeholder_is_a_doubt_and_no_value() {
    let done = translated(
        "version: 0.1\nhttp: { host: 'https://${HOST}', headers: { X-Own: ['${X}'] }, tls: { certificate: '/${C}', key: /k } }\nauth: { htpasswd: { realm: '${R}', path: '/${P}' } }\n",
    );
    let kept = done.configuration.lines().filter(|line| !line.starts_with('#'));
    assert!(!kept.collect::<String>().contains("${"), "{}", done.configuration);
    assert!(doubted(&done, "`http.host` is https://${HOST}, a placeholder"));
}

/// A server that lets everybody in must not come out of a controller that is not known.
#[test]
fn an_unknown_controller_lets_nobody_in() {
    let done = translated("version: 0.1\nauth: { plugin: {} }\nstorage: { inmemory: {} }\n");
    assert!(doubted(&done, "auth.plugin"), "{:#?}", done.doubts);
    assert!(!done.configuration.contains("none: {}"));
    let open = translated("version: 0.1\nhttp: { addr: 127.0.0.1:5000 }\n");
    assert!(open.configuration.contains("auth: { none: {} }"));
    assert!(doubted(&open, "everybody may do everything"));
}

#[test]
fn what_is_no_configuration_of_a_registry_is_refused() {
    for text in ["", "- a", "a: b", "version: [", "just text"] {
        assert!(import("x.yml", text, Path::new("/x.yml")).is_err(), "{text:?}");
    }
}

proptest::proptest! {
    /// Whatever stands in values, the result is a file of ours with one line for each doubt.
    #[test]
    fn any_value_makes_a_file_that_can_be_read(text in "\\PC{0,40}") {
        let value = Value::from(text).to_string();
        translated(&format!(
            "version: {value}\nlog: {{ level: {value}, formatter: {value} }}\nstorage: {{ filesystem: {{ rootdirectory: {value} }}, {value}: 1 }}\nhttp: {{ addr: {value}, host: {value}, headers: {{ {value}: [{value}] }}, tls: {{ certificate: {value}, key: {value} }} }}\nauth: {{ htpasswd: {{ realm: {value}, path: {value} }} }}\n"
        ));
    }
}
