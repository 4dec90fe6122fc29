//! The registry and what guards it.

use std::sync::Arc;

use portpass_admin::{AuditEvents, htpasswd_file};
use portpass_config::{
    Adoption, Auth, Children, Http, NotificationsConfig, RegistryAuth, TokenListen,
};
use portpass_password::Formats;
use portpass_protocol::challenge::Quotable;
use portpass_registry::{
    ApiSettings, Deletes, Guard, Notifications, ReadOnly, Registry, RegistryParts, UploadUrls,
    controller::{HtpasswdController, Realm, SillyController, TokenController},
    groups::{GroupDirectory, NoGroups},
    notification::{NotificationSettings, Source},
};
use portpass_state::AbsentChildren;
use portpass_token::{Verifier, VerifierSettings};

use super::{RegistryComponent, SharedState, StartError, TokenComponent};
use crate::{http::proxies::ChallengeRealm, system::System};

/// Opens the store and puts the controller in front.
pub(super) async fn build(
    registry: portpass_config::Registry,
    adoption: Adoption,
    http: &Http,
    tokens: Option<&TokenComponent>,
    shared: &SharedState,
) -> Result<RegistryComponent, StartError> {
    let (guard, challenges, verifier) = match (registry.auth, tokens) {
        (RegistryAuth::Configured(auth), _) => {
            let challenges = match &auth {
                Auth::Token(token) => challenge_realm(&token.realm),
                Auth::None | Auth::Silly(_) | Auth::Htpasswd(_) => ChallengeRealm::Fixed,
            };
            (configured_guard(auth, shared).await?, challenges, None)
        }
        (RegistryAuth::InProcess, Some(tokens)) => {
            let controller = in_process_controller(tokens, shared)?;
            let challenges = challenge_realm(&controller.realm);
            let verifier = Some(controller.verifier.clone());
            (Guard::Controller(Arc::new(controller)), challenges, verifier)
        }
        // The configuration does not build without a token service.
        (RegistryAuth::InProcess, None) => {
            return Err(StartError::NoTokenService);
        }
    };
    let endpoints = registry.notifications.endpoints.clone();
    let read_only = Arc::new(ReadOnly::read(registry.read_only, &shared.db).await?);
    let (guarded, gc) = (!matches!(guard, Guard::Open), registry.gc);
    let groups: Arc<dyn GroupDirectory> = match tokens {
        Some(tokens) => tokens.groups.clone(),
        None => Arc::new(NoGroups),
    };
    let registry = Registry::new(RegistryParts {
        guard,
        db: shared.db.clone(),
        store: shared.store(&registry.blobs, adoption).await?,
        clock: shared.system.clock.clone(),
        random: shared.system.random.clone(),
        deletes: if registry.deletes { Deletes::Enabled } else { Deletes::Disabled },
        events: Arc::new(AuditEvents(shared.trail.clone())),
        notifications: notifications(&registry.notifications, http, shared),
        pulls: shared.pulls.clone(),
        read_only: read_only.clone(),
        settings: ApiSettings {
            absent_children: match registry.children {
                Children::Present => AbsentChildren::Refused,
                Children::Any => AbsentChildren::Allowed,
            },
            catalog_limit: registry.catalog.max_entries,
            upload_urls: if registry.upload_query {
                UploadUrls::WithQuery
            } else {
                UploadUrls::Plain
            },
        },
        rules: Arc::new(registry.rules),
        groups,
    });
    Ok(RegistryComponent { gc, registry, read_only, endpoints, guarded, challenges, verifier })
}

/// What makes events; nothing where nobody is told.
fn notifications(
    config: &NotificationsConfig,
    http: &Http,
    shared: &SharedState,
) -> Option<Arc<Notifications>> {
    if config.endpoints.is_empty() {
        return None;
    }
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let source = Source {
        addr: format!("{name}:{}", http.addr.socket().port()),
        instance: shared.instance.clone(),
    };
    let settings = NotificationSettings {
        interests: config.endpoints.iter().map(|endpoint| endpoint.interest.clone()).collect(),
        references: config.references,
        source,
    };
    let System { clock, random, .. } = &shared.system;
    let (clock, random) = (clock.clone(), random.clone());
    Some(Arc::new(Notifications::new(settings, clock, random, shared.pull_events.clone())))
}

async fn configured_guard(auth: Auth, shared: &SharedState) -> Result<Guard, StartError> {
    let clock = shared.system.clock.clone();
    Ok(match auth {
        Auth::None => Guard::Open,
        Auth::Silly(silly) => {
            Guard::Controller(Arc::new(SillyController::new(silly.realm, silly.service)))
        }
        Auth::Htpasswd(htpasswd) => {
            let check = shared.check.clone();
            let file = htpasswd_file(&htpasswd.path, Formats::Current, &check, &*clock).await?;
            let (limits, realm) = (shared.limits(htpasswd.attempts), htpasswd.realm);
            Guard::Controller(Arc::new(HtpasswdController { file, check, limits, realm, clock }))
        }
        Auth::Token(token) => {
            let portpass_config::Token { realm, service, settings, trust } = *token;
            let verifier = Arc::new(Verifier::with_settings(settings, trust));
            Guard::Controller(Arc::new(TokenController { verifier, realm, service, clock }))
        }
    })
}

fn challenge_realm(realm: &Realm) -> ChallengeRealm {
    match realm {
        Realm::Fixed(_) => ChallengeRealm::Fixed,
        Realm::SameOrigin { .. } => ChallengeRealm::FromRequest,
    }
}

/// Trusts the token service in this process: its keys, and the first of its services.
fn in_process_controller(
    tokens: &TokenComponent,
    shared: &SharedState,
) -> Result<TokenController, StartError> {
    let settings = VerifierSettings::new(tokens.issuer.clone(), tokens.service.clone());
    let verifier = Arc::new(Verifier::with_settings(settings, tokens.keys.current().trust()));
    tokens.keys.trusted_by(verifier.clone());
    let path = Quotable::new("path", tokens.routes.path.as_str())?;
    let realm = match (&tokens.listen, &tokens.url) {
        (TokenListen::Own { .. }, Some(url)) => Realm::Fixed(Quotable::at(url, &path)),
        (TokenListen::Shared, _) | (TokenListen::Own { .. }, None) => Realm::SameOrigin { path },
    };
    Ok(TokenController {
        verifier,
        realm,
        service: Quotable::new("service", tokens.service.as_str())?,
        clock: shared.system.clock.clone(),
    })
}
