//! One application of the rules to a whole registry.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime},
};

use portpass_protocol::{RepositoryChange, RepositoryName};
use portpass_state::{Db, StateError};
use tokio::time::{self, MissedTickBehavior};

use super::{Decided, Fate, decide::Deciding, inventory::Inventory};
use crate::{
    event::{Event, EventSink},
    notification::Cause,
    registry::Registry,
    rules::Rules,
};

/// The rules, applied to one repository after another, at one moment.
#[derive(Debug)]
pub struct RetentionRun {
    db: Db,
    rules: Arc<Rules>,
    unconfirmed: BTreeSet<usize>,
    now: SystemTime,
}

/// What becomes of a repository.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// Which.
    pub repository: RepositoryName,
    /// What was decided.
    pub decided: Decided,
}

/// What the rules come to in all repositories.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// By the number of the rule: how many tags it decides about, and how many of them it drops.
    pub rules: Vec<Decisions>,
    /// The repositories that would lose every tag.
    pub emptied: Vec<RepositoryName>,
}

/// Whether somebody has said that a rule may drop every tag that it decides about, and a repository lose every tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Everything {
    /// It is meant so.
    Confirmed,
    /// Nobody has: what would drop everything drops nothing.
    Unconfirmed,
}

impl Plan {
    /// Whether the repository would lose every tag.
    pub fn is_everything(&self) -> bool {
        let tags = &self.decided.tags;
        !tags.is_empty() && tags.iter().all(|verdict| verdict.reason.fate() == Fate::Drop)
    }
}

/// How many tags a rule decides about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Decisions {
    /// All of them.
    pub tags: u64,
    /// Those that go.
    pub dropped: u64,
}

impl Decisions {
    /// Whether the rule drops everything that it decides about.
    pub fn is_everything(self) -> bool {
        self.tags > 0 && self.tags == self.dropped
    }
}

/// How much was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Tags.
    pub tags: u64,
    /// Manifests.
    pub manifests: u64,
}

impl RetentionRun {
    /// Applies these rules as they are at `now`.
    pub fn new(db: &Db, rules: Arc<Rules>, now: SystemTime) -> Self {
        Self { db: db.on_behalf_of(ACTOR), rules, unconfirmed: BTreeSet::new(), now }
    }

    /// What becomes of the first repository behind `after` that a rule is about.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next(&self, after: Option<&RepositoryName>) -> Result<Option<Plan>, StateError> {
        let mut after = after.cloned();
        loop {
            let page = self.db.catalog(after.as_ref().map(RepositoryName::as_str), PAGE).await?;
            let Some(last) = page.items.last() else { return Ok(None) };
            for repository in &page.items {
                let Rules { retention, immutable, .. } = &*self.rules;
                let (unconfirmed, now) = (&self.unconfirmed, self.now);
                let deciding = Deciding::new(repository, retention, immutable, unconfirmed, now);
                if let Some(deciding) = deciding {
                    let inventory = Inventory::read(&self.db, repository).await?;
                    let decided = deciding.decide(&inventory);
                    return Ok(Some(Plan { repository: repository.clone(), decided }));
                }
            }
            after = Some(last.clone());
        }
    }

    /// Counts what the rules come to, and changes nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn survey(&self) -> Result<Survey, StateError> {
        let mut survey = Survey::new(self.rules.retention.rules.len());
        let mut after = None;
        while let Some(plan) = self.next(after.as_ref()).await? {
            survey.add(&plan);
            after = Some(plan.repository);
        }
        Ok(survey)
    }

    /// From now on the rules of these numbers drop nothing.
    pub fn hold_back(&mut self, rules: impl IntoIterator<Item = usize>) {
        self.unconfirmed.extend(rules);
    }

    /// Removes in all repositories what the rules say, until it is `stopped`.
    ///
    /// # Errors
    /// When the database fails. What is removed by then is.
    pub async fn apply(
        &self,
        everything: Everything,
        events: &dyn EventSink,
        stopped: impl Fn() -> bool,
    ) -> Result<Done, StateError> {
        let (mut done, mut after) = (Done::default(), None);
        while !stopped()
            && let Some(plan) = self.next(after.as_ref()).await?
        {
            if everything == Everything::Unconfirmed && plan.is_everything() {
                let (repository, tags) = (plan.repository.as_str(), plan.decided.tags.len());
                tracing::warn!(
                    repository,
                    tags,
                    "this repository would lose every tag, so it keeps them: {ADVICE}"
                );
            } else {
                let Done { tags, manifests } = self.carry_out(&plan, events).await?;
                done.tags += tags;
                done.manifests += manifests;
            }
            after = Some(plan.repository);
        }
        Ok(done)
    }

    /// Removes what the plan says, where nothing has changed since, and tells of it.
    async fn carry_out(&self, plan: &Plan, events: &dyn EventSink) -> Result<Done, StateError> {
        let mut done = Done::default();
        for removal in &plan.decided.removals {
            let removed = self.db.remove_retired(&plan.repository, removal).await?;
            done.tags += removed.tags.len() as u64;
            done.manifests += removed.manifests.len() as u64;
            let tags = removed.tags.into_iter().map(|tag| RepositoryChange::TagDeleted { tag });
            let manifests = removed.manifests.into_iter();
            let manifests = manifests
                .map(|digest| RepositoryChange::ManifestDeleted { digest, tags: Vec::new() });
            for change in tags.chain(manifests) {
                events.emit(Event {
                    at: self.now,
                    subject: ACTOR.to_owned(),
                    address: None,
                    request: None,
                    repository: plan.repository.clone(),
                    change,
                });
            }
        }
        Ok(done)
    }
}

impl Survey {
    /// Of so many rules.
    pub fn new(rules: usize) -> Self {
        Self { rules: vec![Decisions::default(); rules], emptied: Vec::new() }
    }

    /// Counts what becomes of one more repository.
    pub fn add(&mut self, plan: &Plan) {
        for verdict in &plan.decided.tags {
            if let Some(counted) = verdict.rule.and_then(|rule| self.rules.get_mut(rule)) {
                counted.tags += 1;
                counted.dropped += u64::from(verdict.reason.fate() == Fate::Drop);
            }
        }
        if plan.is_everything() {
            self.emptied.push(plan.repository.clone());
        }
    }

    /// The rules that drop everything that they decide about, by number.
    pub fn everything(&self) -> impl Iterator<Item = (usize, Decisions)> {
        self.rules.iter().copied().enumerate().filter(|(_, counted)| counted.is_everything())
    }
}

impl Registry {
    /// Applies the rules now and then, for as long as it is polled. A rule that would drop everything drops nothing
    /// here. Whatever fails is logged and tried again.
    pub async fn run_retention(self) -> Infallible {
        let retention = &self.rules().retention;
        if retention.rules.is_empty() {
            return std::future::pending().await;
        }
        // Whoever has just changed the rules has a while to see what they mean.
        let first = time::Instant::now() + retention.interval.min(FIRST);
        let mut timer = time::interval_at(first, retention.interval);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            if self.is_read_only() {
                continue;
            }
            match self.retain().await {
                Ok(Done { tags: 0, manifests: 0 }) => {}
                Ok(Done { tags, manifests }) => {
                    tracing::info!(tags, manifests, "retention removed tags and manifests");
                }
                Err(error) => tracing::warn!(%error, "retention failed; the server tries again"),
            }
        }
    }

    /// Applies the rules once, all but those that would drop everything.
    ///
    /// # Errors
    /// When the database fails. What is removed by then is.
    pub async fn retain(&self) -> Result<Done, StateError> {
        let announcing = self.announcing(Cause::by_itself(ACTOR));
        let mut run = RetentionRun::new(announcing.db(), self.rules().clone(), self.now());
        let survey = run.survey().await?;
        for (number, Decisions { tags, .. }) in survey.everything() {
            let rule = &*self.rules().retention.rules[number].name;
            tracing::warn!(
                rule,
                tags,
                "this rule of `registry.retention` would drop every tag that it decides about, so it drops none: {ADVICE}"
            );
            run.hold_back([number]);
        }
        let done =
            run.apply(Everything::Unconfirmed, self.events(), || self.is_read_only()).await?;
        if let Some(notifications) = self.notifications().filter(|_| done != Done::default()) {
            notifications.ring();
        }
        Ok(done)
    }
}

/// Whose doing it is, in the audit trail and in notifications.
const ACTOR: &str = "retention";

const ADVICE: &str =
    "look at `portpass retention --dry-run`, and run `portpass retention --yes` if it is meant so";

/// The first application comes no later after a start.
const FIRST: Duration = Duration::from_hours(1);

const PAGE: usize = 1_000;
