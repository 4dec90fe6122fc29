//! The Debian packages that the end-to-end tests run.

use std::{fs, path::Path, process::Command};

use crate::{Failure, run, say};

/// A program that a test starts, or a file that it reads, and the package that has it.
type Needed = (&'static str, &'static str);

/// What `cargo xtask test` needs.
pub(crate) const FOR_TESTS: &[Needed] = &[
    ("dockerd", "docker.io"),
    ("docker", "docker.io"),
    ("runc", "runc"),
    ("docker-registry", "docker-registry"),
    ("nginx", "nginx-light"),
    ("htpasswd", "apache2-utils"),
    ("openssl", "openssl"),
    ("faketime", "faketime"),
    ("fiu-ctrl", "fiu-utils"),
    ("/usr/lib/fiu/fiu_posix_preload.so", "fiu-utils"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("prlimit", "util-linux"),
    ("/usr/bin/python3", "python3"),
    ("/usr/lib/python3/dist-packages/jwt", "python3-jwt"),
    ("/usr/lib/python3/dist-packages/cryptography", "python3-cryptography"),
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("skopeo", "skopeo"),
    ("umoci", "umoci"),
    ("buildah", "buildah"),
    ("podman", "podman"),
    ("busybox", "busybox-static"),
    ("chromium", "chromium"),
    ("update-ca-certificates", "ca-certificates"),
    ("slapd", "slapd"),
    ("ldapadd", "ldap-utils"),
    ("samba", "samba"),
    ("/usr/share/samba/setup/idmap_init.ldif", "samba-ad-provision"),
    ("/usr/share/doc/samba-dsdb-modules/copyright", "samba-dsdb-modules"),
    ("/usr/share/doc/samba-vfs-modules/copyright", "samba-vfs-modules"),
    ("winbindd", "winbind"),
];

/// What `cargo xtask interop` needs of this machine; the clients are in a Debian of their own.
pub(crate) const FOR_INTEROP: &[Needed] = &[
    ("debootstrap", "debootstrap"),
    ("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring"),
    ("unshare", "util-linux"),
    ("busybox", "busybox-static"),
];

/// What `cargo xtask bench` needs beside what the tests need.
pub(crate) const FOR_BENCH: &[Needed] = &[("wrk", "wrk"), ("/usr/bin/time", "time")];

/// Installs the packages whose programs are missing.
///
/// # Errors
/// When something is missing and this user may not install it: the tests would fail later, and say
/// less.
pub(crate) fn install(needed: &[Needed]) -> Result<(), Failure> {
    let mut missing: Vec<&str> =
        needed.iter().filter(|(needed, _)| !is_here(needed)).map(|(_, package)| *package).collect();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !is_root() {
        return Err(Failure(format!(
            "the tests need programs that are not here; run as root: apt-get install --no-install-recommends {list}"
        )));
    }
    say(&format!("installing {list}"));
    let _guard = NoServices::forbid();
    run(Command::new("apt-get").args(["update", "-q"]))?;
    run(Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-y", "-q", "--no-install-recommends"])
        .args(&missing))
}

fn is_here(needed: &str) -> bool {
    Path::new(needed).is_absolute() && Path::new(needed).exists() || on_path(needed)
}

fn on_path(program: &str) -> bool {
    // Daemons live in sbin, which is not on everybody's path.
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([Path::new("/usr/sbin").into(), Path::new("/sbin").into()])
        .any(|folder| folder.join(program).is_file())
}

pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Keeps packages from starting their services while they are installed (Debian's `policy-rc.d`).
struct NoServices {
    ours: bool,
}

impl NoServices {
    const FILE: &str = "/usr/sbin/policy-rc.d";

    fn forbid() -> Self {
        let ours = !Path::new(Self::FILE).exists() && write_policy(Self::FILE);
        Self { ours }
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            // A file that stays behind only keeps later packages from starting services.
            let _ = fs::remove_file(Self::FILE);
        }
    }
}

/// A `policy-rc.d` that starts nothing.
pub(crate) fn write_policy(file: impl AsRef<Path>) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(&file, "#!/bin/sh\nexit 101\n").is_ok()
        && fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).is_ok()
}
