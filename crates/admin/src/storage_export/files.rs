//! Files of an export: each is there as a whole, or not at all.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use portpass_protocol::{Digest, DigestAlgorithm, Hasher};

use super::{Copied, ExportError};

pub(super) fn make_directory(path: &Path) -> Result<(), ExportError> {
    fs::create_dir_all(path).map_err(failed("make", path))
}

/// Writes a small file, unless it says the same already.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), ExportError> {
    if fs::read(path).is_ok_and(|there| there == content) {
        return Ok(());
    }
    make_parent(path)?;
    let half = half(path);
    fs::write(&half, content).map_err(failed("write", &half))?;
    fs::rename(&half, path).map_err(failed("rename", &half))
}

/// Copies a blob, unless a file of its length is there.
pub(super) fn copy(
    from: &Path,
    to: &Path,
    digest: &Digest,
    size: u64,
) -> Result<Copied, ExportError> {
    if is_there(to, size) {
        return Ok(Copied::Done);
    }
    make_parent(to)?;
    let half = half(to);
    let mut target = File::create(&half).map_err(failed("write", &half))?;
    let copied = match read(
        from,
        |bytes| target.write_all(bytes).map_err(failed("write", &half)),
        &[digest.algorithm()],
    )? {
        None => Copied::Gone,
        Some(digests) if digests == [*digest] => Copied::Done,
        Some(_) => Copied::Damaged,
    };
    if copied == Copied::Done {
        fs::rename(&half, to).map_err(failed("rename", &half))?;
    } else {
        fs::remove_file(&half).map_err(failed("remove", &half))?;
    }
    Ok(copied)
}

/// What a file hashes to with each of these; `None` if it is gone.
pub(super) fn digests(
    from: &Path,
    algorithms: &[DigestAlgorithm],
) -> Result<Option<Vec<Digest>>, ExportError> {
    read(from, |_| Ok(()), algorithms)
}

fn read(
    from: &Path,
    mut each: impl FnMut(&[u8]) -> Result<(), ExportError>,
    algorithms: &[DigestAlgorithm],
) -> Result<Option<Vec<Digest>>, ExportError> {
    let mut file = match File::open(from) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", from)(error)),
    };
    let mut hashers: Vec<Hasher> = algorithms.iter().map(|one| Hasher::new(*one)).collect();
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => return Ok(Some(hashers.into_iter().map(Hasher::finish).collect())),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed("read", from)(error)),
        };
        for hasher in &mut hashers {
            hasher.update(&buffer[..read]);
        }
        each(&buffer[..read])?;
    }
}

pub(super) fn failed(
    doing: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> ExportError + use<> {
    let path = path.to_owned();
    move |source| ExportError::File { doing, path, source }
}

fn is_there(path: &Path, size: u64) -> bool {
    fs::metadata(path).is_ok_and(|there| there.is_file() && there.len() == size)
}

fn make_parent(path: &Path) -> Result<(), ExportError> {
    path.parent().map_or(Ok(()), make_directory)
}

/// What a killed export leaves has a name that no reader looks for.
fn half(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".portpass-part");
    PathBuf::from(name)
}

const BUFFER: usize = 1024 * 1024;
