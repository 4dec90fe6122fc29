//! Everybody who reaches a repository.

use std::collections::{BTreeMap, BTreeSet};

use portpass_authority::{
    accounts::{ListedAccount, Listing},
    policy::{
        CitedRule, Effect, KnownCircumstances, Policy as _, Principal, Request, RuleId, RuleSet,
        explain,
    },
    subject::{Account, AccountKind, Group, SourceName, Subject},
};
use portpass_config::Profile;
use portpass_protocol::{
    RepositoryName,
    access::{Access, Action},
};
use portpass_token::ServiceName;
use serde::Serialize;

use super::{AdminError, Circumstances, Rulebook, rulebook::account, service_name};

/// Everybody who reaches a repository, and by which rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// Which.
    pub repository: String,
    /// Callers without credentials, accounts, and members of groups that rules name.
    pub callers: Vec<ReachingCaller>,
    /// The rules that give or take something there, from whomever.
    pub rules: Vec<RuleOnIt>,
    /// Sources whose accounts cannot all be listed, and why.
    pub unlisted: Vec<UnlistedSource>,
}

/// Somebody who reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReachingCaller {
    /// `anonymous`, `ann`, `robot:ci`, `group:developers`.
    pub who: String,
    /// The account's source.
    pub source: Option<String>,
    /// Whether the account is disabled at the moment.
    pub disabled: bool,
    /// What it may do there.
    pub actions: Vec<String>,
    /// The numbers of the rules that say so.
    pub rules: Vec<u32>,
}

/// A rule about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleOnIt {
    /// Its place in the list, counted from one.
    pub number: u32,
    /// The rule.
    pub text: String,
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
    /// Everybody who reaches the repository: at most, where `circumstances` leave open from where or when.
    pub async fn who(
        &self,
        repository: &str,
        circumstances: &Circumstances,
    ) -> Result<Reach, AdminError> {
        let name: RepositoryName = repository
            .parse()
            .map_err(|_| AdminError::InvalidRepository { text: repository.to_owned() })?;
        let service = service_name(self.service()?, circumstances.service.as_deref())?;
        let now =
            circumstances.at.as_ref().map(|_| circumstances.moment(self.now())).transpose()?;
        let known = KnownCircumstances {
            service: circumstances.service.as_ref().map(|_| &service),
            address: circumstances.address,
            now,
        };
        let original = self.rules()?;
        let question = Question {
            rules: &original.at_most(&known),
            original,
            name: name.as_str(),
            service: &service,
        };
        let listings = self.listings().await;
        let mut callers = Vec::new();
        if self.service()?.anonymous {
            callers.extend(question.ask("anonymous".to_owned(), &Subject::Anonymous));
        }
        for listed in listings.iter().flat_map(|listing| listing.accounts.iter().flatten()) {
            let ListedAccount { account, is_disabled } = listed;
            let reaching = question.ask(called(account), &Subject::from(account.clone()));
            callers.extend(reaching.map(|it| ReachingCaller { disabled: *is_disabled, ..it }));
        }
        callers.extend(question.groups());
        let mut unlisted: Vec<UnlistedSource> =
            listings.iter().filter_map(unlisted_source).collect();
        if !self.is_installed() {
            let sources = self.service()?.accounts.iter();
            unlisted.extend(sources.map(|source| UnlistedSource {
                source: source.name().to_string(),
                why: "there is no database here".to_owned(),
            }));
        }
        Ok(Reach {
            repository: repository.to_owned(),
            callers,
            rules: question.rules_on_it(),
            unlisted,
        })
    }
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

/// One repository, and rules without conditions.
struct Question<'a> {
    rules: &'a RuleSet,
    /// With their conditions.
    original: &'a RuleSet,
    name: &'a str,
    service: &'a ServiceName,
}

impl Question<'_> {
    /// What somebody reaches; `None` where that is nothing.
    fn ask(&self, who: String, subject: &Subject) -> Option<ReachingCaller> {
        let asked = Access::repository(self.name, [Action::Pull, Action::Push, Action::Delete]);
        let now = std::time::SystemTime::UNIX_EPOCH;
        let request = Request { subject, service: self.service, address: None, now };
        let explained = explain(self.rules, &request, &asked);
        let gives = |rule: &&CitedRule| rule.effect == Effect::Allow.to_string();
        let numbers: BTreeSet<u32> =
            explained.rules.iter().filter(gives).map(|rule| rule.number).collect();
        (!explained.granted.is_empty()).then(|| ReachingCaller {
            who,
            source: subject.account().map(|account| account.source.to_string()),
            disabled: false,
            actions: explained.granted,
            rules: numbers.into_iter().collect(),
        })
    }

    /// The groups that rules name, as far as those rules give something there: a member of each who has
    /// nothing else.
    fn groups(&self) -> Vec<ReachingCaller> {
        let mut members = BTreeMap::new();
        for principal in self.rules.rules().iter().flat_map(|rule| &rule.to) {
            let Principal::Group { source, name } = principal else { continue };
            let group = name.literal().and_then(|name| name.parse::<Group>().ok());
            let source = source.clone().unwrap_or_else(SourceName::local);
            if let Some(member) = group.and_then(|group| member(source, group)) {
                members.insert(principal.to_string(), (principal, member));
            }
        }
        let names = |number: u32, principal: &Principal| {
            let place = usize::try_from(number).unwrap_or_default();
            let rule = place.checked_sub(1).and_then(|place| self.rules.rules().get(place));
            rule.is_some_and(|rule| rule.to.contains(principal))
        };
        let ask = |(text, (principal, member)): (String, (&Principal, Account))| {
            let reaching = self.ask(text, &Subject::from(member))?;
            let is_named = reaching.rules.iter().any(|rule| names(*rule, principal));
            is_named.then_some(ReachingCaller { source: None, ..reaching })
        };
        members.into_iter().filter_map(ask).collect()
    }

    /// The rules that count there for somebody.
    fn rules_on_it(&self) -> Vec<RuleOnIt> {
        let path: Vec<&str> = self.name.split('/').collect();
        let mut found = Vec::new();
        for (place, rule) in self.original.rules().iter().enumerate() {
            if rule.may_cover_repository(&path) {
                let id = RuleId::at(place);
                let text = self.original.rule_text(id).unwrap_or_default();
                found.push(RuleOnIt { number: id.number(), text });
            }
        }
        found
    }
}

/// Somebody of whom nothing is known but this group.
pub(super) fn member(source: SourceName, group: Group) -> Option<Account> {
    let profile = Profile { groups: [group].into(), ..Profile::default() };
    Some(account(source, SOMEBODY.parse().ok()?, AccountKind::Person, &profile))
}

/// No rule means this account by name.
const SOMEBODY: &str = "somebody.in.the.group";
