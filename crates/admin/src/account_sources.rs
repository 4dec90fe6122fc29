//! The sources of accounts that a configuration names.

use std::{path::Path, sync::Arc};

use portpass_authority::accounts::{
    Authenticator, AuthenticatorChain, Machines, htpasswd::HtpasswdAccounts, http::HttpAccounts,
    ldap::LdapAccounts, local::LocalAccounts, workload::WorkloadAccounts,
};
use portpass_config::{AccountSource, TokenService, WorkloadKeys, WorkloadSource};
use portpass_federation::{
    hook::Hook,
    issuer_keys::IssuerKeys,
    ldap::Directory,
    web::{Redirects, WebSettings},
    workload::WorkloadIssuer,
};
use portpass_jose::KeySet;
use portpass_password::{
    Formats, HtpasswdFile, PasswordCheck,
    htpasswd::{HtpasswdError, HtpasswdSettings},
};
use portpass_state::Db;
use portpass_token::{Clock, Random};

use crate::blocking;

/// Starts the sources, in the order in which they are asked, with the robots and API keys of the database and the groups
/// of the configuration.
pub async fn account_sources(
    configured: &TokenService,
    db: &Db,
    check: &PasswordCheck,
    clock: &dyn Clock,
    random: &Arc<dyn Random>,
) -> Result<AuthenticatorChain, HtpasswdError> {
    let mut sources: Vec<Arc<dyn Authenticator>> = Vec::new();
    let mut workloads = Vec::new();
    for source in &configured.accounts {
        sources.push(match source {
            AccountSource::Local => {
                let local = LocalAccounts::new(db.clone(), check.clone());
                Arc::new(local.with_upgrades(Arc::clone(random)))
            }
            AccountSource::Htpasswd { path, formats } => {
                let file = htpasswd_file(path, *formats, check, clock).await?;
                Arc::new(HtpasswdAccounts::new(source.name(), file, check.clone()))
            }
            AccountSource::Http(http) => {
                let (name, hook) = (source.name(), Hook::new(http.hook.clone()));
                Arc::new(HttpAccounts::new(name, hook, http.lookups, check.clone(), http.cache))
            }
            AccountSource::Ldap(ldap) => {
                let directory = Directory::new(ldap.settings.clone());
                Arc::new(LdapAccounts::new(source.name(), directory, check.clone(), ldap.cache))
            }
            AccountSource::Workload(workload) => {
                let issuer = workload_issuer(workload);
                let (name, check, db) = (source.name(), check.clone(), db.clone());
                let accounts = Arc::new(WorkloadAccounts::new(name, issuer, check, db));
                workloads.push(Arc::clone(&accounts));
                accounts
            }
        });
    }
    let machines = Arc::new(Machines::new(db.clone()));
    let chain = AuthenticatorChain::new(sources, check.clone());
    let chain = chain.with_workloads(workloads).with_machines(machines);
    Ok(chain.with_groups(configured.groups.clone()))
}

/// An issuer of workload identities; nothing is fetched before the first token.
pub(crate) fn workload_issuer(source: &WorkloadSource) -> WorkloadIssuer {
    let keys = match &source.keys {
        // It was read when the configuration was: without a key nobody gets in.
        WorkloadKeys::File(text) => IssuerKeys::fixed(KeySet::from_jwks(text).unwrap_or_default()),
        WorkloadKeys::Issuer { authorities, timeout, fresh } => {
            let web = WebSettings {
                authorities: authorities.clone(),
                identity: None,
                timeout: *timeout,
                redirects: Redirects::Followed,
            };
            IssuerKeys::discovered(source.rules.issuer.clone(), web, *fresh)
        }
    };
    WorkloadIssuer::new(source.rules.clone(), keys)
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
