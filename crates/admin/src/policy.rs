//! Who may do what, and which rule says so.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use portpass_authority::{
    accounts::AuthenticatorChain,
    policy::{self, Explanation},
    subject::{Account, SourceName, Subject},
};
use portpass_config::TokenService;
use portpass_password::{
    CredentialCache, HashPool, PasswordCheck, htpasswd::HtpasswdError, pool::PoolSettings,
};
use portpass_protocol::{
    AccessSet,
    scope::{self, ScopeError},
};
use portpass_state::AccountStatus;
use portpass_token::ServiceName;

use super::{AdminError, Installation};
use crate::account_sources;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Somebody without credentials.
    Anonymous,
    /// Whoever logs in by this name.
    Account(String),
}

/// What somebody would be granted, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyExplanation {
    /// One for each resource, in the order asked.
    pub explanations: Vec<Explanation>,
    /// What a token request would leave out, and why.
    pub ignored_scopes: Vec<String>,
    /// What keeps the account from getting any token at all.
    pub obstacle: Option<String>,
}

impl Installation {
    /// Decides as the token service would on a request with these scopes, without one being made.
    ///
    /// `service` is absent for the one that requests without a service mean.
    pub async fn explain(
        &self,
        who: &Caller,
        service: Option<&str>,
        scopes: &[String],
    ) -> Result<PolicyExplanation, AdminError> {
        let token_service = self.token_service()?;
        let service = service_name(token_service, service)?;
        let (requested, ignored_scopes) = requested(scopes)?;
        let (subject, obstacle) = match who {
            Caller::Anonymous => {
                let refused = "anonymous callers get no token here (`token_service.anonymous`)";
                let obstacle = (!token_service.anonymous).then(|| refused.to_owned());
                (Subject::Anonymous, obstacle)
            }
            Caller::Account(name) => {
                let account = self.find_account(token_service, name).await?;
                let obstacle = self.obstacle(token_service, &account).await?;
                (Subject::from(account), obstacle)
            }
        };
        let request = policy::Request {
            subject: &subject,
            service: &service,
            address: None,
            now: self.now(),
        };
        let rights = token_service.policy.policy();
        let explain = |access| policy::explain(&*rights, &request, access);
        let explanations = requested.iter().map(explain).collect();
        Ok(PolicyExplanation {
            explanations,
            ignored_scopes: ignored_scopes.iter().map(ToString::to_string).collect(),
            obstacle,
        })
    }

    pub(super) async fn find_account(
        &self,
        service: &TokenService,
        name: &str,
    ) -> Result<Account, AdminError> {
        let sources: Vec<String> =
            service.accounts.iter().map(|source| source.name().to_string()).collect();
        let unknown = || AdminError::UnknownAccount { name: name.to_owned(), sources };
        let Ok(parsed) = name.parse() else { return Err(unknown()) };
        let chain = self.chain(service).await?;
        chain.by_name(&parsed, self.now()).await?.ok_or_else(unknown)
    }

    /// What keeps an account from getting any token.
    pub(super) async fn obstacle(
        &self,
        service: &TokenService,
        account: &Account,
    ) -> Result<Option<String>, AdminError> {
        if account.source != SourceName::local() {
            let obstacle = self.chain(service).await?.obstacle(account, self.now()).await?;
            return Ok(obstacle.map(|why| format!("`{}` gets no token: {why}", account.name)));
        }
        let row = self.db.account(account.name.as_str()).await?;
        let disabled = row.is_some_and(|row| row.status != AccountStatus::Enabled);
        Ok(disabled
            .then(|| format!("the account `{}` is disabled: it gets no token", account.name)))
    }

    /// The sources of accounts, for looking names up: no password is checked here.
    async fn chain(&self, service: &TokenService) -> Result<AuthenticatorChain, HtpasswdError> {
        let mut key = [0; 32];
        self.random.fill(&mut key);
        let pool = HashPool::new(PoolSettings::for_cores(NonZeroUsize::MIN));
        let cache = CredentialCache::new(key, NonZeroUsize::MIN, Duration::ZERO);
        let check = PasswordCheck::new(pool, Arc::new(cache));
        account_sources(&service.accounts, &self.db, &check, &*self.clock).await
    }
}

pub(super) fn service_name(
    service: &TokenService,
    name: Option<&str>,
) -> Result<ServiceName, AdminError> {
    let found = match name {
        None => service.services.iter().next(),
        Some(name) => service.services.named(name),
    };
    found.map(|service| service.name.clone()).ok_or_else(|| AdminError::UnknownService {
        name: name.unwrap_or_default().to_owned(),
        known: service.services.iter().map(|service| service.name.to_string()).collect(),
    })
}

/// One entry for each resource, in the order asked, and what is left out, as in a token request. Where nothing is
/// left there is nothing to explain.
fn requested(scopes: &[String]) -> Result<(AccessSet, Vec<ScopeError>), AdminError> {
    let mut requested = AccessSet::new();
    let mut ignored_scopes = Vec::new();
    for text in scopes {
        let (scopes, errors) = scope::parse_list(text);
        ignored_scopes.extend(errors);
        for scope in scopes {
            match scope.with_valid_name() {
                Ok(scope) => requested.insert(scope.into_access()),
                Err(error) => ignored_scopes.push(error),
            }
        }
    }
    match ignored_scopes.pop() {
        Some(error) if requested.is_empty() => Err(error.into()),
        last => {
            ignored_scopes.extend(last);
            Ok((requested, ignored_scopes))
        }
    }
}
