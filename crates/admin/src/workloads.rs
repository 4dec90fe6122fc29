//! Why a workload's token is an account, or nobody's: the same checks as at a login, and each condition beside it.

use std::time::SystemTime;

use portpass_authority::subject::{AccountKind, Group};
use portpass_config::{AccountSource, Config, Profile, TokenService, WorkloadSource};
use portpass_federation::workload::{ClaimedToken, Examined, Failure, Workload};
use portpass_jose::{Excerpt, unverified::Unverified};
use portpass_protocol::advice::{Advice, RefusedBy};
use serde::Serialize;

use crate::{AdminError, account_sources::workload_issuer, policy::made_up_account, rfc3339};

/// What a token service with this configuration makes of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkloadExamination {
    /// What rules call the source that decides.
    pub source: String,
    /// Its issuer.
    pub issuer: String,
    /// The account, where there is one.
    pub account: Option<WorkloadAccount>,
    /// Why there is none.
    pub refusal: Option<WorkloadRefusal>,
    /// Every entry of `accounts`, held against the token.
    pub entries: Vec<WorkloadEntry>,
}

/// The account that a token is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkloadAccount {
    /// Its name.
    pub name: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// Its labels, as `NAME: VALUE`.
    pub labels: Vec<String>,
    /// Until when.
    pub until: String,
}

/// Why a token is nobody's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkloadRefusal {
    /// As in the log.
    pub id: String,
    /// As in the log.
    pub reason: String,
    /// What to do about it.
    pub what_to_do: Option<&'static str>,
}

/// An entry of `accounts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkloadEntry {
    /// Its `name`, as it is written.
    pub name: String,
    /// What it demands.
    pub conditions: Vec<WorkloadCondition>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkloadCondition {
    /// Which claim.
    pub claim: String,
    /// What the token has there.
    pub found: String,
    /// What would match.
    pub expected: Vec<String>,
    /// Whether it does.
    pub holds: bool,
}

/// Checks a token as a login with it would be, and uses it up in no way. The issuer is asked for its keys.
pub async fn examine_workload(
    config: &Config,
    token: &str,
    now: SystemTime,
) -> Result<WorkloadExamination, AdminError> {
    let claims = Unverified::parse(token).and_then(|token| token.claims());
    let claims = claims.map_err(|why| AdminError::NotAWorkloadToken { why: why.to_string() })?;
    let service = config.token_service.as_ref().ok_or(AdminError::NoTokenService)?;
    let source = source_of(service, token)?;
    let issuer = workload_issuer(source);
    let entries = issuer.rules().examine(&claims).into_iter().map(entry).collect();
    let (account, refusal) = match issuer.verify(token, now).await {
        Ok(workload) => (Some(account(workload, source, service)), None),
        Err(failure) => (None, Some(refusal(&failure))),
    };
    Ok(WorkloadExamination {
        source: source.name.to_string(),
        issuer: source.rules.issuer.to_string(),
        account,
        refusal,
        entries,
    })
}

fn source_of<'a>(service: &'a TokenService, token: &str) -> Result<&'a WorkloadSource, AdminError> {
    let sources = service.accounts.iter().filter_map(|source| match source {
        AccountSource::Workload(workload) => Some(&**workload),
        AccountSource::Local
        | AccountSource::Htpasswd { .. }
        | AccountSource::Http(_)
        | AccountSource::Ldap(_) => None,
    });
    let sources: Vec<&WorkloadSource> = sources.collect();
    let claimed = ClaimedToken::parse(token);
    let claimed = claimed.as_ref().map(ClaimedToken::issuer);
    let found = sources.iter().find(|source| Some(source.rules.issuer.as_str()) == claimed);
    found.copied().ok_or_else(|| AdminError::UnknownIssuer {
        found: claimed.map(|issuer| Excerpt::of(issuer).to_string()),
        configured: sources.iter().map(|source| source.rules.issuer.to_string()).collect(),
    })
}

fn account(workload: Workload, source: &WorkloadSource, service: &TokenService) -> WorkloadAccount {
    let mut groups = workload.groups.clone();
    if let Ok(name) = workload.name.parse() {
        let of_source = workload.groups.iter().filter_map(|group| group.parse().ok()).collect();
        let profile = Profile { groups: of_source, ..Profile::default() };
        let made_up = made_up_account(source.name.clone(), name, AccountKind::Workload, &profile);
        let joined = service.groups.join(made_up);
        groups.extend(joined.groups.iter().map(Group::to_string));
    }
    let labels = workload.labels.iter();
    let labels = labels
        .flat_map(|(name, values)| values.iter().map(move |value| format!("{name}: {value}")));
    WorkloadAccount {
        labels: labels.collect(),
        name: workload.name,
        groups: groups.into_iter().collect(),
        until: rfc3339(workload.until),
    }
}

fn refusal(failure: &Failure) -> WorkloadRefusal {
    let id = match failure {
        Failure::Refused(refusal) => refusal.id(),
        Failure::Unavailable(_) => "accounts-unavailable",
    };
    let advice = Advice::on(RefusedBy::TokenService, id);
    WorkloadRefusal {
        id: id.to_owned(),
        reason: failure.to_string(),
        what_to_do: advice.map(|advice| advice.what_to_do),
    }
}

fn entry(examined: Examined) -> WorkloadEntry {
    let mut conditions: Vec<WorkloadCondition> = examined
        .conditions
        .into_iter()
        .map(|condition| WorkloadCondition {
            claim: condition.claim.to_string(),
            found: condition.found.to_string(),
            expected: condition.expected.iter().map(ToString::to_string).collect(),
            holds: condition.holds,
        })
        .collect();
    if let Some(trigger) = examined.trigger {
        conditions.push(WorkloadCondition {
            claim: trigger.claim.to_owned(),
            found: format!("{:?}", trigger.value),
            expected: vec![format!("written out under `when`, since {}", trigger.who)],
            holds: false,
        });
    }
    WorkloadEntry { name: examined.name, conditions }
}
