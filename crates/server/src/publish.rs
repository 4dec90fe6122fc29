//! What other registries trust, in the data directory: `root.crt` for `rootcertbundle`, `jwks.json` for `jwks`.

use std::{fs, io, path::Path, sync::Arc};

use portpass_admin::{Visible, blocking, write_file};
use portpass_authority::keyring::Ring;

use crate::parts::StartError;

/// Writes both files, where they are not what they should be.
pub(crate) async fn write(data: &Path, ring: &Arc<Ring>) -> Result<(), StartError> {
    for (name, content) in
        [("root.crt", ring.bundle().into_bytes()), ("jwks.json", ring.jwks().to_vec())]
    {
        let path = data.join(name);
        blocking(move || write_if_other(&path, &content))
            .await
            .map_err(|source| StartError::Publish { name, source })?;
    }
    Ok(())
}

fn write_if_other(path: &Path, content: &[u8]) -> io::Result<()> {
    match fs::read(path) {
        Ok(there) if there == content => Ok(()),
        Ok(_) | Err(_) => write_file(path, content, &Visible::All),
    }
}
