//! All accounts that logins can reach, as far as their sources can name them.

use std::{collections::BTreeSet, time::SystemTime};

use super::{Authenticator, AuthenticatorChain, Unavailable};
use crate::subject::{Account, AccountKind, AccountName, SourceName};

/// What one source says of its accounts.
#[derive(Debug)]
pub struct Listing {
    /// Which.
    pub source: SourceName,
    /// By name, but for those whose name a source before it has: no login reaches them.
    pub accounts: Result<Vec<ListedAccount>, Unavailable>,
    /// Whether it has no others.
    pub is_complete: bool,
}

/// One account of a source.
#[derive(Debug, Clone)]
pub struct ListedAccount {
    /// As it is now.
    pub account: Account,
    /// Whether it is disabled, or for another reason cannot log in.
    pub is_disabled: bool,
}

impl AuthenticatorChain {
    /// The accounts of each source, in the order in which they are asked.
    pub async fn list(&self, now: SystemTime) -> Vec<Listing> {
        let mut taken = BTreeSet::new();
        let mut listings = Vec::new();
        for source in &self.sources {
            let grouped = |listed: ListedAccount| ListedAccount {
                account: self.groups.join(listed.account),
                ..listed
            };
            let accounts = accounts(&**source, &mut taken, now).await;
            let accounts = accounts.map(|all| all.into_iter().map(grouped).collect());
            let is_complete = source.names_all();
            listings.push(Listing { source: source.source().clone(), accounts, is_complete });
        }
        listings
    }
}

async fn accounts(
    source: &dyn Authenticator,
    taken: &mut BTreeSet<AccountName>,
    now: SystemTime,
) -> Result<Vec<ListedAccount>, Unavailable> {
    let mut names = source.names(now).await?;
    names.sort_unstable();
    let mut accounts = Vec::new();
    for name in names {
        // One that was removed meanwhile is none.
        if !taken.contains(&name)
            && let Some(account) = source.by_name(&name, now).await?
        {
            // A robot has no password: whoever gives one is looked for in the next source.
            if account.kind != AccountKind::Robot {
                taken.insert(name);
            }
            // A workload is there only while its token is.
            let is_disabled = source.names_all() && source.by_id(&account.id, now).await?.is_none();
            accounts.push(ListedAccount { account, is_disabled });
        }
    }
    Ok(accounts)
}
