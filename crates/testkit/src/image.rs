//! Images made from nothing: an OCI image layout (image specification, "Image Layout") on disk.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use portpass_protocol::Digest;
use serde_json::{Value, json};

use crate::{Home, run};

/// A folder in the OCI image layout, with one tag in it.
#[derive(Debug)]
pub struct Layout {
    folder: PathBuf,
}

impl Layout {
    /// The one tag that these layouts have.
    pub const TAG: &'static str = "v1";

    /// An image of one layer with busybox in it; it runs and prints `greeting`.
    ///
    /// # Panics
    /// If busybox is not installed or the folder cannot be written.
    pub fn runnable(folder: &Path, greeting: &str) -> Self {
        let layout = Self::create(folder);
        let layer = busybox_layer(folder, greeting);
        let manifest = layout.image(&[layer], "amd64");
        layout.index_of(&[tagged(manifest)]);
        layout
    }

    /// An image of several layers that no compression makes smaller, of `size` bytes each.
    ///
    /// # Panics
    /// If the folder cannot be written.
    pub fn large(folder: &Path, layers: u64, size: usize) -> Self {
        let layout = Self::create(folder);
        let layers: Vec<Layer> = (0..layers)
            .map(|number| layer_with(folder, "noise", &noise(number + 1, size)))
            .collect();
        let manifest = layout.image(&layers, "amd64");
        layout.index_of(&[tagged(manifest)]);
        layout
    }

    /// An image of one layer with a file of `size` bytes for each seed; files of one seed are alike, and no compression
    /// makes them smaller.
    ///
    /// # Panics
    /// If the folder cannot be written.
    pub fn of_files(folder: &Path, seeds: impl IntoIterator<Item = u64>, size: usize) -> Self {
        let layout = Self::create(folder);
        let root = folder.join("root");
        fs::create_dir_all(&root).expect("a folder");
        for (number, seed) in seeds.into_iter().enumerate() {
            fs::write(root.join(number.to_string()), noise(seed + 1, size)).expect("a file");
        }
        let layer = layer_of(&root);
        fs::remove_dir_all(&root).expect("the folder goes");
        layout.index_of(&[tagged(layout.image(&[layer], "amd64"))]);
        layout
    }

    /// An index of one image for each architecture, every one with a layer of its own.
    ///
    /// # Panics
    /// If the folder cannot be written.
    pub fn multi_arch(folder: &Path, architectures: &[&str]) -> Self {
        let layout = Self::create(folder);
        let manifests: Vec<Value> = architectures
            .iter()
            .map(|architecture| {
                let layer = layer_with(folder, "architecture", architecture.as_bytes());
                let mut manifest = layout.image(&[layer], architecture);
                manifest["platform"] = json!({ "os": "linux", "architecture": architecture });
                manifest
            })
            .collect();
        let index = layout.put_json(
            INDEX,
            &json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests }),
        );
        layout.index_of(&[tagged(index)]);
        layout
    }

    /// An index of one image for each architecture, every one of several layers that nothing makes
    /// smaller; the first layer is the same in all.
    ///
    /// # Panics
    /// If the folder cannot be written.
    pub fn large_multi_arch(
        folder: &Path,
        architectures: &[&str],
        layers: u64,
        size: usize,
    ) -> Self {
        let layout = Self::create(folder);
        let images = (0..).step_by(100).zip(architectures).map(|(first, architecture)| {
            let layers: Vec<Layer> = (0..layers)
                .map(|number| if number == 0 { 0 } else { first + number })
                .map(|seed| layer_with(folder, "noise", &noise(seed + 1, size)))
                .collect();
            let mut manifest = layout.image(&layers, architecture);
            manifest["platform"] = json!({ "os": "linux", "architecture": architecture });
            manifest
        });
        let manifests: Vec<Value> = images.collect();
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        layout.index_of(&[tagged(layout.put_json(INDEX, &index))]);
        layout
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `oci:FOLDER:TAG`, as skopeo writes it.
    pub fn reference(&self) -> String {
        format!("oci:{}:{}", self.folder.display(), Self::TAG)
    }

    /// `oci:layout:TAG`, for a client that is at home there: some make a name of images out of the path,
    /// and names have no upper case.
    ///
    /// # Panics
    /// If no link can be made in the home.
    pub fn reference_at(&self, home: &Home) -> String {
        let link = home.path().join("layout");
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(&self.folder, link).expect("a link to the layout");
        format!("oci:layout:{}", Self::TAG)
    }

    /// Writes the folder as it is into one tar archive.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn archive(&self, file: &Path) {
        let mut command = Command::new("tar");
        command.arg("--create").arg("--file").arg(file).arg("--directory").arg(&self.folder);
        run(command.args(["oci-layout", "index.json", "blobs"]), "").expect_success();
    }

    /// The architectures of its index, in order; none if it holds one image alone.
    ///
    /// # Panics
    /// If the folder is no layout.
    pub fn architectures(&self) -> Vec<String> {
        let digest = Self::digest_of_tag(&self.folder);
        let index = fs::read(self.folder.join("blobs/sha256").join(digest.hex())).expect("a blob");
        let index: Value = serde_json::from_slice(&index).expect("JSON in the tagged blob");
        let manifests = index["manifests"].as_array().into_iter().flatten();
        let words = manifests.filter_map(|manifest| manifest["platform"]["architecture"].as_str());
        words.map(str::to_owned).collect()
    }

    /// The digest that the tag of a layout points at.
    ///
    /// # Panics
    /// If the folder is no layout.
    pub fn digest_of_tag(folder: &Path) -> Digest {
        let index = fs::read_to_string(folder.join("index.json")).expect("an index.json");
        let index: Value = serde_json::from_str(&index).expect("JSON in index.json");
        let digest = index["manifests"][0]["digest"].as_str().expect("a digest");
        digest.parse().expect("a well-formed digest")
    }

    /// The names of all blobs, sorted.
    ///
    /// # Panics
    /// If the folder is no layout.
    pub fn blobs(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder.join("blobs/sha256")).expect("a folder of blobs");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn create(folder: &Path) -> Self {
        fs::create_dir_all(folder.join("blobs/sha256")).expect("a folder for blobs");
        fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a file");
        Self { folder: folder.to_owned() }
    }

    fn image(&self, layers: &[Layer], architecture: &str) -> Value {
        let diff_ids: Vec<String> =
            layers.iter().map(|layer| Digest::sha256(&layer.tar).to_string()).collect();
        let configuration = json!({
            "architecture": architecture,
            "os": "linux",
            "config": { "Cmd": ["/bin/sh", "-c", "cat /greeting"] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let configuration =
            self.put_json("application/vnd.oci.image.config.v1+json", &configuration);
        let layers: Vec<Value> = layers
            .iter()
            .map(|layer| {
                self.put_as("application/vnd.oci.image.layer.v1.tar+gzip", &layer.compressed)
            })
            .collect();
        self.put_json(
            MANIFEST,
            &json!({
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": configuration,
                "layers": layers,
            }),
        )
    }

    /// Stores a blob; gives its descriptor.
    fn put_as(&self, media_type: &str, content: &[u8]) -> Value {
        let digest = Digest::sha256(content);
        let file = self.folder.join("blobs/sha256").join(digest.hex());
        fs::write(file, content).expect("a blob");
        json!({ "mediaType": media_type, "digest": digest.to_string(), "size": content.len() })
    }

    fn put_json(&self, media_type: &str, content: &Value) -> Value {
        self.put_as(media_type, content.to_string().as_bytes())
    }

    fn index_of(&self, manifests: &[Value]) {
        let index = json!({ "schemaVersion": 2, "manifests": manifests });
        fs::write(self.folder.join("index.json"), index.to_string()).expect("an index.json");
    }
}

/// A layer before and after compression: clients that find it plain would compress it themselves.
struct Layer {
    tar: Vec<u8>,
    compressed: Vec<u8>,
}

fn tagged(mut descriptor: Value) -> Value {
    descriptor["annotations"] = json!({ "org.opencontainers.image.ref.name": Layout::TAG });
    descriptor
}

/// A root file system: `/bin/busybox`, `/bin/sh`, `/bin/cat` and `/greeting`.
fn busybox_layer(scratch: &Path, greeting: &str) -> Layer {
    let root = scratch.join("root");
    fs::create_dir_all(root.join("bin")).expect("a root file system");
    let busybox = ["/usr/bin/busybox", "/bin/busybox"].iter().find(|file| Path::new(file).exists());
    let busybox = busybox.expect("busybox is installed; `cargo xtask setup` installs it");
    fs::copy(busybox, root.join("bin/busybox")).expect("a copy of busybox");
    for name in ["sh", "cat"] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).expect("a link");
    }
    fs::write(root.join("greeting"), greeting).expect("a greeting");
    let layer = layer_of(&root);
    fs::remove_dir_all(&root).expect("the root file system goes");
    layer
}

fn layer_with(scratch: &Path, name: &str, content: &[u8]) -> Layer {
    let root = scratch.join("root");
    fs::create_dir_all(&root).expect("a folder");
    fs::write(root.join(name), content).expect("a file");
    let layer = layer_of(&root);
    fs::remove_dir_all(&root).expect("the folder goes");
    layer
}

/// Bytes that look random and are the same each time (xorshift64).
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(size).collect()
}

fn layer_of(root: &Path) -> Layer {
    let file = root.with_extension("tar");
    let mut command = Command::new("tar");
    command
        .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"])
        .arg("--create")
        .arg("--file")
        .arg(&file)
        .arg("--directory")
        .arg(root)
        .arg(".");
    run(&mut command, "").expect_success();
    let tar = fs::read(&file).expect("the tar that was just made");
    // Without its name and time, so that the same content has the same digest each time.
    run(Command::new("gzip").arg("--no-name").arg(&file), "").expect_success();
    let gzip = file.with_extension("tar.gz");
    let compressed = fs::read(&gzip).expect("the gzip that was just made");
    fs::remove_file(&gzip).expect("the gzip goes");
    Layer { tar, compressed }
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
