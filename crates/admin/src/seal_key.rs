//! The seal key: a file in the data directory. The private keys in the database are sealed with it.

use std::{
    fmt::Write as _,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use portpass_token::Random;
use zeroize::Zeroizing;

use crate::data_directory::{FileMode, write_file};

/// The key that seals private keys in the database: 32 bytes in hexadecimal digits.
///
/// Makes one only for a database that has sealed nothing yet: with another key the ring would be lost.
/// Blocks.
pub(crate) fn seal_key(
    data: &Path,
    sealed: bool,
    random: &dyn Random,
) -> Result<Zeroizing<[u8; 32]>, SealKeyError> {
    let path = data.join(SEAL_KEY);
    let file = |what: &'static str| {
        let path = path.clone();
        move |source| SealKeyError::File { path, what, source }
    };
    match fs::read_to_string(&path) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            let mode = fs::metadata(&path).map_err(file("look at"))?.mode();
            if mode & 0o077 != 0 {
                tracing::warn!(
                    "other users can read {} (mode {:o}): chmod 600",
                    path.display(),
                    mode & 0o777
                );
            }
            parse_seal_key(text.trim()).ok_or(SealKeyError::Malformed { path })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && sealed => {
            Err(SealKeyError::Missing { path })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut key = Zeroizing::new([0; 32]);
            random.fill(&mut *key);
            let digits = hexadecimal(&key);
            write_file(&path, digits.as_bytes(), &FileMode::Private).map_err(file("write"))?;
            Ok(key)
        }
        Err(error) => Err(file("read")(error)),
    }
}

fn hexadecimal(key: &[u8; 32]) -> Zeroizing<String> {
    let mut digits = Zeroizing::new(String::with_capacity(65));
    for byte in key {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    digits.push('\n');
    digits
}

fn parse_seal_key(digits: &str) -> Option<Zeroizing<[u8; 32]>> {
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = Zeroizing::new([0; 32]);
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(key)
}

/// Why there is no seal key to use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealKeyError {
    /// Its file.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The seal key is no key.
    #[error("{} does not contain 64 hexadecimal digits: restore it from its backup", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
    },
    /// The seal key is gone, and what it sealed is still there.
    #[error(
        "{} is missing, and the database holds keys that it sealed: restore it from its backup",
        path.display()
    )]
    Missing {
        /// Which.
        path: PathBuf,
    },
}

const SEAL_KEY: &str = "seal.key";

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Sevens;

    impl Random for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[test]
    fn a_seal_key_is_made_once_and_never_for_a_sealed_ring() {
        let data = tempfile::tempdir().unwrap();
        let random = Sevens;
        assert!(matches!(seal_key(data.path(), true, &random), Err(SealKeyError::Missing { .. })));
        let key = seal_key(data.path(), false, &random).unwrap();
        assert_eq!(*seal_key(data.path(), true, &random).unwrap(), *key);
        let path = data.path().join(SEAL_KEY);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::write(&path, "zz").unwrap();
        assert!(matches!(
            seal_key(data.path(), true, &random),
            Err(SealKeyError::Malformed { .. })
        ));
    }
}
