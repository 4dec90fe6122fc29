//! Whose fault it is: both sides of a transfer are watched, so that a failure names its side and the
//! image of an index.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use portpass_client::{
    Descriptor, Digest,
    transfer::{
        BlobOffer, BlobWriter, Companion, Content, Error, NameChange, Platform, Presence, Source,
        Target, VerifiedManifest,
    },
};
use serde_json::Value;

/// One side of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::command) enum Side {
    Source,
    Target,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

/// Where a failure comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::command) struct Origin {
    pub(in crate::command) side: Side,
    /// Of an index, the image that was copied.
    pub(in crate::command) platform: Option<String>,
}

/// What passed by, and what failed.
#[derive(Debug, Default)]
pub(in crate::command) struct Witness {
    /// For which platform an image is, and each of its blobs.
    platforms: Mutex<HashMap<Digest, String>>,
    faults: Mutex<Vec<Fault>>,
}

#[derive(Debug)]
struct Fault {
    said: String,
    side: Side,
    about: Option<Digest>,
}

impl Witness {
    /// The side that gave this error, and for which image.
    pub(in crate::command) fn origin(&self, error: &Error) -> Option<Origin> {
        let (said, faults) = (error.to_string(), self.faults.lock());
        let faults = faults.unwrap_or_else(PoisonError::into_inner);
        let fault = faults.iter().rev().find(|fault| fault.said == said);
        let side = match (error, fault) {
            // The target only sees that nothing came any more.
            (Error::Interrupted { .. } | Error::Source { .. }, _) => Side::Source,
            (_, Some(fault)) => fault.side,
            (_, None) => return None,
        };
        let about = match error {
            Error::Interrupted { digest, .. } | Error::Source { digest, .. } => Some(*digest),
            _ => fault.and_then(|fault| fault.about),
        };
        let platforms = self.platforms.lock().unwrap_or_else(PoisonError::into_inner);
        let platform = about.and_then(|digest| platforms.get(&digest).cloned());
        Some(Origin { side, platform })
    }

    fn noted<T>(
        &self,
        side: Side,
        about: Option<&Digest>,
        result: Result<T, Error>,
    ) -> Result<T, Error> {
        result.inspect_err(|error| {
            let fault = Fault { said: error.to_string(), side, about: about.copied() };
            self.faults.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
        })
    }

    /// Remembers for what the images of an index are, and the blobs of an image.
    fn passes(&self, manifest: &VerifiedManifest) {
        let links = manifest.links();
        let mut platforms = self.platforms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(platform) = platforms.get(manifest.digest()).cloned() {
            for blob in links.config.iter().chain(&links.layers) {
                platforms.entry(blob.digest).or_insert_with(|| platform.clone());
            }
        }
        if links.manifests.is_empty() {
            return;
        }
        let index: Value = serde_json::from_slice(manifest.bytes()).unwrap_or_default();
        for entry in index["manifests"].as_array().into_iter().flatten() {
            let digest = entry["digest"].as_str().and_then(|digest| digest.parse().ok());
            let platform: Option<Platform> =
                Platform::of_config(entry["platform"].to_string().as_bytes());
            if let (Some(digest), Some(platform)) = (digest, platform) {
                platforms.insert(digest, platform.to_string());
            }
        }
    }
}

/// A source under watch.
#[derive(Debug)]
pub(in crate::command) struct WatchedSource<'a> {
    pub(in crate::command) source: &'a dyn Source,
    pub(in crate::command) witness: Arc<Witness>,
}

#[async_trait]
impl Source for WatchedSource<'_> {
    async fn root(&self) -> Result<VerifiedManifest, Error> {
        let root = self.witness.noted(Side::Source, None, self.source.root().await)?;
        self.witness.passes(&root);
        Ok(root)
    }

    async fn manifest(&self, wanted: &Descriptor) -> Result<VerifiedManifest, Error> {
        let found = self.source.manifest(wanted).await;
        let manifest = self.witness.noted(Side::Source, Some(&wanted.digest), found)?;
        self.witness.passes(&manifest);
        Ok(manifest)
    }

    async fn blob(&self, wanted: &Descriptor, from: u64) -> Result<Content, Error> {
        let content = self.source.blob(wanted, from).await;
        self.witness.noted(Side::Source, Some(&wanted.digest), content)
    }

    async fn companions(&self, subject: &Digest) -> Result<Vec<Companion>, Error> {
        let found = self.source.companions(subject).await;
        self.witness.noted(Side::Source, Some(subject), found)
    }
}

/// A target under watch.
#[derive(Debug)]
pub(in crate::command) struct WatchedTarget<'a> {
    pub(in crate::command) target: &'a dyn Target,
    pub(in crate::command) witness: Arc<Witness>,
}

impl WatchedTarget<'_> {
    fn noted<T>(&self, about: &Digest, result: Result<T, Error>) -> Result<T, Error> {
        self.witness.noted(Side::Target, Some(about), result)
    }
}

#[async_trait]
impl Target for WatchedTarget<'_> {
    fn accepts(&self, root: &VerifiedManifest) -> Result<(), Error> {
        self.noted(root.digest(), self.target.accepts(root))
    }

    async fn presence(&self, manifest: &Descriptor) -> Result<Presence, Error> {
        self.noted(&manifest.digest, self.target.presence(manifest).await)
    }

    async fn offer(&self, blob: &Descriptor) -> Result<BlobOffer, Error> {
        Ok(match self.noted(&blob.digest, self.target.offer(blob).await)? {
            BlobOffer::Missing(writer) => {
                let (witness, digest) = (Arc::clone(&self.witness), blob.digest);
                BlobOffer::Missing(Box::new(WatchedWriter { writer, witness, digest }))
            }
            offer => offer,
        })
    }

    async fn put(&self, manifest: &VerifiedManifest) -> Result<(), Error> {
        self.noted(manifest.digest(), self.target.put(manifest).await)
    }

    async fn attach(
        &self,
        companion: &Companion,
        manifest: &VerifiedManifest,
    ) -> Result<(), Error> {
        self.noted(manifest.digest(), self.target.attach(companion, manifest).await)
    }

    async fn name(&self, root: &VerifiedManifest) -> Result<NameChange, Error> {
        self.noted(root.digest(), self.target.name(root).await)
    }

    fn max_attempts(&self) -> u32 {
        self.target.max_attempts()
    }
}

#[derive(Debug)]
struct WatchedWriter {
    writer: Box<dyn BlobWriter>,
    witness: Arc<Witness>,
    digest: Digest,
}

#[async_trait]
impl BlobWriter for WatchedWriter {
    fn offset(&self) -> u64 {
        self.writer.offset()
    }

    async fn write_all(self: Box<Self>, content: Content) -> Result<(), Error> {
        let Self { writer, witness, digest } = *self;
        witness.noted(Side::Target, Some(&digest), writer.write_all(content).await)
    }
}
