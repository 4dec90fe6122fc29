//! The token service and what it rests on.

use std::sync::Arc;

use portpass_admin::{account_sources, open_key_ring};
use portpass_authority::{
    http,
    keyring::KeyRing,
    refresh::Lives,
    service::{self, Lifetime, TokenServiceParts},
};
use portpass_config::{Signing, TokenService};

use super::{Base, StartError, TokenPart};
use crate::{http::surface::TokenRoutes, system::System};

/// Opens the key ring and puts the service together.
pub(super) async fn build(config: TokenService, base: &Base) -> Result<TokenPart, StartError> {
    let keys = Arc::new(key_ring(config.signing, config.lifetime, base).await?);
    let accounts =
        account_sources(&config.accounts, &base.db, &base.check, &*base.system.clock).await?;
    for squatter in accounts.squatters(&config.rules, base.system.clock.now()).await {
        tracing::warn!("{squatter}");
    }
    let parts = TokenServiceParts {
        issuer: config.issuer.clone(),
        lifetime: config.lifetime,
        services: config.services.clone(),
        accounts,
        anonymous: config.anonymous,
        policy: config.rules,
        keys: keys.clone(),
        db: base.db.clone(),
        refresh: Lives::default(),
        limits: base.limits(config.attempts),
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

async fn key_ring(
    signing: Signing,
    lifetime: Lifetime,
    base: &Base,
) -> Result<KeyRing, StartError> {
    match signing {
        Signing::Files(key) => Ok(KeyRing::fixed(*key)),
        Signing::Ring(algorithm) => {
            let System { clock, random, .. } = &base.system;
            let (data, random) = (base.directory.path(), random.clone());
            Ok(open_key_ring(algorithm, lifetime, &base.db, data, random, clock.now()).await?)
        }
    }
}
