//! Retention: what becomes of each tag, and the removal of those that no rule keeps, beside a server or without one.

use std::sync::Arc;

use portpass_authority::audit::AuditTrail;
use portpass_registry::{
    Rules,
    retention::{Done, Everything, Fate, Plan, RetentionRun, Survey, Verdict},
};
use serde::Serialize;

use super::{AdminError, AuditEvents, Installation};

/// What retention removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RetentionDone {
    /// Tags that are gone.
    pub tags: u64,
    /// Manifests that are gone with them; garbage collection frees their blobs.
    pub manifests: u64,
}

/// What retention will remove if nothing else happens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RetentionForecast {
    /// How many tags will go.
    pub tags: u64,
    /// How many manifests will go with them.
    pub manifests: u64,
    /// Rules that drop all that they decide about, and repositories that lose every tag: they need a confirmation.
    pub unconfirmed: Vec<String>,
    /// All tags of the repositories that rules are about.
    pub items: Vec<TagForecast>,
}

/// What becomes of a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TagForecast {
    /// Where.
    pub repository: String,
    /// Which.
    pub tag: String,
    /// What it names.
    pub digest: String,
    /// `keep` or `drop`.
    pub fate: &'static str,
    /// The rule of `registry.retention` that decides, where one does.
    pub rule: Option<String>,
    /// Why.
    pub why: String,
}

impl Installation {
    /// What becomes of each tag; nothing is changed.
    pub async fn retention(&self) -> Result<RetentionForecast, AdminError> {
        let rules = self.retention_rules()?;
        let run = RetentionRun::new(&self.db, rules.clone(), self.now());
        let mut survey = Survey::new(rules.retention.rules.len());
        let (mut forecast, mut after) = (RetentionForecast::default(), None);
        while let Some(plan) = run.next(after.as_ref()).await? {
            survey.add(&plan);
            forecast.add(&plan, &rules);
            after = Some(plan.repository);
        }
        forecast.unconfirmed = everything(&survey, &rules);
        Ok(forecast)
    }

    /// Removes the tags that no rule keeps, and what goes with them. Unless it is confirmed, nothing goes where a
    /// rule would drop all that it decides about, or a repository would lose every tag.
    pub async fn apply_retention(
        &self,
        confirmation: Everything,
    ) -> Result<RetentionDone, AdminError> {
        let rules = self.retention_rules()?;
        self.require_writable().await?;
        let run = RetentionRun::new(&self.db, rules.clone(), self.now());
        if confirmation == Everything::Unconfirmed {
            let survey = run.survey().await?;
            let what = everything(&survey, &rules);
            if !what.is_empty() {
                return Err(AdminError::RetentionUnconfirmed { what });
            }
        }
        let (trail, writer) = AuditTrail::new(self.db.clone());
        let writing = tokio::spawn(writer.run());
        let events = AuditEvents(trail);
        let done = run.apply(confirmation, &events, || false).await;
        // The trail ends when nobody can write into it any more.
        drop(events);
        let _ = writing.await;
        let Done { tags, manifests } = done?;
        Ok(RetentionDone { tags, manifests })
    }

    fn retention_rules(&self) -> Result<Arc<Rules>, AdminError> {
        let registry = self.config.registry.as_ref().ok_or(AdminError::NoRegistry)?;
        if registry.rules.retention.rules.is_empty() {
            return Err(AdminError::NoRetention);
        }
        Ok(Arc::new(registry.rules.clone()))
    }
}

impl RetentionForecast {
    fn add(&mut self, plan: &Plan, rules: &Rules) {
        let removals = plan.decided.removals.iter();
        self.manifests += removals.map(|removal| removal.manifests.len() as u64).sum::<u64>();
        for Verdict { tag, manifest, rule, reason } in &plan.decided.tags {
            let fate = reason.fate();
            self.tags += u64::from(fate == Fate::Drop);
            self.items.push(TagForecast {
                repository: plan.repository.to_string(),
                tag: tag.to_string(),
                digest: manifest.to_string(),
                fate: match fate {
                    Fate::Keep => "keep",
                    Fate::Drop => "drop",
                },
                rule: rule.map(|number| rules.retention.rules[number].name.to_string()),
                why: reason.to_string(),
            });
        }
    }
}

/// What needs a confirmation, in words.
fn everything(survey: &Survey, rules: &Rules) -> Vec<String> {
    let by_rule = survey.everything().map(|(number, counted)| {
        let name = &rules.retention.rules[number].name;
        let tags = counted.tags;
        format!("rule `{name}` would drop all tags that it decides about ({tags})")
    });
    let shown = survey.emptied.iter().take(SHOWN);
    let emptied = shown.map(|name| format!("{name} would lose every tag"));
    let more = survey.emptied.len().saturating_sub(SHOWN);
    let more = (more > 0).then(|| format!("so would {more} other repositories"));
    by_rule.chain(emptied).chain(more).collect()
}

/// How many repositories a message names.
const SHOWN: usize = 5;
