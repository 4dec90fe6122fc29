//! A Debian 13 in a folder: its clients are newer than those of the machine that tests.

use std::{fs, path::Path, process::Command};

use crate::{
    Failure,
    packages::{is_root, write_policy},
    run, say,
};

/// Makes `target/tools/trixie`, once: a root file system with the clients in it.
///
/// # Errors
/// When this user is not root, or the mirror that apt knows does not have it.
pub(crate) fn install() -> Result<(), Failure> {
    if !is_root() {
        return Err(Failure("a Debian 13 in a folder is made and used by root alone".to_owned()));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/trixie");
    let whole = root.join(WHOLE);
    let list = PACKAGES.join(" ");
    if fs::read_to_string(&whole).is_ok_and(|installed| installed == list) {
        return Ok(());
    }
    // Half a root is no help, and one with other packages is another one.
    if root.exists() {
        fs::remove_dir_all(&root).map_err(|error| cannot("remove", &root, &error))?;
    }
    fs::create_dir_all(&root).map_err(|error| cannot("make", &root, &error))?;
    say("making a Debian 13 in target/tools/trixie; this takes some minutes");
    bootstrap(&root, &mirror()?)?;
    install_packages(&root)?;
    // Last, so that it stands for all of the above.
    fs::write(&whole, list).map_err(|error| cannot("write", &whole, &error))
}

/// The mirror that this machine installs its own packages from.
fn mirror() -> Result<String, Failure> {
    let targets = ["indextargets", "--format", "$(REPO_URI)"];
    let debian = ["Created-By: Packages", "Origin: Debian", "Label: Debian", "Component: main"];
    let output = Command::new("apt-get")
        .args(targets)
        .args(debian)
        .output()
        .map_err(|error| Failure(format!("apt-get cannot be started: {error}")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let mirror = said.lines().next().map(str::to_owned);
    mirror.ok_or_else(|| {
        Failure("the apt sources of this machine name no mirror of Debian".to_owned())
    })
}

fn bootstrap(root: &Path, mirror: &str) -> Result<(), Failure> {
    run(in_private_mounts("debootstrap")
        .args(["--variant=minbase", "trixie"])
        .arg(root)
        .arg(mirror))
}

fn install_packages(root: &Path) -> Result<(), Failure> {
    let policy = root.join("usr/sbin/policy-rc.d");
    if !write_policy(&policy) {
        return Err(Failure(format!("cannot write {}", policy.display())));
    }
    run(in_private_mounts("sh")
        .args(["-c", "mount -t proc proc \"$0/proc\" && exec chroot \"$0\" \"$@\""])
        .arg(root)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["apt-get", "install", "-y", "-q", "--no-install-recommends", KEEP_NOTHING])
        .args(PACKAGES))
}

/// What is mounted while the program runs is seen by it alone, and gone with it.
fn in_private_mounts(program: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", program]);
    command
}

fn cannot(act: &str, file: &Path, error: &std::io::Error) -> Failure {
    Failure(format!("cannot {act} {}: {error}", file.display()))
}

/// The archives are no use once they are unpacked.
const KEEP_NOTHING: &str = "-oAPT::Keep-Downloaded-Packages=false";

/// The file in the root that lists what was installed into it.
const WHOLE: &str = "whole";

/// The clients, and what they need to run containers.
const PACKAGES: &[&str] = &[
    "oras",
    "cosign",
    "skopeo",
    "buildah",
    "podman",
    "docker.io",
    "docker-cli",
    "docker-buildx",
    "containerd",
    "umoci",
    "ca-certificates",
    "crun",
];
