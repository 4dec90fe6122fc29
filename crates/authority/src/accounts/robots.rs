//! Robots as a source of accounts.

use std::{sync::Arc, time::SystemTime};

use async_trait::async_trait;

use super::{
    Authenticator, Circumstances, Outcome, Unavailable, machines::Machines, watched::issue_time,
};
use crate::subject::{Account, AccountId, AccountName, Login, SourceName};

/// The accounts of robots. [`Machines`] checks their secrets, and a robot has no password: whoever gives one is asked
/// for in the next source. An account of the name of a robot does not get in there.
#[derive(Debug)]
pub struct RobotAccounts {
    source: SourceName,
    machines: Arc<Machines>,
}

impl RobotAccounts {
    /// The robots among these.
    pub fn new(machines: Arc<Machines>) -> Self {
        Self { source: SourceName::robot(), machines }
    }
}

#[async_trait]
impl Authenticator for RobotAccounts {
    fn source(&self) -> &SourceName {
        &self.source
    }

    async fn authenticate(&self, _: &Login, _: &Circumstances<'_>) -> Result<Outcome, Unavailable> {
        Ok(Outcome::Unknown)
    }

    async fn by_id(&self, id: &AccountId, now: SystemTime) -> Result<Option<Account>, Unavailable> {
        let robots = self.machines.recent(now).await?;
        let robot = robots.robots_by_id.get(id).filter(|robot| robot.obstacle(now).is_none());
        Ok(robot.map(|robot| (*robot.account).clone()))
    }

    async fn by_name(
        &self,
        name: &AccountName,
        now: SystemTime,
    ) -> Result<Option<Account>, Unavailable> {
        let robots = self.machines.recent(now).await?;
        Ok(robots.robots_by_name.get(name).map(|robot| (*robot.account).clone()))
    }

    fn has_passwords(&self) -> bool {
        false
    }

    fn issue_time(&self, account: &Account, now: SystemTime) -> SystemTime {
        let seen = self.machines.seen();
        let known = seen.as_ref().and_then(|robots| robots.robots_by_id.get(&account.id));
        let same = known.filter(|known| known.account.version == account.version);
        issue_time(same.and_then(|known| known.tokens_from), now)
    }

    async fn obstacle(
        &self,
        name: &AccountName,
        now: SystemTime,
    ) -> Result<Option<String>, Unavailable> {
        let robots = self.machines.recent(now).await?;
        Ok(robots.robots_by_name.get(name).and_then(|robot| robot.obstacle(now)).map(str::to_owned))
    }

    async fn names(&self, now: SystemTime) -> Result<Vec<AccountName>, Unavailable> {
        Ok(self.machines.recent(now).await?.robots_by_name.keys().cloned().collect())
    }

    fn names_all(&self) -> bool {
        true
    }
}
