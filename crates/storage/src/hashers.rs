//! What the bytes of an upload hash to.

use portpass_protocol::{Digest, DigestAlgorithm, HashState, Hasher};

/// The hash of an upload's bytes by each algorithm that was asked for: one, as a rule.
#[derive(Debug, Clone)]
pub(crate) struct Hashers {
    first: Hasher,
    also: Option<Hasher>,
}

impl Hashers {
    /// `None` where a state was not made by a [`Hasher`].
    pub(crate) fn restore(first: &HashState, also: Option<&HashState>) -> Option<Self> {
        let also = also.map(Hasher::restore).transpose().ok()?;
        Some(Self { first: Hasher::restore(first).ok()?, also })
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.first.update(bytes);
        if let Some(also) = &mut self.also {
            also.update(bytes);
        }
    }

    /// What [`Hashers::restore`] goes on from.
    pub(crate) fn states(&self) -> (HashState, Option<HashState>) {
        (self.first.state(), self.also.as_ref().map(Hasher::state))
    }

    /// The digest by `algorithm`, if it is one of them.
    pub(crate) fn finish(self, algorithm: DigestAlgorithm) -> Option<Digest> {
        let all = [Some(self.first), self.also];
        let asked_for = |hasher: &Hasher| hasher.algorithm() == algorithm;
        all.into_iter().flatten().find(asked_for).map(Hasher::finish)
    }
}
