//! Many images of one repository or folder, by their tags.

use std::{path::PathBuf, sync::Arc};

use portpass_client::{
    Descriptor, ImageReference, Location, Reference, Repository, RepositoryName, Session,
    layout::Folder,
    transfer::{Error, KnownBlobs, RemoteImage, Source, Target},
};

/// A repository or a folder.
#[derive(Debug, Clone)]
pub(super) enum Gathering {
    Repository { session: Arc<Session>, image: ImageReference },
    Folder { path: PathBuf },
}

impl Gathering {
    /// The tags it has.
    pub(super) async fn names(&self) -> Result<Vec<String>, Error> {
        Ok(match self {
            Self::Repository { session, image } => {
                let tags = remote(session, image).tags().await?;
                tags.into_iter().map(|tag| tag.to_string()).collect()
            }
            Self::Folder { path } => {
                let names = Folder::open(path, None)?.names()?;
                names.into_iter().map(|name| name.to_string()).collect()
            }
        })
    }

    /// What a tag stands for; nothing is said of a folder, which is looked into at once.
    pub(super) async fn head(&self, name: &str) -> Result<Option<Descriptor>, Error> {
        match (self, name.parse()) {
            (Self::Repository { session, image }, Ok(tag)) => {
                Ok(remote(session, image).head_manifest(&Reference::Tag(tag)).await?)
            }
            _ => Ok(None),
        }
    }

    /// One of its images, as people write it; `None` if no image of it can be called so.
    pub(super) fn place(&self, name: &str) -> Option<Location> {
        Some(match self {
            Self::Repository { image, .. } => Location::Registry(tagged(image, name)?),
            Self::Folder { path } => {
                Location::Folder { path: path.clone(), name: Some(name.parse().ok()?) }
            }
        })
    }

    /// The repository that it is, if it is in a registry.
    pub(super) fn repository(&self) -> Option<&RepositoryName> {
        match self {
            Self::Repository { image, .. } => Some(image.repository()),
            Self::Folder { .. } => None,
        }
    }

    /// The same or all of it, for a message.
    pub(super) fn shown(&self, name: Option<&str>) -> String {
        match (name.and_then(|name| self.place(name)), self) {
            (Some(place), _) => place.to_string(),
            (None, Self::Repository { image, .. }) => image.to_string(),
            (None, Self::Folder { path }) => format!("oci:{}", path.display()),
        }
    }

    /// One of its images, to be read.
    pub(super) fn source(&self, name: &str) -> Result<Box<dyn Source>, Error> {
        Ok(match self {
            Self::Repository { session, image } => {
                let image = tagged(image, name).unwrap_or_else(|| image.clone());
                Box::new(RemoteImage::new(Arc::clone(session), &image))
            }
            Self::Folder { path } => Box::new(Folder::open(path, name.parse().ok())?),
        })
    }

    /// One of its images, to be written. What the registry has elsewhere is mounted.
    pub(super) fn target(
        &self,
        name: &str,
        from: &Self,
        known: &Arc<KnownBlobs>,
    ) -> Result<Box<dyn Target>, Error> {
        let (session, image) = match self {
            Self::Repository { session, image } => (session, image),
            Self::Folder { path } => {
                return Ok(Box::new(Folder::create(path, name.parse().ok())?));
            }
        };
        let image = tagged(image, name).unwrap_or_else(|| image.clone());
        let target = RemoteImage::target(Arc::clone(session), &image).knowing(Arc::clone(known));
        Ok(match from {
            Self::Repository { session: there, image } if Arc::ptr_eq(session, there) => {
                Box::new(target.mounting_from(image.repository().clone()))
            }
            _ => Box::new(target),
        })
    }
}

fn remote(session: &Arc<Session>, image: &ImageReference) -> Repository {
    Repository::new(Arc::clone(session), image.repository().clone())
}

fn tagged(image: &ImageReference, name: &str) -> Option<ImageReference> {
    Some(image.with(Reference::Tag(name.parse().ok()?)))
}
