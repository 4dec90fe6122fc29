//! What stands behind the question mark.

use std::{borrow::Cow, collections::HashSet};

use http::Uri;
use portpass_protocol::{Digest, Reference, Tag};

use super::{ArtifactType, Mount, Page, RouteError, Start};

/// A query, read as a form. Of members that are repeated the first counts, but for `tag`.
pub(super) struct Query<'a>(&'a [u8]);

impl<'a> Query<'a> {
    pub(super) fn of(uri: &'a Uri) -> Self {
        Self(uri.query().unwrap_or_default().as_bytes())
    }

    /// `n` and `last` of the catalog, where a larger `n` is refused (DX1).
    pub(super) fn catalog_page(&self) -> Result<Page, RouteError> {
        let limit = self.number()?.unwrap_or(Page::CATALOG_DEFAULT);
        if limit > Page::CATALOG_LIMIT {
            return Err(RouteError::NumberTooLarge { limit: Page::CATALOG_LIMIT });
        }
        Ok(Page { limit, after: self.last()? })
    }

    /// `n` and `last` of a list of tags, where a larger `n` is as none (OC21).
    pub(super) fn tags_page(&self) -> Result<Page, RouteError> {
        let limit = self.number()?.unwrap_or(Page::TAGS_LIMIT).min(Page::TAGS_LIMIT);
        Ok(Page { limit, after: self.last()? })
    }

    /// `n` and `last` of a list of referrers, as our own links to the next page have them.
    pub(super) fn referrers_page(&self) -> Result<Page<Digest>, RouteError> {
        let limit = self.number()?.unwrap_or(Page::REFERRERS_LIMIT);
        let after = self.first("last").map(|last| last.parse()).transpose()?;
        Ok(Page { limit: limit.min(Page::REFERRERS_LIMIT), after })
    }

    /// How an upload begins. A mount that cannot be read is none; a digest or an algorithm that
    /// cannot be read is an error, for the client is about to send bytes for it.
    pub(super) fn start(&self) -> Result<Start, RouteError> {
        if let Some(mount) = self.mount() {
            return Ok(Start::Mount(mount));
        }
        if let Some(digest) = self.first("digest") {
            return Ok(Start::Whole(digest.parse()?));
        }
        let algorithm = self.first("digest-algorithm").map(|name| name.parse()).transpose()?;
        Ok(Start::Session(algorithm.unwrap_or_default()))
    }

    /// The digest that an upload must have.
    pub(super) fn digest(&self) -> Result<Digest, RouteError> {
        Ok(self.first("digest").ok_or(RouteError::MissingDigest)?.parse()?)
    }

    /// The tags that a manifest gets beside its digest; one that is pushed by tag gets no others.
    pub(super) fn tags_beside(&self, reference: &Reference) -> Result<Vec<Tag>, RouteError> {
        if let Reference::Tag(_) = reference {
            return Ok(Vec::new());
        }
        let mut seen = HashSet::new();
        let mut tags = Vec::new();
        for text in self.all("tag") {
            let tag: Tag = text.parse().map_err(RouteError::Tag)?;
            if seen.insert(tag.clone()) {
                tags.push(tag);
            }
        }
        match tags.len() {
            count if count > RouteError::MAX_TAGS => Err(RouteError::TooManyTags { count }),
            _ => Ok(tags),
        }
    }

    pub(super) fn artifact_type(&self) -> Option<ArtifactType> {
        self.first("artifactType").map(|text| ArtifactType(text.into()))
    }

    /// A mount with a digest and either no source or a valid one.
    fn mount(&self) -> Option<Mount> {
        let digest = self.first("mount")?.parse().ok()?;
        let from = self.first("from").map(|name| name.parse()).transpose().ok()?;
        Some(Mount { digest, from })
    }

    fn number(&self) -> Result<Option<usize>, RouteError> {
        let Some(text) = self.first("n") else { return Ok(None) };
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(RouteError::Number);
        }
        // Digits that overflow are a number too, and larger than any limit.
        Ok(Some(text.parse().unwrap_or(usize::MAX)))
    }

    fn last(&self) -> Result<Option<String>, RouteError> {
        let Some(last) = self.first("last") else { return Ok(None) };
        let legal = last.chars().count() <= Page::MAX_LAST && !last.chars().any(char::is_control);
        if legal { Ok(Some(last.into_owned())) } else { Err(RouteError::Last) }
    }

    /// The first member of that name; an empty one is as none.
    fn first(&self, name: &str) -> Option<Cow<'a, str>> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    fn all(&self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        form_urlencoded::parse(self.0).filter(move |(key, _)| key == name).map(|(_, value)| value)
    }
}
