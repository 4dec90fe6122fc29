//! CFG-05: what clients' folders of certificates hold for this registry.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use portpass_client::{host::Host, trust::Bundle};

use crate::{Check, Finding, Needs, observations::Certificates, run::Run};

/// Files that are looked at in one folder, and how much of each.
const MAX_FILES: usize = 64;
const MAX_BYTES: u64 = 256 * 1024;

pub(super) async fn check(run: &mut Run) {
    let folders = run.inputs.local.certificate_folders.clone();
    let host = run.target.host.clone();
    let looked = tokio::task::spawn_blocking(move || look_into(&folders, &host)).await;
    let looked = looked.unwrap_or_default();
    run.record(looked.finding(&run.target.host));
    run.observed.certificates = looked.certificates;
}

/// What was found.
#[derive(Debug, Default)]
struct Looked {
    folders: Vec<PathBuf>,
    /// Folders and files for this registry.
    found: Vec<String>,
    /// What is in the right place, and of no use there.
    faults: Vec<String>,
    /// Folders that look like this registry's, under another name.
    near: Vec<PathBuf>,
    certificates: Certificates,
}

impl Looked {
    fn finding(&self, host: &Host) -> Finding {
        let place = format!(
            "docker: /etc/docker/certs.d/{host}/ca.crt; podman: /etc/containers/certs.d/{host}/ca.crt; containerd: /etc/containerd/certs.d/{host}/hosts.toml with `ca = \"…\"`, and `config_path` in its configuration; docker and podman read only *.crt files"
        );
        let finding = if let Some(fault) = self.faults.first() {
            Finding::warn(Check::Cfg05, fault.clone()).fix(place).rows(&["F12"])
        } else if self.found.is_empty() && !self.near.is_empty() {
            let near = self.near[0].display();
            Finding::warn(Check::Cfg05, format!("{near} exists, but no client reads it for {host}"))
                .fix(format!(
                    "name the folder exactly like the registry in the image name, with its port: {place}"
                ))
                .rows(&["F12"])
        } else if let Some(found) = self.found.first() {
            Finding::pass(Check::Cfg05, format!("{found} exists for {host}"))
        } else {
            Finding::skip(
                Check::Cfg05,
                Needs::Nothing("no client has certificates for this host, and few need them"),
            )
        };
        let looked = self.folders.iter().map(|folder| {
            let there = if folder.is_dir() { "" } else { ", which does not exist" };
            format!("looked in {}{there}", folder.display())
        });
        let found = self.found.iter().map(|found| format!("found {found}"));
        let near = self.near.iter().map(|near| format!("not read: {}", near.display()));
        let more = self.faults.iter().skip(1).cloned();
        looked.chain(found).chain(near).chain(more).fold(finding, Finding::evidence)
    }
}

fn look_into(folders: &[PathBuf], host: &Host) -> Looked {
    let mut looked = Looked { folders: folders.to_vec(), ..Looked::default() };
    for folder in folders {
        let Ok(children) = fs::read_dir(folder) else { continue };
        let before = looked.certificates.authorities.len();
        for child in children.flatten().take(MAX_FILES * 16) {
            let name = child.file_name().to_string_lossy().into_owned();
            let path = child.path();
            if !path.is_dir() {
                continue;
            }
            if names(host, is_containerd(folder)).contains(&name) {
                looked.read(&path);
            } else if host_of(&name) == host_of(&host.to_string()) {
                looked.near.push(path);
            }
        }
        if looked.certificates.authorities.len() == before {
            looked.certificates.without.push(folder.clone());
        }
    }
    looked
}

impl Looked {
    /// Looks at one registry's folder.
    fn read(&mut self, folder: &Path) {
        let Ok(children) = fs::read_dir(folder) else {
            self.faults.push(format!("{} cannot be read", folder.display()));
            return;
        };
        let mut files: Vec<PathBuf> =
            children.flatten().take(MAX_FILES).map(|child| child.path()).collect();
        files.sort();
        let is = |path: &Path, extension: &str| path.extension().is_some_and(|e| e == extension);
        for file in &files {
            if is(file, "crt") {
                self.authorities(file);
            } else if is(file, "pem") || is(file, "cer") {
                let rest = "is not read: docker and podman read only *.crt";
                if !files.iter().any(|other| is(other, "crt") || is(other, "toml")) {
                    self.faults.push(format!("{} {rest}", file.display()));
                }
            } else if is(file, "cert") && !files.contains(&file.with_extension("key")) {
                let rest = "has no .key beside it, so docker refuses the whole folder";
                self.faults.push(format!("{} {rest}", file.display()));
            } else if file.file_name().is_some_and(|name| name == "hosts.toml") {
                self.hosts_toml(folder, file);
            }
        }
    }

    fn authorities(&mut self, file: &Path) {
        let bundle = match read(file) {
            Ok(bytes) => Bundle::read(&bytes),
            Err(error) => {
                self.faults.push(format!("{} cannot be read: {error}", file.display()));
                return;
            }
        };
        self.faults.extend(bundle.faults_of(file));
        if !bundle.certificates.is_empty() {
            self.found.push(file.display().to_string());
        }
        let with_file = bundle.certificates.into_iter().map(|der| (der, file.to_owned()));
        self.certificates.authorities.extend(with_file);
    }

    /// Only what says `ca`; the rest is containerd's to read.
    fn hosts_toml(&mut self, folder: &Path, file: &Path) {
        self.found.push(file.display().to_string());
        let Ok(bytes) = read(file) else { return };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let values = text.lines().filter_map(|line| {
            let (name, value) = line.split('#').next()?.split_once('=')?;
            (name.trim() == "ca").then(|| value.to_owned())
        });
        for value in values {
            for path in value.split('"').skip(1).step_by(2) {
                self.authorities(&folder.join(path));
            }
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let opened = fs::File::open(file).map_err(|error| error.to_string())?;
    opened.take(MAX_BYTES).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// The folders' names that count for a registry.
fn names(host: &Host, containerd: bool) -> Vec<String> {
    let typed = host.to_string();
    let mut names = vec![typed.clone()];
    if containerd {
        // It writes a port as `_5000_` where a file system has no colons.
        if let Some((name, port)) = typed.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
            names.push(format!("{name}_{port}_"));
        }
        names.push("_default".to_owned());
    }
    names
}

fn is_containerd(folder: &Path) -> bool {
    folder.components().any(|part| part.as_os_str() == "containerd")
}

/// A folder's name without its port.
fn host_of(name: &str) -> String {
    let name = name.split_once('_').map_or(name, |(name, _)| name);
    let end = name.rfind(':').filter(|at| !name[*at..].contains(']')).unwrap_or(name.len());
    name[..end].to_ascii_lowercase()
}
