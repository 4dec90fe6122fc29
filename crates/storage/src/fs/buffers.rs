//! Buffers that are read into again and again: making one anew costs as much as copying into it.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

/// Buffers of [`Buffers::LENGTH`] bytes that nobody uses, a few of them.
#[derive(Default)]
pub(super) struct Buffers(Mutex<Vec<Box<[u8]>>>);

impl Buffers {
    /// What is read at once. For each receiver one piece is held, which is sent, and one more if it comes from
    /// the disk.
    pub(super) const LENGTH: usize = 128 * 1024;

    /// One that shows nothing until it is written to.
    pub(super) fn take(self: &Arc<Self>) -> Buffer {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = free.unwrap_or_else(|| vec![0; Self::LENGTH].into());
        Buffer { bytes, length: 0, home: Arc::clone(self) }
    }
}

/// Comes back to where it was taken from when the last who reads it is done.
pub(super) struct Buffer {
    bytes: Box<[u8]>,
    length: usize,
    home: Arc<Buffers>,
}

impl Buffer {
    /// Its first bytes, to be written over; the others will not be seen.
    pub(super) fn first(&mut self, length: usize) -> &mut [u8] {
        self.length = length.min(Buffers::LENGTH);
        &mut self.bytes[..self.length]
    }

    /// What was written.
    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut free = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(mem::take(&mut self.bytes));
        }
    }
}

impl fmt::Debug for Buffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Buffers")
    }
}

/// 4 MiB of them, while nobody reads.
const KEPT: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_in_a_buffer_before_is_seen_by_nobody_after() {
        let buffers = Arc::new(Buffers::default());
        let mut buffer = buffers.take();
        buffer.first(6).copy_from_slice(b"secret");
        let secret = buffer.into_bytes();
        let address = secret.as_ptr();
        drop(secret);
        let mut buffer = buffers.take();
        buffer.first(2).copy_from_slice(b"ok");
        let bytes = buffer.into_bytes();
        assert_eq!(bytes.as_ptr(), address, "it is used again");
        assert_eq!(&bytes[..], b"ok");
    }

    #[test]
    fn few_are_kept() {
        let buffers = Arc::new(Buffers::default());
        let many: Vec<Buffer> = (0..2 * KEPT).map(|_| buffers.take()).collect();
        drop(many);
        assert_eq!(buffers.0.lock().unwrap().len(), KEPT);
    }
}
