//! The sources of accounts that a configuration names.

use std::{path::Path, sync::Arc};

use portpass_authority::accounts::{
    Authenticator, Chain, htpasswd::HtpasswdAccounts, local::LocalAccounts,
};
use portpass_password::{Formats, HtpasswdFile, PasswordCheck, htpasswd::HtpasswdSettings};
use portpass_state::Db;
use portpass_token::Clock;

use super::{StartError, blocking};
use crate::config::AccountSource;

/// Starts the sources, in the order in which they are asked.
pub(crate) async fn accounts(
    configured: &[AccountSource],
    db: &Db,
    check: &PasswordCheck,
    clock: &dyn Clock,
) -> Result<Chain, StartError> {
    let mut sources: Vec<Arc<dyn Authenticator>> = Vec::new();
    for source in configured {
        sources.push(match source {
            AccountSource::Local => Arc::new(LocalAccounts::new(db.clone(), check.clone())),
            AccountSource::Htpasswd { path, legacy_hashes } => {
                let file = htpasswd_file(path, *legacy_hashes, check, clock).await?;
                Arc::new(HtpasswdAccounts::new(source.name(), file, check.clone()))
            }
        });
    }
    Ok(Chain::new(sources, check.clone()))
}

/// Opens a password file; what is wrong with its lines goes into the log.
pub(super) async fn htpasswd_file(
    path: &Path,
    legacy: bool,
    check: &PasswordCheck,
    clock: &dyn Clock,
) -> Result<Arc<HtpasswdFile>, StartError> {
    let formats = if legacy { Formats::Legacy } else { Formats::Current };
    let settings = HtpasswdSettings { path: path.to_path_buf(), formats };
    let (costs, now) = (check.pool().source(), clock.now());
    let file = blocking(move || HtpasswdFile::open(settings, costs, now)).await?;
    for warning in file.warnings() {
        tracing::warn!("{}: {warning}", path.display());
    }
    Ok(Arc::new(file))
}
