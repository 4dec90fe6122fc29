//! The public keys as files of the data directory, for other registries: `root.crt` for `rootcertbundle`, `jwks.json` for `jwks`.

use std::{fs, io, path::Path, sync::Arc};

use portpass_admin::{FileMode, blocking, write_file};
use portpass_authority::keyring::Ring;

/// Writes both files, where they are not what they should be.
pub(crate) async fn write(data: &Path, ring: &Arc<Ring>) -> Result<(), WriteKeysError> {
    for (name, content) in
        [("root.crt", ring.bundle().into_bytes()), ("jwks.json", ring.jwks().to_vec())]
    {
        let path = data.join(name);
        blocking(move || write_if_other(&path, &content))
            .await
            .map_err(|source| WriteKeysError { name, source })?;
    }
    Ok(())
}

/// Why a file is not what it should be.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {name} to the data directory: {source}")]
pub struct WriteKeysError {
    name: &'static str,
    source: io::Error,
}

fn write_if_other(path: &Path, content: &[u8]) -> io::Result<()> {
    match fs::read(path) {
        Ok(there) if there == content => Ok(()),
        Ok(_) | Err(_) => write_file(path, content, &FileMode::Public),
    }
}
