//! From an upload to a blob: its file as it stands, or a copy of all that its files hold. Everything here waits for the
//! disk.

use std::io::{self, Read as _};

use portpass_protocol::{Digest, DigestAlgorithm, Hasher};

use super::files::{Files, Tail, failed_to};
use crate::store::{CommitError, Committed, Location, Segment, StoreError, Upload, matching};

/// Every segment was synced with its directory when it was appended, so one that is alone is the
/// blob already, unless somebody wrote behind it.
pub(super) fn commit(
    files: &Files,
    upload: Upload,
    expected: &Digest,
) -> Result<Committed, CommitError> {
    check_lengths(files, &upload)?;
    let computed = match upload.digest(expected.algorithm())? {
        Some(digest) => digest,
        None => hash(files, upload.segments(), expected.algorithm())?.finish(),
    };
    matching(computed, expected)?;
    if let [only] = upload.segments()
        && let Some(location) = files.seal(only)?
    {
        return Ok(Committed { location, rest: Upload::empty(upload.algorithm()) });
    }
    let location = concatenate(files, upload.segments())?;
    Ok(Committed { location, rest: upload })
}

/// Reads all that has arrived, for an algorithm that nobody asked for until now.
pub(super) fn hashed_with(
    files: &Files,
    upload: Upload,
    algorithm: DigestAlgorithm,
) -> Result<Upload, StoreError> {
    if upload.is_hashed_with(algorithm) {
        return Ok(upload);
    }
    check_lengths(files, &upload)?;
    let hasher = hash(files, upload.segments(), algorithm)?;
    Ok(upload.also_hashed(&hasher))
}

fn check_lengths(files: &Files, upload: &Upload) -> Result<(), StoreError> {
    upload.segments().iter().try_for_each(|segment| check_length(files, segment))
}

/// A segment that is shorter than its row says was lost in a crash.
fn check_length(files: &Files, segment: &Segment) -> Result<(), StoreError> {
    let found = files.read(&segment.location)?.metadata().map_err(failed_to("read a file"))?;
    if found.len() >= segment.length {
        Ok(())
    } else {
        Err(StoreError::Lost { location: segment.location.clone() })
    }
}

/// The hash of all these bytes, read from the disk.
fn hash(
    files: &Files,
    segments: &[Segment],
    algorithm: DigestAlgorithm,
) -> Result<Hasher, StoreError> {
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; READ_AGAIN];
    for segment in segments {
        let mut bytes = files.read(&segment.location)?.take(segment.length);
        loop {
            match bytes.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => hasher.update(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed_to("read a file")(error)),
            }
        }
    }
    Ok(hasher)
}

/// One new file with the bytes of all segments, in order.
fn concatenate(files: &Files, segments: &[Segment]) -> Result<Location, StoreError> {
    let new = files.create()?;
    match copy_into(files, &new, segments) {
        Ok(()) => Ok(new.location),
        Err(error) => {
            files.abandon(&new);
            Err(error)
        }
    }
}

fn copy_into(files: &Files, new: &Tail, segments: &[Segment]) -> Result<(), StoreError> {
    for segment in segments {
        let mut bytes = files.read(&segment.location)?.take(segment.length);
        let copied = io::copy(&mut bytes, &mut &*new.file).map_err(failed_to("copy a file"))?;
        if copied != segment.length {
            return Err(StoreError::Lost { location: segment.location.clone() });
        }
    }
    files.settle(new)
}

const READ_AGAIN: usize = 1024 * 1024;
