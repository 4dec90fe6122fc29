//! Whether bytes that pass by are as many as they should be, and the right ones.

use portpass_protocol::{Digest, Hasher};

use super::{Descriptor, Error};

/// Counts and hashes what passes.
#[derive(Debug)]
pub(super) struct ContentCheck {
    /// For error messages.
    what: String,
    expected: u64,
    seen: u64,
    /// Of the whole; a part has no digest of its own.
    digest: Option<(Digest, Hasher)>,
}

impl ContentCheck {
    /// For all of a blob.
    pub(super) fn whole(what: String, blob: &Descriptor) -> Self {
        let hasher = Hasher::new(blob.digest.algorithm());
        Self { what, expected: blob.size, seen: 0, digest: Some((blob.digest, hasher)) }
    }

    /// For so many bytes of it.
    pub(super) fn part(what: String, length: u64) -> Self {
        Self { what, expected: length, seen: 0, digest: None }
    }

    /// How many bytes there are to be.
    pub(super) fn expected(&self) -> u64 {
        self.expected
    }

    /// Whether everything has passed.
    pub(super) fn is_complete(&self) -> bool {
        self.seen == self.expected
    }

    /// Takes the next bytes; an error if they are too many.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.seen = self.seen.saturating_add(length_of(bytes));
        if self.seen > self.expected {
            // How much more would have come is not known.
            self.seen = self.expected.saturating_add(1);
            return Err(self.wrong_length());
        }
        if let Some((_, hasher)) = &mut self.digest {
            hasher.update(bytes);
        }
        Ok(())
    }

    /// Judges what has passed.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        if !self.is_complete() {
            return Err(self.wrong_length());
        }
        let Some((expected, hasher)) = self.digest.take() else { return Ok(()) };
        let found = hasher.finish();
        if found == expected { Ok(()) } else { Err(Error::digest(&self.what, expected, found)) }
    }

    fn wrong_length(&self) -> Error {
        let (expected, found) = (self.expected, self.seen);
        Error::Length { what: self.what.clone(), expected, found }
    }
}

pub(super) fn length_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
