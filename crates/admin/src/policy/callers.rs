//! Everybody whom rules can be about, as far as that is known.

use std::collections::BTreeMap;

use portpass_authority::{
    accounts::{ListedAccount, ListedKey, Listing},
    groups::Groups,
    policy::{Principal, RuleSet},
    subject::{Account, AccountKind, Group, SourceName, Subject},
};
use portpass_config::Profile;
use serde::Serialize;

use super::{AdminError, Rulebook, rulebook::account};

/// Somebody who may ask for a token.
#[derive(Debug)]
pub(super) struct KnownCaller {
    /// `anonymous`, `ann`, `robot:ci`, `key:ID (ann)`, `group:developers`.
    pub(super) who: String,
    pub(super) subject: Subject,
    /// Whether no token is issued for it at the moment.
    pub(super) is_disabled: bool,
    /// The earlier source that has its name, where one does: no login reaches it then.
    pub(super) shadowed_by: Option<SourceName>,
}

impl KnownCaller {
    /// Somebody for whom there are tokens.
    pub(super) fn new(who: String, subject: Subject) -> Self {
        Self { who, subject, is_disabled: false, shadowed_by: None }
    }
}

/// A source of accounts that has others than are listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnlistedSource {
    /// Which.
    pub source: String,
    /// Why.
    pub why: String,
}

impl Rulebook {
    /// Callers without credentials, where those get tokens, and all accounts and API keys that their sources list;
    /// and which sources have others.
    pub(super) async fn callers(
        &self,
    ) -> Result<(Vec<KnownCaller>, Vec<UnlistedSource>), AdminError> {
        let listings = self.listings().await;
        let mut callers = Vec::new();
        for listed in listings.iter().flat_map(|listing| listing.accounts.iter().flatten()) {
            let ListedAccount { account, is_disabled } = listed.clone();
            let (who, subject) = (called(&account), account.into());
            callers.push(KnownCaller { is_disabled, ..KnownCaller::new(who, subject) });
        }
        for ListedKey { id, account, is_expired, shadowed } in self.keys().await? {
            let who = format!("key:{id} ({})", account.name);
            callers.push(KnownCaller {
                is_disabled: is_expired,
                shadowed_by: shadowed.map(|shadowed| shadowed.owner),
                ..KnownCaller::new(who, account.into())
            });
        }
        let mut unlisted: Vec<UnlistedSource> =
            listings.iter().filter_map(unlisted_source).collect();
        if !self.is_installed() {
            let sources = self.service()?.accounts.iter();
            unlisted.extend(sources.map(|source| UnlistedSource {
                source: source.name().to_string(),
                why: "there is no database here".to_owned(),
            }));
        }
        Ok((callers, unlisted))
    }
}

/// Somebody without credentials.
pub(super) fn anonymous() -> KnownCaller {
    let who = "anonymous".to_owned();
    KnownCaller::new(who, Subject::Anonymous)
}

/// A member of each group that rules name, of whom nothing else is known, with the word that names it.
pub(super) fn members<'a>(
    rules: impl Iterator<Item = &'a RuleSet>,
    groups: &Groups,
) -> BTreeMap<String, (&'a Principal, Subject)> {
    let mut members = BTreeMap::new();
    for rule in rules.flat_map(RuleSet::rules) {
        for principal in rule.to.iter().chain(&rule.except) {
            let Principal::Group { source, name } = principal else { continue };
            let group = name.literal().and_then(|name| name.parse::<Group>().ok());
            let source = source.clone().unwrap_or_else(SourceName::local);
            if let Some(member) = group.and_then(|group| stranger(source, Some(group), groups)) {
                members.insert(principal.to_string(), (principal, member));
            }
        }
    }
    members
}

/// Somebody with an account, of whom nothing is known but this group, and what the configuration makes of it.
pub(super) fn stranger(
    source: SourceName,
    group: Option<Group>,
    groups: &Groups,
) -> Option<Subject> {
    let profile = Profile { groups: group.into_iter().collect(), ..Profile::default() };
    let somebody = account(source, SOMEBODY.parse().ok()?, AccountKind::Person, &profile);
    Some(groups.join(somebody).into())
}

/// As a rule would name it.
pub(super) fn called(account: &Account) -> String {
    match account.robot_name() {
        Some(robot) => format!("robot:{robot}"),
        None => account.name.to_string(),
    }
}

fn unlisted_source(listing: &Listing) -> Option<UnlistedSource> {
    let why = match (&listing.accounts, listing.is_complete) {
        (Ok(_), true) => return None,
        (Ok(_), false) => "it cannot list its accounts".to_owned(),
        (Err(error), _) => error.to_string(),
    };
    Some(UnlistedSource { source: listing.source.to_string(), why })
}

/// No rule means this account by name.
const SOMEBODY: &str = "somebody.in.the.group";
