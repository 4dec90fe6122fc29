//! Tags that must not move, for the one who asks.

use portpass_protocol::{Digest, Reference, RepositoryName, Tag};
use portpass_state::{Deletion, NewManifest, PutManifest};

use crate::{
    error::Error,
    immutable::{Actor, ImmutableRule},
    registry::Registry,
};

/// A caller, and the rules of one repository. Its groups are asked for when a refusal hangs on them, and not before.
pub(super) struct Binding<'a> {
    registry: &'a Registry,
    subject: &'a str,
    name: &'a RepositoryName,
    groups: Option<Vec<String>>,
}

impl<'a> Binding<'a> {
    pub(super) fn new(registry: &'a Registry, subject: &'a str, name: &'a RepositoryName) -> Self {
        Self { registry, subject, name, groups: None }
    }

    /// Keeps a manifest, unless something of it is missing, or a tag would move that must not.
    pub(super) async fn put(mut self, manifest: NewManifest<'_>) -> Result<(), Error> {
        let registry = self.registry;
        loop {
            let binds = |tag: &&Tag| self.rule(tag).is_some();
            let immutable: Vec<Tag> = manifest.tags.iter().filter(binds).cloned().collect();
            let put = NewManifest { immutable: &immutable, ..manifest };
            match registry.db().put_manifest(&put, registry.now()).await? {
                PutManifest::Stored => return Ok(()),
                PutManifest::Missing(missing) => {
                    let digests = missing.blobs.into_iter().chain(missing.children).collect();
                    return Err(Error::ManifestBlobUnknown { name: self.name.clone(), digests });
                }
                PutManifest::Immutable { tag, digest: _ } => self.confirm(&tag).await?,
            }
        }
    }

    /// Removes a tag, or a manifest with all its tags, unless one of them must stay. Says which tags are gone.
    pub(super) async fn delete(mut self, reference: &Reference) -> Result<Vec<Tag>, Error> {
        loop {
            let deletion = match reference {
                Reference::Tag(tag) => self.delete_tag(tag).await?,
                Reference::Digest(digest) => self.delete_manifest(digest).await?,
            };
            match deletion {
                Deletion::Deleted { tags } => return Ok(tags),
                Deletion::Kept { tag } => self.confirm(&tag).await?,
                Deletion::Unknown => {
                    let (name, reference) = (self.name.clone(), reference.clone());
                    return Err(Error::ManifestUnknown { name, reference });
                }
            }
        }
    }

    async fn delete_tag(&self, tag: &Tag) -> Result<Deletion, Error> {
        let db = self.registry.db();
        if self.rule(tag).is_none() {
            return Ok(db.delete_tag(self.name, tag).await?);
        }
        let there = db.manifest(self.name, &Reference::Tag(tag.clone())).await?;
        Ok(there.map_or(Deletion::Unknown, |_| Deletion::Kept { tag: tag.clone() }))
    }

    async fn delete_manifest(&self, digest: &Digest) -> Result<Deletion, Error> {
        let must_stay = |tag: &Tag| self.rule(tag).is_some();
        Ok(self.registry.db().delete_manifest_unless(self.name, digest, must_stay).await?)
    }

    fn rule(&self, tag: &Tag) -> Option<&'a ImmutableRule> {
        let groups = self.groups.as_deref().unwrap_or_default();
        let actor = Actor { subject: self.subject, groups };
        self.registry.immutable().rule(self.name, tag, &actor)
    }

    /// Refuses, unless the caller is in a group that the rule makes an exception for: then it can be tried again.
    async fn confirm(&mut self, tag: &Tag) -> Result<(), Error> {
        let by_group = self.rule(tag).is_some_and(ImmutableRule::has_groups);
        if by_group && self.groups.is_none() && !self.subject.is_empty() {
            self.groups = Some(self.registry.groups().groups_of(self.subject).await?);
        }
        match self.rule(tag) {
            None => Ok(()),
            Some(rule) => Err(Error::TagImmutable {
                name: self.name.clone(),
                tag: tag.clone(),
                rule: rule.name.clone(),
            }),
        }
    }
}
