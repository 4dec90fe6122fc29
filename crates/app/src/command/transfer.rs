//! What `pull`, `push` and `copy` have in common: an image goes from one place to another.

use std::{num::NonZeroUsize, sync::Arc};

mod witness;

use clap::Args;
use portpass_client::{
    ImageReference, Location, Session,
    layout::{Archive, ArchiveWriter, Directory, Folder, OciArchiveWriter, RefName},
    transfer::{
        Blobs, Companions, Error, JOBS, NameChange, Platform, RemoteImage, Selection, Source,
        Target, Transfer, Transferred,
    },
};
use serde_json::{Value, json};

pub(super) use witness::{Origin, Side};
use witness::{WatchedSource, WatchedTarget, Witness};

use super::{Context, connection::Connection};
use crate::{failure::Failure, printer::human_bytes};

/// How much is moved, and what is said about it.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub(super) struct TransferArguments {
    /// Only the image for this platform, as in linux/amd64 or linux/arm/v7; with --sparse, several may be named
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", conflicts_with = "all")]
    platform: Vec<Platform>,
    /// With --platform: the index as it is, with its digest, but no other image of it
    #[arg(long, requires = "platform")]
    sparse: bool,
    /// Signatures, attestations and whatever else is about the images as well
    #[arg(long)]
    referrers: bool,
    /// The whole index with all its images: the default, except for a docker-archive, which
    /// contains one image; by default the one for this machine
    #[arg(long)]
    all: bool,
    /// How many blobs to transfer at the same time
    #[arg(short, long, value_name = "N", default_value_t = JOBS)]
    jobs: NonZeroUsize,
    /// Show no progress
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Print a summary as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl TransferArguments {
    /// Which images of an index go there.
    pub(super) fn selection(&self, to: &Location) -> Result<Selection, Failure> {
        let into_archive = matches!(to, Location::Archive { .. });
        match self.platform.as_slice() {
            _ if into_archive && self.all => {
                Err(Failure::usage("a docker-archive contains one image, not a whole index")
                    .hint("name one with --platform, or write oci:FOLDER"))
            }
            _ if into_archive && self.sparse => {
                Err(Failure::usage("a docker-archive contains no index").hint("leave out --sparse"))
            }
            _ if self.referrers && (into_archive || matches!(to, Location::Directory { .. })) => {
                Err(Failure::usage(format!("{to} has no place for what is about an image"))
                    .hint("leave out --referrers, or write oci:FOLDER or oci-archive:FILE"))
            }
            [] if into_archive => Ok(Selection::OnlyOfIndex(Platform::of_this_machine())),
            [] => Ok(Selection::Everything),
            platforms if self.sparse => Ok(Selection::Sparse(platforms.to_vec())),
            [platform] => Ok(Selection::Only(platform.clone())),
            _ => Err(Failure::usage("several platforms are several images")
                .hint("with --sparse they are copied with their index")),
        }
    }

    /// Whether what is about the images comes along.
    pub(super) fn companions(&self) -> Companions {
        if self.referrers { Companions::Copied } else { Companions::LeftOut }
    }

    /// Moves one image.
    pub(super) async fn transfer(
        &self,
        source: &dyn Source,
        target: &dyn Target,
        selection: Selection,
        context: &Context,
    ) -> Result<Transferred, TransferFailure> {
        let witness = Arc::new(Witness::default());
        let source = WatchedSource { source, witness: Arc::clone(&witness) };
        let target = WatchedTarget { target, witness: Arc::clone(&witness) };
        let transfer = Transfer {
            selection,
            companions: self.companions(),
            jobs: self.jobs,
            progress: context.printer.progress(self.quiet),
            ..Transfer::new(&source, &target)
        };
        transfer.run().await.map_err(|error| {
            let origin = witness.origin(&error);
            TransferFailure { error, origin }
        })
    }
}

/// Why an image did not arrive, and whose fault it is as far as that is known.
#[derive(Debug)]
pub(super) struct TransferFailure {
    pub(super) error: Error,
    pub(super) origin: Option<Origin>,
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
        let selection = self.how.selection(&self.to.0)?;
        let (source, known) = open(&self.from.0, &self.from.1, context).await?;
        let target = self.target(known, context)?;
        let moved = self.how.transfer(source.as_ref(), target.as_ref(), selection, context).await;
        let done = moved.map_err(|failure| self.told(failure))?;
        self.tell(&done, context);
        Ok(())
    }

    /// Says which of two registries it was, and which image of an index.
    fn told(&self, failure: TransferFailure) -> Failure {
        let TransferFailure { error, origin } = failure;
        let explained = explained(error);
        let both = (&self.from.0, &self.to.0);
        let Some(Origin { side, platform }) = origin else { return explained };
        let place = if side == Side::Source { both.0 } else { both.1 };
        match (both, platform) {
            (_, Some(platform)) => explained.about(format_args!("{side} {place} ({platform})")),
            ((Location::Registry(_), Location::Registry(_)), None) => {
                explained.about(format_args!("{side} {place}"))
            }
            _ => explained,
        }
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
            Location::OciArchive { path, name } => {
                let name = name.clone().or_else(|| name_in_folder(from));
                Box::new(OciArchiveWriter::new(path, name).map_err(explained)?)
            }
            Location::Directory { path } => Box::new(Directory::create(path).map_err(explained)?),
            other => return Err(Failure::usage(format!("{other} cannot be written"))),
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
        let blobs = blobs_summed_up(&done.blobs);
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

/// `3 transferred (1.2 MiB), 2 there already`
pub(super) fn blobs_summed_up(blobs: &Blobs) -> String {
    let Blobs { transferred, held, mounted, bytes } = *blobs;
    let parts = [
        (transferred, format!("transferred ({})", human_bytes(bytes))),
        (mounted, "mounted".to_owned()),
        (held, "there already".to_owned()),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts.map(|(count, what)| format!("{count} {what}")).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

/// A place to read an image from; if it is in a registry, with what is known of that.
pub(super) async fn open(
    place: &Location,
    connection: &Connection,
    context: &Context,
) -> Result<(Box<dyn Source>, Option<Arc<Session>>), Failure> {
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
        Location::OciArchive { path, name } => {
            let name = name.as_ref().map(RefName::as_str);
            (Box::new(Archive::open(path, name).await.map_err(explained)?), None)
        }
        Location::Directory { path } => (Box::new(Directory::open(path).map_err(explained)?), None),
        other => return Err(Failure::usage(format!("{other} cannot be read"))),
    })
}

/// A failure with what may help against it.
pub(super) fn explained(error: impl Into<Error>) -> Failure {
    let error = error.into();
    error.hints().into_iter().fold(Failure::new(error.to_string()), Failure::hint)
}

/// An image keeps its tag on the way into a folder, if nobody names it anew.
fn name_in_folder(from: &Location) -> Option<RefName> {
    match from {
        Location::Registry(image) => tag(image)?.parse().ok(),
        Location::Folder { name, .. } | Location::OciArchive { name, .. } => name.clone(),
        Location::Archive { name, .. } => name.as_ref()?.parse().ok(),
        _ => None,
    }
}

/// What `docker load` shall call it: as `docker pull` does.
fn name_in_archive(from: &Location) -> Option<String> {
    match from {
        Location::Registry(image) => {
            Some(format!("{}/{}:{}", image.host(), image.repository(), tag(image)?))
        }
        Location::Archive { name, .. } => name.clone(),
        _ => None,
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
