//! The sources of accounts that a configuration names.

use std::{path::Path, sync::Arc};

use portpass_authority::accounts::{
    Authenticator, AuthenticatorChain, htpasswd::HtpasswdAccounts, ldap::LdapAccounts,
    local::LocalAccounts,
};
use portpass_config::AccountSource;
use portpass_federation::ldap::Directory;
use portpass_password::{
    Formats, HtpasswdFile, PasswordCheck,
    htpasswd::{HtpasswdError, HtpasswdSettings},
};
use portpass_state::Db;
use portpass_token::Clock;

use crate::blocking;

/// Starts the sources, in the order in which they are asked.
pub async fn account_sources(
    configured: &[AccountSource],
    db: &Db,
    check: &PasswordCheck,
    clock: &dyn Clock,
) -> Result<AuthenticatorChain, HtpasswdError> {
    let mut sources: Vec<Arc<dyn Authenticator>> = Vec::new();
    for source in configured {
        sources.push(match source {
            AccountSource::Local => Arc::new(LocalAccounts::new(db.clone(), check.clone())),
            AccountSource::Htpasswd { path, formats } => {
                let file = htpasswd_file(path, *formats, check, clock).await?;
                Arc::new(HtpasswdAccounts::new(source.name(), file, check.clone()))
            }
            AccountSource::Ldap(ldap) => {
                let directory = Directory::new(ldap.settings.clone());
                Arc::new(LdapAccounts::new(source.name(), directory, check.clone(), ldap.cache))
            }
        });
    }
    Ok(AuthenticatorChain::new(sources, check.clone()))
}

/// Opens a password file; what is wrong with its lines was said when the configuration was read.
pub async fn htpasswd_file(
    path: &Path,
    formats: Formats,
    check: &PasswordCheck,
    clock: &dyn Clock,
) -> Result<Arc<HtpasswdFile>, HtpasswdError> {
    let settings = HtpasswdSettings { path: path.to_path_buf(), formats };
    let (costs, now) = (check.pool().source(), clock.now());
    let file = blocking(move || HtpasswdFile::open(settings, costs, now)).await?;
    Ok(Arc::new(file))
}
