//! Who may do what, and which rule says so.

use std::{net::IpAddr, time::SystemTime};

use portpass_authority::{
    accounts::AuthenticatorChain,
    policy::{self, Explanation},
    subject::{Account, AccountKind, Subject},
};
use portpass_config::{Part, TokenService};
use portpass_protocol::{
    AccessSet,
    scope::{self, ScopeError},
};
use portpass_token::ServiceName;

use super::{AdminError, Installation, audit};

mod caller;
mod callers;
mod described;
mod diff;
mod expected;
mod lint;
mod rulebook;
mod who;

pub(crate) use self::rulebook::account as made_up_account;
pub use self::{
    caller::Caller,
    callers::UnlistedSource,
    diff::{ChangedRegion, ChangedRights, Decider, RightsDiff},
    expected::TestedExpectation,
    lint::{LintFinding, Severity},
    rulebook::Rulebook,
    who::{Meant, Reach, ReachingCaller, RuleOnIt, UnlistedReach},
};

/// What a decision depends on beside who asks for what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// The service that the token is for; absent: the one that requests without a service mean.
    pub service: Option<String>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// When: RFC 3339, or how long ago; absent: now.
    pub at: Option<String>,
}

impl Circumstances {
    fn moment(&self, now: SystemTime) -> Result<SystemTime, AdminError> {
        self.at.as_deref().map_or(Ok(now), |text| audit::time(text, now))
    }
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
    /// What of the account is not known here, and how to learn it.
    pub caveat: Option<String>,
}

impl Installation {
    /// Decides as the token service would on a request with these scopes, without one being made.
    pub async fn explain(
        &self,
        who: &Caller,
        circumstances: &Circumstances,
        scopes: &[String],
    ) -> Result<PolicyExplanation, AdminError> {
        // Without a source, its rules and groups are missing too.
        self.config.require(Part::Accounts)?;
        self.config.require(Part::Rules)?;
        let token_service = self.token_service()?;
        let service = service_name(token_service, circumstances.service.as_deref())?;
        let (requested, ignored_scopes) = requested(scopes)?;
        let mut caveat = None;
        let (subject, obstacle) = match who {
            Caller::Anonymous => {
                let refused = "anonymous callers get no token here (`token_service.anonymous`)";
                let obstacle = (!token_service.anonymous).then(|| refused.to_owned());
                (Subject::Anonymous, obstacle)
            }
            Caller::Account(_) | Caller::Robot(_) | Caller::Key(_) => {
                let (account, obstacle) = self.find_with_obstacle(token_service, who).await?;
                caveat = (account.kind == AccountKind::Workload).then(|| only_in_token(&account));
                (Subject::from(account), obstacle)
            }
        };
        let request = policy::Request {
            subject: &subject,
            service: &service,
            address: circumstances.address,
            now: circumstances.moment(self.now())?,
        };
        let rights = token_service.policy.policy();
        let explain = |access| policy::explain(&*rights, &request, access);
        let explanations = requested.iter().map(explain).collect();
        Ok(PolicyExplanation {
            explanations,
            ignored_scopes: ignored_scopes.iter().map(ToString::to_string).collect(),
            obstacle,
            caveat,
        })
    }

    pub(super) async fn find_account(
        &self,
        service: &TokenService,
        who: &Caller,
    ) -> Result<Account, AdminError> {
        let chain = self.chain(service).await?;
        rulebook::find_known(&chain, &self.db, service, who, self.now()).await
    }

    /// Fails if no source has the account. A source that does not answer may have it.
    pub async fn check_account_known(&self, account: &str) -> Result<(), AdminError> {
        let service = self.token_service()?;
        match self.find_account(service, &Caller::Account(account.to_owned())).await {
            Err(unknown @ AdminError::UnknownAccount { .. }) => Err(unknown),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The sources of accounts, for looking names up.
    pub(super) async fn chain(
        &self,
        service: &TokenService,
    ) -> Result<AuthenticatorChain, AdminError> {
        self.config.require(Part::Accounts)?;
        Ok(rulebook::lookup_chain(service, &self.db, &self.random, &*self.clock).await?)
    }

    /// The account, and what keeps it from getting any token.
    pub(super) async fn find_with_obstacle(
        &self,
        service: &TokenService,
        who: &Caller,
    ) -> Result<(Account, Option<String>), AdminError> {
        let chain = self.chain(service).await?;
        let account = rulebook::find_known(&chain, &self.db, service, who, self.now()).await?;
        let obstacle = rulebook::obstacle(&chain, &account, self.now()).await?;
        Ok((account, obstacle))
    }
}

/// What `policy explain` cannot know of a workload.
fn only_in_token(workload: &Account) -> String {
    format!(
        "the token of `{name}` says its groups and labels, and the rules for them are left out here: `portpass diagnose \
         --workload FILE` shows those of a token, and `portpass policy test` takes them, as in `{{ as: {source}/{name}, \
         groups: [], labels: {{}}, … }}`",
        name = workload.name,
        source = workload.source,
    )
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

#[cfg(test)]
mod tests;
