//! helm: charts in registries.

use std::{
    fs,
    path::{Path, PathBuf},
};

use portpass_protocol::Digest;

use super::{Client, Pulled, version_in};
use crate::{CommandOutput, Home, Image, Layout, RegistryAddress, run};

/// helm with a home of its own. It stores charts; images it does not know.
#[derive(Debug, Default)]
pub struct Helm {
    home: Home,
}

impl Helm {
    /// Where its credentials lie.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Runs `helm ARGUMENTS`.
    pub fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.run_with_input(arguments, "")
    }

    fn run_with_input(&self, arguments: &[&str], input: &str) -> CommandOutput {
        run(self.home.command(program()).args(arguments), input)
    }

    /// A chart whose name and version are the repository's last part and the tag.
    fn chart(&self, name: &str, version: &str) -> PathBuf {
        let folder = self.home.path().join("charts").join(name);
        fs::create_dir_all(folder.join("templates")).expect("a folder");
        let chart = format!("apiVersion: v2\nname: {name}\nversion: {version}\n");
        fs::write(folder.join("Chart.yaml"), chart).expect("a chart");
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: greeting }\n";
        fs::write(folder.join("templates/greeting.yaml"), map).expect("a template");
        let package = ["package", &folder.to_string_lossy(), "--destination", "packages"];
        self.run(&package).expect_success();
        self.home.path().join(format!("packages/{name}-{version}.tgz"))
    }
}

impl Client for Helm {
    fn name(&self) -> &'static str {
        "helm"
    }

    fn version(&self) -> String {
        version_in(&self.run(&["version", "--template", "{{.Version}}"]))
    }

    fn login(
        &mut self,
        place: &RegistryAddress,
        account: &str,
        password: &str,
    ) -> Option<CommandOutput> {
        let flags = flags(place);
        let mut arguments = vec!["registry", "login"];
        arguments.extend(flags.iter().map(String::as_str));
        arguments.extend(["--username", account, "--password-stdin", &place.host]);
        Some(self.run_with_input(&arguments, password))
    }

    /// Charts have nothing to do with the layout: one is made.
    fn push(&self, _: &Layout, to: &Image) -> CommandOutput {
        let (folder, name) = parts(to);
        let package = self.chart(&name, to.tag());
        let flags = flags(&to.place);
        let mut arguments = vec!["push"];
        arguments.extend(flags.iter().map(String::as_str));
        let package = package.to_string_lossy();
        arguments.extend([package.as_ref(), folder.as_str()]);
        self.run(&arguments)
    }

    fn pull(&self, from: &Image) -> Pulled {
        let (folder, name) = parts(from);
        let (chart, flags) = (format!("{folder}/{name}"), flags(&from.place));
        let mut arguments = vec!["pull", "--destination", "pulled", "--version", from.tag()];
        arguments.extend(flags.iter().map(String::as_str));
        arguments.push(&chart);
        fs::create_dir_all(self.home.path().join("pulled")).expect("a folder");
        let ran = self.run(&arguments);
        if ran.success {
            let file = format!("{name}-{}.tgz", from.tag());
            let same = |folder: &str| digest_of(&self.home.path().join(folder).join(&file));
            assert_eq!(same("packages"), same("pulled"), "the chart came back changed");
        }
        // `Digest: sha256:…` stands in what it says.
        let digest = ran.output();
        Pulled { ran, digest }
    }

    /// A range of versions is looked up in the list of tags.
    fn list(&self, image: &Image) -> Option<CommandOutput> {
        let (folder, name) = parts(image);
        let (chart, flags) = (format!("{folder}/{name}"), flags(&image.place));
        let mut arguments = vec!["show", "chart", "--version", ">=0.0.1"];
        arguments.extend(flags.iter().map(String::as_str));
        arguments.push(&chart);
        Some(self.run(&arguments))
    }
}

/// `oci://HOST:PORT/NAMESPACE`, and the chart's name.
fn parts(image: &Image) -> (String, String) {
    let (namespace, name) = image.repository().rsplit_once('/').expect("a chart has a namespace");
    (format!("oci://{}/{namespace}", image.place.host), name.to_owned())
}

fn flags(place: &RegistryAddress) -> Vec<String> {
    match place.authority() {
        None => vec!["--plain-http".to_owned()],
        Some(file) => vec!["--ca-file".to_owned(), file.to_string_lossy().into_owned()],
    }
}

fn digest_of(file: &Path) -> Digest {
    Digest::sha256(&fs::read(file).expect("a chart's package"))
}

/// Where `cargo xtask setup` puts what is no Debian package.
fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/helm")
}
