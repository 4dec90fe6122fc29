//! The caller of an expectation: as the sources know it, or as the expectation describes it.

use std::{collections::BTreeSet, sync::Arc};

use portpass_authority::{
    ceiling::Ceiling,
    subject::{Account, AccountKind, RobotName, SourceName, Subject},
};
use portpass_config::{AccountSource, Expectation, Profile};

use super::{
    AdminError, Caller, Rulebook,
    rulebook::{account, obstacle},
};

/// Who asks, and what keeps it from getting any token.
#[derive(Debug)]
pub(super) struct ExpectedCaller {
    pub(super) subject: Subject,
    pub(super) obstacle: Option<String>,
}

impl Rulebook {
    /// Who that is. What the expectation says of an account counts in place of its source; of a robot that exists, it
    /// must be true.
    pub(super) async fn expected_caller(
        &self,
        who: &Caller,
        expected: &Expectation,
    ) -> Result<ExpectedCaller, AdminError> {
        let limit = expected.limit.as_ref();
        match (who, &expected.profile) {
            (Caller::Anonymous, _) => {
                Ok(ExpectedCaller { subject: Subject::Anonymous, obstacle: None })
            }
            (Caller::Robot(name), _) => match limit {
                Some(limit) => self.described_robot(who, name, limit).await,
                None => self.known(self.find(who).await?).await,
            },
            (_, Some(profile)) => {
                let person = self.made_up(who, profile)?;
                Ok(described(limited(person, limit)?))
            }
            (Caller::Account(_) | Caller::Key(_), None) => {
                let account = self.find(who).await?;
                self.known(limited(account, limit)?).await
            }
        }
    }

    async fn known(&self, account: Account) -> Result<ExpectedCaller, AdminError> {
        let obstacle = match self.chain() {
            Some(chain) => obstacle(chain, &account, self.now()).await?,
            None => None,
        };
        Ok(ExpectedCaller { subject: account.into(), obstacle })
    }

    async fn described_robot(
        &self,
        who: &Caller,
        name: &str,
        limit: &Ceiling,
    ) -> Result<ExpectedCaller, AdminError> {
        match self.find(who).await {
            Ok(robot) if robot.ceiling.as_deref().is_some_and(|has| is_same(has, limit)) => {
                self.known(robot).await
            }
            Ok(robot) => Err(AdminError::OtherPermission {
                name: name.to_owned(),
                has: robot.ceiling.map_or_else(String::new, |has| has.to_string()),
                said: limit.to_string(),
            }),
            // It will be made, or this is no installation.
            Err(AdminError::UnknownRobot { .. }) => {
                let robot: RobotName = name
                    .parse()
                    .map_err(|why| AdminError::InvalidRobotName { text: name.to_owned(), why })?;
                let nothing = Profile::default();
                let robot =
                    account(SourceName::robot(), robot.account(), AccountKind::Robot, &nothing);
                let robot = self.service()?.groups.join(robot);
                Ok(described(Account { ceiling: Some(Arc::new(limit.clone())), ..robot }))
            }
            Err(error) => Err(error),
        }
    }

    /// An account that no source need know.
    fn made_up(&self, who: &Caller, profile: &Profile) -> Result<Account, AdminError> {
        let first = self.service()?.accounts.first().map(AccountSource::name);
        let source = who.source().or(first).unwrap_or_else(SourceName::local);
        let name = who.account_names().into_iter().next().ok_or_else(|| self.unknown(who))?;
        Ok(self.service()?.groups.join(account(source, name, AccountKind::Person, profile)))
    }
}

fn described(account: Account) -> ExpectedCaller {
    ExpectedCaller { subject: account.into(), obstacle: None }
}

/// What an API key with that limit makes of a person.
fn limited(account: Account, limit: Option<&Ceiling>) -> Result<Account, AdminError> {
    let Some(limit) = limit else { return Ok(account) };
    if account.kind != AccountKind::Person || account.ceiling.is_some() {
        return Err(AdminError::NoPerson { name: account.name.to_string() });
    }
    Ok(Account { kind: AccountKind::ApiKey, ceiling: Some(Arc::new(limit.clone())), ..account })
}

/// In whatever order the patterns stand.
fn is_same(one: &Ceiling, other: &Ceiling) -> bool {
    let patterns = |limit: &Ceiling| -> BTreeSet<String> {
        limit.repositories().iter().map(ToString::to_string).collect()
    };
    one.actions() == other.actions() && patterns(one) == patterns(other)
}
