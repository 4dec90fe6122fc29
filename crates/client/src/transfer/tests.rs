//! The engine between two places that exist only here: they count, break off and lie as told.

use std::{collections::BTreeMap, fmt, io};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};

use super::*;

mod companions;

/// Everything that is kept under a digest, and the source's and the target's log.
#[derive(Debug, Default)]
struct Store {
    things: Mutex<BTreeMap<Digest, Bytes>>,
    root: Option<VerifiedManifest>,
    /// Blobs that break off so many more times, after so many bytes.
    breaks: Mutex<BTreeMap<Digest, (u32, usize)>>,
    /// What a target keeps of a blob that broke off.
    parts: Mutex<BTreeMap<Digest, Vec<u8>>>,
    mounts: Vec<Digest>,
    /// A registry takes no image without its blobs.
    whole_images: bool,
    /// A folder takes an index without its images.
    sparse: bool,
    companions: BTreeMap<Digest, Vec<Companion>>,
    log: Mutex<Vec<String>>,
}

impl Store {
    fn keep(&self, content: &[u8]) -> Descriptor {
        let digest = Digest::sha256(content);
        self.things.lock().unwrap().insert(digest, Bytes::copy_from_slice(content));
        Descriptor { media_type: LAYER.to_owned(), digest, size: content.len() as u64 }
    }

    fn image(&self, architecture: &str, layers: &[&str]) -> Descriptor {
        let config = json!({ "os": "linux", "architecture": architecture }).to_string();
        let config = self.keep(config.as_bytes());
        let layers: Vec<Value> =
            layers.iter().map(|layer| described(&self.keep(layer.as_bytes()))).collect();
        let text = json!({
            "schemaVersion": 2,
            "config": described(&config),
            "layers": layers,
        });
        let kept = self.keep(text.to_string().as_bytes());
        Descriptor { media_type: MediaType::OciManifest.to_string(), ..kept }
    }

    fn index(&self, images: &[(&str, &Descriptor)]) -> Descriptor {
        let images: Vec<Value> = images
            .iter()
            .map(|(architecture, image)| {
                let mut entry = described(image);
                entry["platform"] = json!({ "os": "linux", "architecture": architecture });
                entry
            })
            .collect();
        let text = json!({ "schemaVersion": 2, "manifests": images }).to_string();
        let kept = self.keep(text.as_bytes());
        Descriptor { media_type: MediaType::OciIndex.to_string(), ..kept }
    }

    fn rooted(mut self, root: &Descriptor) -> Self {
        self.root = Some(self.checked(root).unwrap());
        self
    }

    fn checked(&self, wanted: &Descriptor) -> Result<VerifiedManifest, Error> {
        let bytes = self.things.lock().unwrap()[&wanted.digest].clone();
        let media_type = MediaType::from_content_type(&wanted.media_type).unwrap();
        VerifiedManifest::read_described(bytes, media_type, wanted)
    }

    fn note(&self, what: impl fmt::Display, digest: &Digest) {
        self.log.lock().unwrap().push(format!("{what} {}", &digest.hex()[..8]));
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    fn has(&self, digest: &Digest) -> bool {
        self.things.lock().unwrap().contains_key(digest)
    }
}

fn described(descriptor: &Descriptor) -> Value {
    json!({
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    })
}

#[async_trait]
impl Source for Store {
    async fn root(&self) -> Result<VerifiedManifest, Error> {
        Ok(self.root.clone().unwrap())
    }

    async fn manifest(&self, wanted: &Descriptor) -> Result<VerifiedManifest, Error> {
        self.note("manifest", &wanted.digest);
        self.checked(wanted)
    }

    async fn blob(&self, wanted: &Descriptor, from: u64) -> Result<Content, Error> {
        self.note(format_args!("blob from {from}"), &wanted.digest);
        let bytes = self.things.lock().unwrap()[&wanted.digest].clone();
        let bytes = bytes.slice(usize::try_from(from).unwrap()..);
        let mut breaks = self.breaks.lock().unwrap();
        let pieces = match breaks.get_mut(&wanted.digest) {
            Some((left, after)) if *left > 0 => {
                *left -= 1;
                vec![Ok(bytes.slice(..*after)), Err(io::Error::other("the line is dead"))]
            }
            _ => vec![Ok(bytes)],
        };
        Ok(stream::iter(pieces).boxed())
    }

    async fn companions(&self, subject: &Digest) -> Result<Vec<Companion>, Error> {
        Ok(self.companions.get(subject).cloned().unwrap_or_default())
    }
}

#[derive(Debug)]
struct CredentialSource {
    store: Arc<Store>,
    blob: Descriptor,
    part: Vec<u8>,
}

#[async_trait]
impl BlobWriter for CredentialSource {
    fn offset(&self) -> u64 {
        self.part.len() as u64
    }

    async fn write_all(self: Box<Self>, mut content: Content) -> Result<(), Error> {
        let Self { store, blob, mut part } = *self;
        while let Some(piece) = content.next().await {
            let Ok(piece) = piece else {
                store.parts.lock().unwrap().insert(blob.digest, part);
                let Descriptor { digest, size, .. } = blob;
                // As a registry would: it does not know why.
                return Err(Error::Length { digest, expected: size, found: 0 });
            };
            part.extend_from_slice(&piece);
        }
        store.note("took", &blob.digest);
        store.keep(&part);
        Ok(())
    }
}

/// A target, and how often it is patient.
#[derive(Debug)]
struct Into(Arc<Store>, u32);

#[async_trait]
impl Target for Into {
    async fn presence(&self, manifest: &Descriptor) -> Result<Presence, Error> {
        let Self(store, _) = self;
        let is_index = manifest.media_type == MediaType::OciIndex.as_str();
        Ok(match store.has(&manifest.digest) {
            false => Presence::Absent,
            true if store.whole_images && !is_index => Presence::Complete,
            true => Presence::ManifestOnly,
        })
    }

    async fn offer(&self, blob: &Descriptor) -> Result<BlobOffer, Error> {
        let Self(store, _) = self;
        if store.has(&blob.digest) {
            return Ok(BlobOffer::Present);
        }
        if store.mounts.contains(&blob.digest) {
            return Ok(BlobOffer::Mounted);
        }
        let part = store.parts.lock().unwrap().remove(&blob.digest).unwrap_or_default();
        let place = CredentialSource { store: Arc::clone(store), blob: blob.clone(), part };
        Ok(BlobOffer::Missing(Box::new(place)))
    }

    async fn put(&self, manifest: &VerifiedManifest) -> Result<(), Error> {
        self.0.note("put", manifest.digest());
        for blob in manifest.links().blobs() {
            let there = self.0.has(&blob.digest) || self.0.mounts.contains(&blob.digest);
            assert!(there, "a manifest came before its blobs");
        }
        self.0.keep(manifest.bytes());
        Ok(())
    }

    async fn attach(&self, companion: &Companion, _: &VerifiedManifest) -> Result<(), Error> {
        self.0.note("attach", &companion.descriptor().digest);
        Ok(())
    }

    async fn name(&self, root: &VerifiedManifest) -> Result<NameChange, Error> {
        for image in &root.links().manifests {
            let there = self.0.sparse || self.0.has(&image.digest);
            assert!(there, "an index came before its images");
        }
        self.put(root).await?;
        self.0.note("named", root.digest());
        Ok(NameChange::Updated)
    }

    fn max_attempts(&self) -> u32 {
        self.1
    }
}

fn transfer<'a>(source: &'a Store, target: &'a Into, selection: Selection) -> Transfer<'a> {
    let jobs = NonZeroUsize::new(3).unwrap();
    let progress = Arc::new(NoProgress);
    let companions = Companions::LeftOut;
    Transfer { source, target, selection, companions, jobs, pause: Duration::ZERO, progress }
}

fn target(store: Store) -> Into {
    Into(Arc::new(store), 5)
}

/// Two images with one layer in common.
fn two_platforms() -> Store {
    let store = Store::default();
    let amd64 = store.image("amd64", &["common", "layer of amd64"]);
    let arm64 = store.image("arm64", &["common", "layer of arm64"]);
    let index = store.index(&[("amd64", &amd64), ("arm64", &arm64)]);
    store.rooted(&index)
}

fn count(log: &[String], beginning: &str) -> usize {
    log.iter().filter(|line| line.starts_with(beginning)).count()
}

#[tokio::test]
async fn an_index_goes_with_all_its_images_and_each_blob_once() {
    let (source, target) = (two_platforms(), target(Store::default()));
    let done = transfer(&source, &target, Selection::Everything).run().await.unwrap();
    // Two configs, three layers.
    assert_eq!(done.blobs.transferred, 5);
    assert_eq!(done.manifests, 3);
    assert_eq!(count(&source.log(), "blob"), 5);
    assert_eq!(*target.0.things.lock().unwrap(), *source.things.lock().unwrap());
    assert!(target.0.log().last().unwrap().starts_with("named"));
    let bytes: usize = done.blobs.bytes.try_into().unwrap();
    assert!(bytes > "common".len() * 3);
}

#[tokio::test]
async fn what_the_target_has_is_not_sent_again() {
    let (source, first) = (two_platforms(), target(Store::default()));
    transfer(&source, &first, Selection::Everything).run().await.unwrap();
    source.log.lock().unwrap().clear();
    let done = transfer(&source, &first, Selection::Everything).run().await.unwrap();
    assert_eq!((done.blobs.transferred, done.blobs.held), (0, 5));
    assert_eq!(count(&source.log(), "blob"), 0);
    // A registry's word for an image is enough: its manifest is not even fetched.
    let things = Mutex::new(first.0.things.lock().unwrap().clone());
    let registry = target(Store { things, whole_images: true, ..Store::default() });
    source.log.lock().unwrap().clear();
    transfer(&source, &registry, Selection::Everything).run().await.unwrap();
    assert_eq!(source.log(), Vec::<String>::new());
}

#[tokio::test]
async fn what_can_be_mounted_is_not_sent() {
    let source = two_platforms();
    let common = Digest::sha256(b"common");
    let target = target(Store { mounts: vec![common], ..Store::default() });
    let done = transfer(&source, &target, Selection::Everything).run().await.unwrap();
    assert_eq!((done.blobs.transferred, done.blobs.mounted), (4, 1));
}

#[tokio::test]
async fn a_blob_that_breaks_off_is_gone_on_from() {
    let mut source = two_platforms();
    let layer = Digest::sha256(b"layer of arm64");
    source.breaks = Mutex::new([(layer, (2, 3))].into());
    let target = target(Store::default());
    transfer(&source, &target, Selection::Everything).run().await.unwrap();
    let log = source.log();
    for from in [0, 3, 6] {
        assert_eq!(count(&log, &format!("blob from {from} {}", &layer.hex()[..8])), 1, "{log:?}");
    }
}

#[tokio::test]
async fn patience_ends_and_the_source_says_why() {
    let mut source = two_platforms();
    source.breaks = Mutex::new([(Digest::sha256(b"common"), (9, 0))].into());
    let target = Into(Arc::default(), 2);
    let error = transfer(&source, &target, Selection::Everything).run().await.unwrap_err();
    assert!(error.to_string().ends_with(" ended early: the line is dead"), "{error}");
    let common = format!("blob from 0 {}", &Digest::sha256(b"common").hex()[..8]);
    assert_eq!(count(&source.log(), &common), 2);
    assert_eq!(count(&target.0.log(), "named"), 0);
}

#[tokio::test]
async fn one_platform_of_an_index_is_the_image_itself() {
    let (source, target) = (two_platforms(), target(Store::default()));
    let selection = Selection::Only("linux/arm64".parse().unwrap());
    let done = transfer(&source, &target, selection).run().await.unwrap();
    assert_eq!(done.media_type, MediaType::OciManifest);
    assert_eq!((done.manifests, done.blobs.transferred), (1, 3));
    assert!(!target.0.has(&Digest::sha256(b"layer of amd64")));
}

#[tokio::test]
async fn an_image_for_another_platform_is_not_taken_for_the_one_asked_for() {
    let store = Store::default();
    let image = store.image("amd64", &["layer"]);
    let (source, target) = (store.rooted(&image), target(Store::default()));
    let arm: Platform = "linux/arm/v7".parse().unwrap();
    let asked = transfer(&source, &target, Selection::Only(arm.clone())).run().await;
    insta::assert_snapshot!(asked.unwrap_err(), @"the image is for linux/amd64, not for linux/arm/v7");
    transfer(&source, &target, Selection::OnlyOfIndex(arm)).run().await.unwrap();
    let amd: Platform = "linux/amd64".parse().unwrap();
    transfer(&source, &target, Selection::Only(amd)).run().await.unwrap();
}

/// GHSA-qq97-vm5h-rrhg: what one reader takes for an image and another for an index.
#[tokio::test]
async fn a_manifest_of_two_kinds_is_not_passed_on() {
    let store = Store::default();
    let image = store.image("amd64", &["layer"]);
    let text = store.things.lock().unwrap()[&image.digest].clone();
    let as_index = Descriptor { media_type: MediaType::OciIndex.to_string(), ..image.clone() };
    let error = VerifiedManifest::read_described(text.clone(), MediaType::OciManifest, &as_index)
        .unwrap_err();
    assert!(matches!(error, Error::MediaTypeMismatch { .. }), "{error}");
    let error =
        VerifiedManifest::read_described(text.clone(), MediaType::OciIndex, &as_index).unwrap_err();
    assert!(matches!(error, Error::Manifest { .. }), "{error}");
    let longer = Descriptor { size: image.size + 1, ..image.clone() };
    let error = VerifiedManifest::read_described(text.clone(), MediaType::OciManifest, &longer)
        .unwrap_err();
    assert!(matches!(error, Error::Length { .. }), "{error}");
    let other = Digest::sha256(b"other");
    let error = VerifiedManifest::read(text, MediaType::OciManifest, Some(&other)).unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
    let huge = Bytes::from(vec![b' '; portpass_protocol::manifest::MAX_LENGTH + 1]);
    let error = VerifiedManifest::read(huge, MediaType::OciManifest, None).unwrap_err();
    assert!(matches!(error, Error::Manifest { .. }), "{error}");
}

#[tokio::test]
async fn indexes_below_indexes_are_followed_to_an_end() {
    let store = Store::default();
    let image = store.image("amd64", &["layer"]);
    let mut nested = store.index(&[("amd64", &image)]);
    for _ in 0..3 {
        nested = store.index(&[("amd64", &nested)]);
    }
    let good = store.rooted(&nested);
    let into = target(Store::default());
    let done = transfer(&good, &into, Selection::Everything).run().await.unwrap();
    assert_eq!(done.manifests, 5);
    let deeper = good.index(&[("amd64", &nested)]);
    let deep = good.rooted(&deeper);
    let error = transfer(&deep, &target(Store::default()), Selection::Everything).run().await;
    assert!(matches!(error, Err(Error::LimitExceeded { .. })), "{error:?}");
    let amd = Selection::Only("linux/amd64".parse().unwrap());
    let error = transfer(&deep, &target(Store::default()), amd).run().await;
    assert!(matches!(error, Err(Error::LimitExceeded { .. })), "{error:?}");
}

/// Each is short, and together they name the image more than four thousand million times.
#[tokio::test]
async fn an_image_that_is_named_often_is_looked_at_once() {
    let store = Store::default();
    let image = store.image("amd64", &["layer"]);
    let mut nested = image.clone();
    for _ in 0..4 {
        nested = store.index(&vec![("amd64", &nested); 256]);
    }
    let (bomb, into) = (store.rooted(&nested), target(Store::default()));
    let done = transfer(&bomb, &into, Selection::Everything).run().await.unwrap();
    assert_eq!((done.manifests, done.blobs.transferred), (5, 2));
    assert_eq!(count(&bomb.log(), "manifest"), 4);
}

#[tokio::test]
async fn an_index_with_more_below_it_than_any_has_is_refused() {
    let store = Store::default();
    let number = AtomicU64::new(0);
    let index = |_| {
        let images: Vec<Descriptor> = (0..1000)
            .map(|_| store.image(&number.fetch_add(1, Ordering::Relaxed).to_string(), &[]))
            .collect();
        let images: Vec<_> = images.iter().map(|image| ("amd64", image)).collect();
        store.index(&images)
    };
    let indexes: Vec<Descriptor> = (0..17).map(index).collect();
    let indexes: Vec<_> = indexes.iter().map(|index| ("amd64", index)).collect();
    let root = store.index(&indexes);
    let source = store.rooted(&root);
    let done = transfer(&source, &target(Store::default()), Selection::Everything).run().await;
    let error = done.unwrap_err().to_string();
    assert!(error.ends_with("exceeds the limit of 16384 images in all"), "{error}");
}

/// What has the digest has one length: a layer of another one is not taken for it.
#[tokio::test]
async fn a_layer_that_is_said_to_be_longer_is_another_one() {
    let store = Store::default();
    let layer = store.keep(b"layer");
    let longer = Descriptor { size: layer.size + 1, ..layer.clone() };
    let config = store.keep(b"{}");
    let text = json!({
        "schemaVersion": 2,
        "config": described(&config),
        "layers": [described(&layer), described(&longer)],
    });
    let kept = store.keep(text.to_string().as_bytes());
    let image = Descriptor { media_type: MediaType::OciManifest.to_string(), ..kept };
    let source = store.rooted(&image);
    let folder = tempfile::tempdir().unwrap();
    let into = crate::layout::Folder::create(folder.path(), None).unwrap();
    let transfer = Transfer { pause: Duration::ZERO, ..Transfer::new(&source, &into) };
    let error = transfer.run().await.unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. } | Error::Length { .. }), "{error}");
}

#[tokio::test]
async fn what_is_not_the_digest_that_was_named_is_not_sent() {
    use portpass_testkit::http::reply;

    use crate::fixture::Fixture;
    let stage = Fixture::start(|_, _| reply(500, "")).await;
    let other = Digest::sha256(b"other");
    let image = format!("{}/app:v1@{other}", stage.registry.address).parse().unwrap();
    let (source, target) =
        (two_platforms(), RemoteImage::target(Arc::clone(&stage.session), &image));
    let error = Transfer::new(&source, &target).run().await.unwrap_err();
    assert!(
        matches!(error, Error::DigestMismatch { expected, .. } if expected == other),
        "{error}"
    );
    assert_eq!(stage.seen().len(), 0);
}

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
