//! Who is in which group, as the token service in this process knows it.

use std::sync::Arc;

use async_trait::async_trait;
use portpass_authority::{service::TokenService, subject::AccountName};
use portpass_registry::groups::{GroupDirectory, GroupsUnavailable};
use portpass_token::Clock;

/// Asks the sources of accounts.
#[derive(Debug)]
pub(super) struct AccountGroups {
    pub(super) service: Arc<TokenService>,
    pub(super) clock: Arc<dyn Clock>,
}

#[async_trait]
impl GroupDirectory for AccountGroups {
    async fn groups_of(&self, subject: &str) -> Result<Vec<String>, GroupsUnavailable> {
        // A token may be of somebody else's service, and name anybody.
        let Ok(name) = subject.parse::<AccountName>() else { return Ok(Vec::new()) };
        let account = self.service.accounts().by_name(None, &name, self.clock.now()).await;
        let account = account.map_err(|why| GroupsUnavailable { reason: why.to_string() })?;
        let groups = account.into_iter().flat_map(|account| account.groups);
        Ok(groups.map(|group| group.as_str().to_owned()).collect())
    }
}
