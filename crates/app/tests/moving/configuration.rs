//! The old registry's configuration becomes one of ours.

use std::{fs, path::Path};

use portpass_testkit::{Distribution, Portpass};

use crate::{
    PROGRAM,
    old::{Images, pulled, push},
    ours::{command_in, place},
};

/// The whole move: configuration, storage, server.
#[test]
fn a_registry_moves_in_with_its_configuration_and_its_storage() {
    let images = Images::new();
    let folder = tempfile::tempdir().unwrap();
    let storage = folder.path().join("registry");
    let old = Distribution::open_on(&storage);
    push(&old, &images.multi, "team/app:1");
    let before = pulled(&old.address().to_string(), "team/app:1");
    drop(old);
    let text = format!(
        "version: 0.1\nlog: {{ fields: {{ service: registry }} }}\nstorage:\n  filesystem: {{ rootdirectory: {} }}\n  delete: {{ enabled: true }}\nhttp: {{ addr: 127.0.0.1:0, secret: hunter2 }}\nhealth: {{ storagedriver: {{ enabled: true }} }}\n",
        storage.display()
    );
    fs::write(folder.path().join("config.yml"), text).unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut import = std::process::Command::new(PROGRAM);
    import.args(["import", "distribution", &path("config.yml"), "--output", &path("portpass.yml")]);
    let ran = portpass_testkit::run(&mut import, "");
    assert!(ran.expect_success().stderr.contains("doubts"), "{ran}");
    let written = fs::read_to_string(path("portpass.yml")).unwrap();
    assert!(written.contains("# doubt: ") && !written.contains("hunter2"), "{written}");
    let data = path("data");
    let imported = command_in(
        folder.path(),
        &["import", "storage", storage.to_str().unwrap(), "--link", "--data", &data],
    );
    assert!(
        imported.expect_success().stdout.contains("imported 1 repositories, 1 tags, 4 manifests"),
        "{imported}"
    );
    let arguments = ["--config", "{folder}/portpass.yml", "--data", "{folder}/data"];
    let server = Portpass::serve_in(Path::new(PROGRAM), &arguments, folder);
    assert_eq!(pulled(&place(&server), "team/app:1"), before);
}
