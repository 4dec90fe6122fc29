//! Which key signs for which service.

use portpass_jose::Algorithm;

use super::*;

/// With a certificate of P-256 in `first`, and another in `second`.
fn folder(section: &str) -> Folder {
    let folder = Folder::new(section);
    folder.certify("first");
    folder.certify("second");
    folder
}

fn numbers(config: &Config) -> Vec<usize> {
    let services = &config.token_service.as_ref().unwrap().services;
    services.iter().map(|service| service.signer.number()).collect()
}

#[test]
fn services_share_the_keys_of_an_algorithm() {
    let config = Folder::new(
        "token_service:
  services:
    - { name: a }
    - { name: b, algorithm: RS256 }
    - { name: c, algorithm: EdDSA }
    - { name: d, algorithm: RS256, key_id: libtrust }
    - { name: e, algorithm: ES256 }
",
    )
    .load()
    .unwrap();
    let Signing::Ring(algorithms) = &config.token_service.as_ref().unwrap().signing else {
        panic!("files")
    };
    assert_eq!(algorithms[..], [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa]);
    assert_eq!(numbers(&config), [0, 1, 2, 1, 0]);
}

#[test]
fn services_share_the_pairs_of_files() {
    let config = folder(
        "token_service:
  signing: { certificate: first.crt, key: first.key }
  services:
    - { name: a, certificate: second.crt, key: second.key }
    - { name: b }
    - { name: c, certificate: second.crt, key: second.key, algorithm: ES256 }
    - { name: d, algorithm: ES256 }
",
    )
    .load()
    .unwrap();
    let Signing::Files(pairs) = &config.token_service.as_ref().unwrap().signing else {
        panic!("a ring")
    };
    let algorithms: Vec<_> = pairs.iter().map(|pair| pair.files.algorithm).collect();
    let es256 = Some(Algorithm::Es256);
    assert_eq!(algorithms, [es256, None, es256], "what a service says of a key binds the key");
    assert_eq!(numbers(&config), [1, 0, 2, 0]);
}

#[test]
fn an_algorithm_without_a_key_is_refused_with_line_and_hint() {
    let files = "  signing: { certificate: first.crt, key: first.key }\n";
    for (section, told) in [
        (
            format!("{files}  services:\n    - name: a\n      algorithm: RS256\n"),
            "portpass.yaml:5: token_service.services.algorithm: no key signs by RS256: that of `token_service.signing` signs by ES256\nhint: give the service the `certificate` and the `key` of an RS256 key, or leave `algorithm` out",
        ),
        (
            "  services:\n    - { name: a, certificate: first.crt, key: first.key }\n".to_owned(),
            "portpass.yaml:3: token_service.services: the keys of the other services are generated\nhint: give `token_service.signing` a `certificate` and a `key` too: either all keys come from files, or none",
        ),
        (
            format!(
                "{files}  services:\n    - {{ name: a, certificate: first.crt, key: second.key }}\n"
            ),
            "portpass.yaml:4: token_service.services.certificate: ",
        ),
    ] {
        let refusal = folder(&format!("token_service:\n{section}")).refusal();
        assert!(refusal.starts_with(told), "{refusal}");
    }
}
