//! What `pull`, `push` and `copy` have in common: an image goes from one place to another.

use std::{num::NonZeroUsize, sync::Arc};

use clap::Args;
use portpass_client::{
    ImageReference, Location, Session,
    layout::{Archive, ArchiveWriter, Folder, RefName},
    transfer::{
        Blobs, Error, JOBS, NameChange, Platform, RemoteImage, Selection, Source, Target, Transfer,
        Transferred,
    },
};
use serde_json::{Value, json};

use super::{Context, connection::Connection};
use crate::{failure::Failure, printer::human_bytes};

/// How much is moved, and what is said about it.
#[derive(Args, Debug)]
pub(super) struct TransferArguments {
    /// Only the image for this platform, as in linux/amd64 or linux/arm/v7
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", conflicts_with = "all")]
    platform: Option<Platform>,
    /// The whole index with all its images: the default, except for a docker-archive, which
    /// contains one image; by default the one for this machine
    #[arg(long)]
    all: bool,
    /// How many blobs to transfer at the same time
    #[arg(short, long, value_name = "N", default_value_t = JOBS)]
    jobs: NonZeroUsize,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// Print a summary as JSON
    #[arg(long)]
    json: bool,
}

/// One image, and its way.
#[derive(Debug)]
pub(super) struct ImageTransfer {
    pub(super) from: (Location, Connection),
    pub(super) to: (Location, Connection),
    pub(super) how: TransferArguments,
}

impl ImageTransfer {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let selection = self.selection()?;
        let (source, known) = self.source(context).await?;
        let target = self.target(known, context)?;
        let transfer = Transfer {
            selection,
            jobs: self.how.jobs,
            progress: context.printer.progress(self.how.quiet),
            ..Transfer::new(source.as_ref(), target.as_ref())
        };
        let done = transfer.run().await.map_err(explained)?;
        self.tell(&done, context);
        Ok(())
    }

    fn selection(&self) -> Result<Selection, Failure> {
        let into_archive = matches!(self.to.0, Location::Archive { .. });
        match &self.how.platform {
            Some(platform) => Ok(Selection::Only(platform.clone())),
            None if into_archive && self.how.all => {
                Err(Failure::usage("a docker-archive contains one image, not a whole index")
                    .hint("name one with --platform, or write oci:FOLDER"))
            }
            None if into_archive => Ok(Selection::OnlyOfIndex(Platform::of_this_machine())),
            None => Ok(Selection::Everything),
        }
    }

    /// The source; if it is in a registry, with what is known of that.
    async fn source(
        &self,
        context: &Context,
    ) -> Result<(Box<dyn Source>, Option<Arc<Session>>), Failure> {
        let (place, connection) = &self.from;
        Ok(match place {
            Location::Registry(image) => {
                let session = connection.session(image.host().clone(), context)?;
                (Box::new(RemoteImage::new(Arc::clone(&session), image)), Some(session))
            }
            Location::Folder { path, name } => {
                let folder = Folder::open(path, name.clone()).map_err(explained)?;
                (Box::new(folder), None)
            }
            Location::Archive { path, name } => {
                let archive = Archive::open(path, name.as_deref()).await.map_err(explained)?;
                (Box::new(archive), None)
            }
        })
    }

    fn target(
        &self,
        known: Option<Arc<Session>>,
        context: &Context,
    ) -> Result<Box<dyn Target>, Failure> {
        let ((from, from_there), (to, to_there)) = (&self.from, &self.to);
        Ok(match to {
            Location::Registry(image) => match (from, known) {
                // What a registry has in one repository it can mount into the other.
                (Location::Registry(source), Some(session))
                    if source.host() == image.host() && from_there == to_there =>
                {
                    let target = RemoteImage::target(session, image);
                    Box::new(target.mounting_from(source.repository().clone()))
                }
                _ => Box::new(RemoteImage::target(
                    to_there.session(image.host().clone(), context)?,
                    image,
                )),
            },
            Location::Folder { path, name } => {
                let name = name.clone().or_else(|| name_in_folder(from));
                Box::new(Folder::create(path, name).map_err(explained)?)
            }
            Location::Archive { path, name } => {
                let name = name.clone().or_else(|| name_in_archive(from));
                Box::new(ArchiveWriter::new(path, name).map_err(explained)?)
            }
        })
    }

    fn tell(&self, done: &Transferred, context: &Context) {
        if self.how.json {
            context.printer.json(&self.described(done));
            return;
        }
        if !self.how.quiet {
            context.printer.note(self.summed_up(done));
        }
        context.printer.line(done.digest);
    }

    fn summed_up(&self, done: &Transferred) -> String {
        let Blobs { transferred, held, mounted, bytes } = done.blobs;
        let parts = [
            (transferred, format!("transferred ({})", human_bytes(bytes))),
            (mounted, "mounted".to_owned()),
            (held, "there already".to_owned()),
        ];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, what)| format!("{count} {what}")).collect();
        let blobs = if parts.is_empty() { "none".to_owned() } else { parts.join(", ") };
        let verb = match done.named {
            NameChange::Updated => "is now",
            NameChange::Unchanged => "was already",
        };
        format!("blobs: {blobs}; {} {verb}", self.to.0)
    }

    fn described(&self, done: &Transferred) -> Value {
        let Blobs { transferred, held, mounted, bytes } = done.blobs;
        json!({
            "from": self.from.0.to_string(),
            "to": self.to.0.to_string(),
            "digest": done.digest.to_string(),
            "media_type": done.media_type.as_str(),
            "changed": done.named == NameChange::Updated,
            "manifests": done.manifests,
            "blobs": { "transferred": transferred, "held": held, "mounted": mounted },
            "bytes": bytes,
        })
    }
}

/// A failure with what may help against it.
fn explained(error: impl Into<Error>) -> Failure {
    let error = error.into();
    error.hints().into_iter().fold(Failure::new(error.to_string()), Failure::hint)
}

/// An image keeps its tag on the way into a folder, if nobody names it anew.
fn name_in_folder(from: &Location) -> Option<RefName> {
    match from {
        Location::Registry(image) => tag(image)?.parse().ok(),
        Location::Folder { name, .. } => name.clone(),
        Location::Archive { name, .. } => name.as_ref()?.parse().ok(),
    }
}

/// What `docker load` shall call it: as `docker pull` does.
fn name_in_archive(from: &Location) -> Option<String> {
    match from {
        Location::Registry(image) => {
            Some(format!("{}/{}:{}", image.host(), image.repository(), tag(image)?))
        }
        Location::Folder { .. } => None,
        Location::Archive { name, .. } => name.clone(),
    }
}

/// An image that is named by its digest alone has no tag.
fn tag(image: &ImageReference) -> Option<String> {
    match (image.tag(), image.digest()) {
        (Some(tag), _) => Some(tag.to_string()),
        (None, Some(_)) => None,
        (None, None) => Some("latest".to_owned()),
    }
}
