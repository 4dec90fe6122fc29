//! The token service and what it rests on.

use std::sync::Arc;

use portpass_admin::{OpenKeyRingError, account_sources, open_key_ring};
use portpass_authority::{
    http::{self, Endpoints, INTROSPECT_PATH, Metadata},
    keyring::{FileRingParts, KeyRing},
    refresh::RefreshLifetimes,
    service::{self, Lifetime, TokenServiceParts},
};
use portpass_config::{AccountSource, Signing, TokenService};

use super::{SharedState, StartError, TokenComponent, account_groups::AccountGroups};
use crate::{
    http::listener_router::TokenRoutes, metrics::RouteKind, rule_file::WatchedRules, system::System,
};

/// Opens the key ring and puts the service together.
pub(super) async fn build(
    config: TokenService,
    shared: &SharedState,
) -> Result<TokenComponent, StartError> {
    let longest = config.longest_lifetime();
    let System { clock, random, .. } = &shared.system;
    let accounts = account_sources(&config, &shared.db, &shared.check, &**clock, random).await?;
    let keys = Arc::new(key_ring(config.signing, longest, shared).await?);
    if let Some(rules) = config.policy.rules() {
        for squatter in accounts.squatters(rules, shared.system.clock.now()).await {
            tracing::warn!("{squatter}");
        }
    }
    let watched = |file| Arc::new(WatchedRules::new(file, config.policy.policy()));
    let rules = config.policy.file().map(watched);
    let components = TokenServiceParts {
        issuer: config.issuer.clone(),
        lifetime: config.lifetime,
        services: config.services.clone(),
        accounts,
        anonymous: config.anonymous,
        policy: match &rules {
            Some(watched) => watched.policy(),
            None => config.policy.policy(),
        },
        keys: keys.clone(),
        db: shared.db.clone(),
        refresh: RefreshLifetimes::default(),
        uses: shared.uses.clone(),
        limits: shared.limits(config.attempts),
        rates: shared.rates(config.rates),
        introspection: config.introspection,
        trail: shared.trail.clone(),
        clock: shared.system.clock.clone(),
        random: shared.system.random.clone(),
    };
    let service = Arc::new(service::TokenService::new(components));
    let groups = Arc::new(AccountGroups { service: service.clone(), clock: clock.clone() });
    let endpoints = Endpoints {
        url: config.url.as_ref(),
        token: &config.path,
        introspection: service.introspects(),
        token_exchange: config.accounts.iter().any(AccountSource::is_workload),
    };
    let metadata = Metadata::new(service.issuer(), &endpoints);
    let metadata = metadata.inspect_err(|why| tracing::debug!("no metadata is served: {why}")).ok();
    let verifiers = service.verifiers().cloned().collect();
    let optional = [
        service.introspects().then(|| (INTROSPECT_PATH.into(), RouteKind::Introspect)),
        metadata.as_ref().map(|metadata| (metadata.path().into(), RouteKind::Metadata)),
    ];
    let router = http::router(service, &config.path, metadata);
    let optional = optional.into_iter().flatten().collect();
    Ok(TokenComponent {
        routes: TokenRoutes { path: config.path, optional, router },
        verifiers,
        listen: config.listen,
        url: config.url,
        keys,
        rules,
        issuer: config.issuer,
        service: config.services.first().name.clone(),
        groups,
    })
}

async fn key_ring(
    signing: Signing,
    lifetime: Lifetime,
    shared: &SharedState,
) -> Result<KeyRing, StartError> {
    match signing {
        Signing::Files(pairs) => {
            let token_lifetime = lifetime.as_duration();
            let parts = FileRingParts { pairs, db: shared.db.clone(), token_lifetime };
            let ring = KeyRing::from_files(parts, shared.system.clock.now()).await;
            Ok(ring.map_err(OpenKeyRingError::from)?)
        }
        Signing::Ring(algorithms) => {
            let System { clock, random, .. } = &shared.system;
            let (data, random) = (shared.directory.path(), random.clone());
            Ok(open_key_ring(&algorithms, lifetime, &shared.db, data, random, clock.now()).await?)
        }
    }
}
