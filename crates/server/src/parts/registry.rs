//! The registry and what guards it.

use std::sync::Arc;

use portpass_admin::htpasswd_file;
use portpass_config::{Adoption, Auth, RegistryAuth, TokenListen};
use portpass_password::Formats;
use portpass_protocol::challenge::Quotable;
use portpass_registry::{
    Deletes, Guard, Registry, RegistryParts,
    controller::{HtpasswdController, Realm, SillyController, TokenController},
};
use portpass_token::{Verifier, VerifierSettings};

use super::{Base, RegistryPart, StartError, TokenPart, witness::ToTrail};
use crate::http::proxies::Challenges;

/// Opens the store and puts the controller in front.
pub(super) async fn build(
    registry: portpass_config::Registry,
    adoption: Adoption,
    tokens: Option<&TokenPart>,
    base: &Base,
) -> Result<RegistryPart, StartError> {
    let (guard, challenges) = match (registry.auth, tokens) {
        (RegistryAuth::Configured(auth), _) => {
            let challenges = match &auth {
                Auth::Token(token) => named_by(&token.realm),
                Auth::None | Auth::Silly(_) | Auth::Htpasswd(_) => Challenges::NameOthers,
            };
            (named(auth, base).await?, challenges)
        }
        (RegistryAuth::InProcess, Some(tokens)) => {
            let controller = beside(tokens, base)?;
            let challenges = named_by(&controller.realm);
            (Guard::By(Arc::new(controller)), challenges)
        }
        // The configuration does not build without a token service.
        (RegistryAuth::InProcess, None) => {
            return Err(StartError::NoTokenService);
        }
    };
    let guarded = !matches!(guard, Guard::Open);
    let registry = Registry::new(RegistryParts {
        guard,
        db: base.db.clone(),
        store: base.store(&registry.blobs, adoption).await?,
        clock: base.system.clock.clone(),
        random: base.system.random.clone(),
        deletes: if registry.deletes { Deletes::Enabled } else { Deletes::Disabled },
        witness: Arc::new(ToTrail(base.trail.clone())),
    });
    Ok(RegistryPart { registry, guarded, challenges })
}

async fn named(auth: Auth, base: &Base) -> Result<Guard, StartError> {
    let clock = base.system.clock.clone();
    Ok(match auth {
        Auth::None => Guard::Open,
        Auth::Silly(silly) => Guard::By(Arc::new(SillyController::new(silly.realm, silly.service))),
        Auth::Htpasswd(htpasswd) => {
            let check = base.check.clone();
            let file = htpasswd_file(&htpasswd.path, Formats::Current, &check, &*clock).await?;
            let (limits, realm) = (base.limits(htpasswd.attempts), htpasswd.realm);
            Guard::By(Arc::new(HtpasswdController { file, check, limits, realm, clock }))
        }
        Auth::Token(token) => {
            let portpass_config::Token { realm, service, settings, trust } = *token;
            let verifier = Arc::new(Verifier::new(settings, trust));
            Guard::By(Arc::new(TokenController { verifier, realm, service, clock }))
        }
    })
}

fn named_by(realm: &Realm) -> Challenges {
    match realm {
        Realm::Fixed(_) => Challenges::NameOthers,
        Realm::SameOrigin { .. } => Challenges::NameTheRequest,
    }
}

/// Trusts the token service in this process: its keys, and the first of its services.
fn beside(tokens: &TokenPart, base: &Base) -> Result<TokenController, StartError> {
    let settings = VerifierSettings::new(tokens.issuer.clone(), tokens.service.clone());
    let verifier = Arc::new(Verifier::new(settings, tokens.keys.current().trust()));
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
        clock: base.system.clock.clone(),
    })
}
