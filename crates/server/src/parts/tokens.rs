//! The token service and what it rests on.

use std::{path::Path, sync::Arc};

use portpass_authority::{
    accounts::{Authenticator, Chain, htpasswd::HtpasswdAccounts, local::LocalAccounts},
    http,
    keyring::KeyRing,
    limits::{LimitSettings, Limits},
    refresh::Lives,
    service::{self, Lifetime, TokenServiceParts},
};
use portpass_password::{Formats, HtpasswdFile, htpasswd::HtpasswdSettings};

use super::{Base, StartError, TokenPart, blocking, keys::open_ring};
use crate::{
    config::{AccountSource, Signing, TokenService},
    http::surface::TokenRoutes,
    publish,
};

/// Opens the key ring, writes what other registries trust, and puts the service together.
pub(super) async fn build(config: TokenService, base: &Base) -> Result<TokenPart, StartError> {
    let keys = Arc::new(key_ring(config.signing, config.lifetime, base).await?);
    publish::write(base.directory.path(), &keys.current()).await?;
    let parts = TokenServiceParts {
        issuer: config.issuer.clone(),
        lifetime: config.lifetime,
        services: config.services.clone(),
        accounts: accounts(&config.accounts, base).await?,
        anonymous: config.anonymous,
        policy: config.rules,
        keys: keys.clone(),
        db: base.db.clone(),
        refresh: Lives::default(),
        limits: limits(config.limited, base),
        trail: base.trail.clone(),
        clock: base.system.clock.clone(),
        random: base.system.random.clone(),
    };
    let router = http::router(Arc::new(service::TokenService::new(parts)), &config.path);
    Ok(TokenPart {
        routes: TokenRoutes { path: config.path, router },
        listen: config.listen,
        url: config.url,
        keys,
        issuer: config.issuer,
        service: config.services.first().name.clone(),
    })
}

/// Opens a password file; what is wrong with its lines goes into the log.
pub(super) async fn htpasswd_file(
    path: &Path,
    legacy: bool,
    base: &Base,
) -> Result<Arc<HtpasswdFile>, StartError> {
    let formats = if legacy { Formats::Legacy } else { Formats::Current };
    let settings = HtpasswdSettings { path: path.to_path_buf(), formats };
    let (costs, now) = (base.check.pool().source(), base.system.clock.now());
    let file = blocking(move || HtpasswdFile::open(settings, costs, now)).await?;
    for warning in file.warnings() {
        tracing::warn!("{}: {warning}", path.display());
    }
    Ok(Arc::new(file))
}

async fn key_ring(
    signing: Signing,
    lifetime: Lifetime,
    base: &Base,
) -> Result<KeyRing, StartError> {
    match signing {
        Signing::Files(key) => Ok(KeyRing::fixed(*key)),
        Signing::Ring(algorithm) => {
            open_ring(algorithm, lifetime, &base.db, base.directory.path(), &base.system).await
        }
    }
}

async fn accounts(configured: &[AccountSource], base: &Base) -> Result<Chain, StartError> {
    let mut sources: Vec<Arc<dyn Authenticator>> = Vec::new();
    for source in configured {
        sources.push(match source {
            AccountSource::Local => {
                Arc::new(LocalAccounts::new(base.db.clone(), base.check.clone()))
            }
            AccountSource::Htpasswd { path, legacy_hashes } => {
                let file = htpasswd_file(path, *legacy_hashes, base).await?;
                Arc::new(HtpasswdAccounts::new(source.name(), file, base.check.clone()))
            }
        });
    }
    Ok(Chain::new(sources, base.check.clone()))
}

fn limits(limited: bool, base: &Base) -> Limits {
    if limited {
        Limits::new(LimitSettings::default(), &*base.system.random)
    } else {
        Limits::off()
    }
}
