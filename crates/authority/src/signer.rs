//! Which key signs for which service.

/// One of the keys that sign at the same time: each algorithm of generated keys, and each pair of files, has a
/// number. The default is that of `token_service.signing`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signer(usize);

impl Signer {
    /// By its place in the configuration, which has the default first.
    pub fn numbered(number: usize) -> Self {
        Self(number)
    }

    /// Its place.
    pub fn number(self) -> usize {
        self.0
    }
}
