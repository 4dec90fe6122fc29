//! A disk that is full at one step or another.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::Command,
};

use portpass_protocol::DigestAlgorithm::Sha256;
use portpass_testkit::{CommandOutput, Disk, Distribution, run};

use crate::{
    PROGRAM,
    old::{Wire, state},
    ours::{configuration, counts, json, kinds},
};

fn on(disk: &Disk, arguments: &[&str]) -> CommandOutput {
    let words = disk.words();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg(PROGRAM).args(arguments);
    run(command.arg("--config").arg(disk.path().join("portpass.yml")), "")
}

/// Leaves so many kibibytes.
fn fill(disk: &Path, left: u64) {
    let mut ballast = File::create(disk.join("ballast")).unwrap();
    let block = [0; 4096];
    while ballast.write_all(&block).is_ok() {}
    let length = ballast.metadata().unwrap().len();
    ballast.set_len(length.saturating_sub(left * 1024)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_an_import_with_a_word_and_the_next_goes_on() {
    let storage = tempfile::tempdir().unwrap();
    let old = Distribution::open_on(storage.path());
    let wire = Wire::to(&old.address().to_string());
    for number in 0..40_u8 {
        let content = vec![number; 100_000];
        wire.put_image("app", &format!("v{number}"), &content, Sha256).await;
    }
    let before = state(storage.path());
    let disk = Disk::of(24);
    let outside = disk.from_outside();
    fs::write(outside.join("portpass.yml"), configuration(&disk.path().join("data"))).unwrap();
    let path = storage.path().to_str().unwrap();
    // Not even a database; a database and no blob; some blobs; all but the last rows.
    let mut stopped = 0;
    for left in [0, 16, 64, 256, 512, 1024, 2048, 3072, 4096, 4608] {
        fill(&outside, left);
        let ran = on(&disk, &["import", "storage", path, "--copy", "--json"]);
        if !ran.success {
            stopped += 1;
            let told = ran.stderr.to_lowercase();
            let named =
                ["no space", "full", "disk i/o error"].iter().any(|words| told.contains(words));
            assert!(named, "with {left} KiB: {ran}");
        }
        fs::remove_file(outside.join("ballast")).unwrap();
    }
    assert!(stopped > 4, "{stopped}");
    let last = json(&on(&disk, &["import", "storage", path, "--copy", "--json"]));
    let sums = counts(&last).into_iter().zip(counts(&last["already"])).map(|(new, old)| new + old);
    assert_eq!(sums.collect::<Vec<u64>>(), [1, 40, 40, 41], "{last:#}");
    assert!(kinds(&last).is_empty(), "{last:#}");
    assert_eq!(state(storage.path()), before);

    // Another file system has no hard links to this one.
    let fresh = Disk::of(24);
    let outside = fresh.from_outside();
    fs::write(outside.join("portpass.yml"), configuration(&fresh.path().join("data"))).unwrap();
    let refused = on(&fresh, &["import", "storage", path, "--link"]);
    let told = &refused.expect_failure().stderr;
    assert!(told.contains("another file system") && told.contains("--in-place"), "{refused}");
    let pointed = json(&on(&fresh, &["import", "storage", path, "--in-place", "--json"]));
    assert_eq!(counts(&pointed), [1, 40, 40, 41]);

    let out = fresh.path().join("out");
    fill(&outside, 1024);
    let export = ["export", out.to_str().unwrap(), "--format", "distribution"];
    let refused = on(&fresh, &export);
    assert!(refused.expect_failure().stderr.contains("No space left"), "{refused}");
    fs::remove_file(outside.join("ballast")).unwrap();
    on(&fresh, &export).expect_success();
}
