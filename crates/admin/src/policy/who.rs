//! Everybody who reaches a repository.

use std::collections::BTreeSet;

use portpass_authority::{
    groups::Groups,
    policy::{
        CitedRule, Effect, KnownCircumstances, Policy as _, Principal, Request, Rule, RuleId,
        RuleSet, explain,
    },
    subject::Subject,
};
use portpass_protocol::{
    RepositoryName,
    access::{Access, Action},
};
use portpass_token::ServiceName;
use serde::Serialize;

use super::{
    AdminError, Circumstances, Rulebook, UnlistedSource,
    callers::{self, KnownCaller},
    service_name,
};

/// Everybody who reaches a repository, and by which rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// Which.
    pub repository: String,
    /// Callers without credentials, accounts, and members of groups that rules name.
    pub callers: Vec<ReachingCaller>,
    /// The rules that give or take something there, from whomever.
    pub rules: Vec<RuleOnIt>,
    /// Sources whose accounts cannot all be listed, and whom of those the rules mean.
    pub unlisted: Vec<UnlistedReach>,
}

/// A source that has others than are listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnlistedReach {
    /// Which, and why.
    #[serde(flatten)]
    pub source: UnlistedSource,
    /// Whom of its accounts rules give something there.
    pub reached_by: Vec<Meant>,
}

/// Whom a rule means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Meant {
    /// As the rule says it: `group:developers`, `signed-in`.
    pub to: String,
    /// The number of the rule.
    pub rule: u32,
}

/// Somebody who reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReachingCaller {
    /// `anonymous`, `ann`, `robot:ci`, `key:ID (ann)`, `group:developers`.
    pub who: String,
    /// The account's source.
    pub source: Option<String>,
    /// Whether the account is disabled at the moment, or the robot or the key has expired.
    pub disabled: bool,
    /// The earlier source that has the name of its account: no login reaches it then.
    pub shadowed_by: Option<String>,
    /// What it may do there.
    pub actions: Vec<String>,
    /// The numbers of the rules that say so.
    pub rules: Vec<u32>,
    /// What of it no rule gives, but the robot's own permission.
    pub own: Vec<String>,
}

/// A rule about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleOnIt {
    /// Its place in the list, counted from one.
    pub number: u32,
    /// The rule.
    pub text: String,
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
        let bound = KnownCircumstances {
            service: circumstances.service.as_ref().map(|_| &service),
            address: circumstances.address,
            now,
        };
        let original = self.rules()?;
        let question = Question {
            rules: &original.at_most(&bound),
            original,
            circumstances: &bound,
            name: name.as_str(),
            service: &service,
            groups: &self.service()?.groups,
        };
        let (known, unlisted) = self.callers().await?;
        let admitted = self.service()?.anonymous.then(callers::anonymous);
        let mut callers: Vec<ReachingCaller> =
            admitted.into_iter().chain(known).filter_map(|known| question.ask(&known)).collect();
        callers.extend(question.groups());
        let unlisted = unlisted.into_iter().map(|source| question.unlisted(source)).collect();
        Ok(Reach {
            repository: repository.to_owned(),
            callers,
            rules: question.rules_on_it(),
            unlisted,
        })
    }
}

/// One repository, and rules without conditions.
struct Question<'a> {
    rules: &'a RuleSet,
    /// With their conditions.
    original: &'a RuleSet,
    /// Under which they count.
    circumstances: &'a KnownCircumstances<'a>,
    name: &'a str,
    service: &'a ServiceName,
    /// Of the configuration.
    groups: &'a Groups,
}

impl Question<'_> {
    /// What somebody reaches; `None` where that is nothing.
    fn ask(&self, known: &KnownCaller) -> Option<ReachingCaller> {
        let KnownCaller { who, subject, is_disabled, shadowed_by } = known;
        let asked = Access::repository(self.name, [Action::Pull, Action::Push, Action::Delete]);
        let now = std::time::SystemTime::UNIX_EPOCH;
        let request = Request { subject, service: self.service, address: None, now };
        let explained = explain(self.rules, &request, &asked);
        let gives = |rule: &&CitedRule| rule.effect == Effect::Allow.to_string();
        let numbers: BTreeSet<u32> =
            explained.rules.iter().filter(gives).map(|rule| rule.number).collect();
        (!explained.granted.is_empty()).then(|| ReachingCaller {
            who: who.clone(),
            source: subject.account().map(|account| account.source.to_string()),
            disabled: *is_disabled,
            shadowed_by: shadowed_by.as_ref().map(ToString::to_string),
            actions: explained.granted,
            rules: numbers.into_iter().collect(),
            own: explained.own,
        })
    }

    /// The groups that rules name, as far as those rules give something there: a member of each who has
    /// nothing else.
    fn groups(&self) -> Vec<ReachingCaller> {
        let names = |number: u32, principal: &Principal| {
            let place = usize::try_from(number).unwrap_or_default();
            let rule = place.checked_sub(1).and_then(|place| self.rules.rules().get(place));
            rule.is_some_and(|rule| rule.to.contains(principal))
        };
        let ask = |(who, (principal, subject)): (String, (&Principal, Subject))| {
            let reaching = self.ask(&KnownCaller::new(who, subject))?;
            let is_named = reaching.rules.iter().any(|rule| names(*rule, principal));
            is_named.then_some(ReachingCaller { source: None, ..reaching })
        };
        let members = callers::members(std::iter::once(self.rules), self.groups);
        members.into_iter().filter_map(ask).collect()
    }

    /// Whom of the accounts that are not listed rules give something there.
    fn unlisted(&self, source: UnlistedSource) -> UnlistedReach {
        let path: Vec<&str> = self.name.split('/').collect();
        let of_source = |to: &&Principal| match to {
            Principal::Anonymous | Principal::Robot(_) => false,
            Principal::Anyone
            | Principal::SignedIn
            | Principal::User { .. }
            | Principal::Group { .. } => {
                to.source().is_none_or(|named| named.as_str() == source.source)
            }
        };
        let gives = |rule: &Rule| {
            rule.effect == Effect::Allow
                && rule.counts_at_most(self.circumstances)
                && rule.may_cover_repository(&path)
        };
        let rules = self.original.rules().iter().enumerate().filter(|(_, rule)| gives(rule));
        let meant = rules.flat_map(|(place, rule)| {
            let number = RuleId::at(place).number();
            let to = rule.to.iter().filter(of_source);
            to.map(move |to| Meant { to: to.to_string(), rule: number })
        });
        let reached_by = meant.collect();
        UnlistedReach { source, reached_by }
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
