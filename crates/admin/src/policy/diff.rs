//! Who gains or loses rights between two sets of rules.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use portpass_authority::{
    groups::Groups,
    policy::{
        ChangeKind, ChangedResources, Comparison, DecidedBy, Family, Lifetime, Policy as _,
        Principal, Region, RightsChange, RuleSet, Side,
    },
    subject::{AccountKind, ROBOT_PREFIX, SourceName, Subject},
};
use portpass_config::{Environment, Profile, RulesOfFile};
use portpass_token::ServiceName;
use serde::Serialize;

use super::{
    AdminError, Rulebook, UnlistedSource,
    callers::{self, KnownCaller},
    rulebook::account,
};
use crate::blocking;

/// The rights that differ, and who was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RightsDiff {
    /// What differs, each with those for whom it does.
    pub changes: Vec<ChangedRights>,
    /// How many callers were compared.
    pub callers: usize,
    /// Sources whose accounts cannot all be listed, and why.
    pub unlisted: Vec<UnlistedSource>,
    /// What should be seen of the two files.
    pub warnings: Vec<String>,
}

/// Rights that some callers have by one set of rules and not by the other, or for another time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ChangedRights {
    /// `gained`, `lost` or `lifetime`.
    pub change: &'static str,
    /// Of these: `anonymous`, `signed-in`, `ann`, `robot:ci`, `key:ID (ann)`, `group:developers`.
    pub callers: Vec<String>,
    /// Which.
    pub actions: Vec<String>,
    /// Whether it is about `registry:catalog`, not about repositories.
    pub catalog: bool,
    /// On which repositories: any of these.
    pub repositories: Vec<ChangedRegion>,
    /// Under which circumstances: any of these. `[]` is always.
    pub when: Vec<String>,
    /// What the old rules say there; `None` where no rule says anything.
    pub old: Option<Decider>,
    /// What the new rules say there; `None` where no rule says anything.
    pub new: Option<Decider>,
}

/// Repositories on which a right differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ChangedRegion {
    /// All of these mean them.
    pub patterns: Vec<String>,
    /// None of these does.
    pub except: Vec<String>,
    /// The name of one.
    pub example: String,
}

/// What gives or takes a right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Decider {
    /// The rule's place in its list, counted from one; `None` for a robot's own permission.
    pub rule: Option<u32>,
    /// The file that the rule stands in.
    pub file: Option<PathBuf>,
    /// Its line there.
    pub line: Option<u64>,
    /// The rule.
    pub text: String,
    /// How long a token lives by it, in seconds, where the change is about that.
    pub expiration: Option<u32>,
}

impl Rulebook {
    /// Compares the rules in two files, each a configuration or a list of rules, for all callers that are known.
    pub async fn diff(
        &self,
        old: PathBuf,
        new: PathBuf,
        environment: &Environment,
    ) -> Result<RightsDiff, AdminError> {
        let context = self.service()?.rule_context();
        let groups = self.service()?.groups.clone();
        let environment = environment.clone();
        let (known, unlisted) = self.callers().await?;
        let now = self.now();
        let compare = move || {
            let read = |path: &Path| RulesOfFile::read(path, &context, &environment);
            let files = Files { old: read(&old)?, new: read(&new)? };
            let callers = files.everybody(known, &groups);
            Ok(RightsDiff {
                changes: files.changes(&callers, now)?,
                callers: callers.len(),
                unlisted,
                warnings: [&files.old.warnings[..], &files.new.warnings].concat(),
            })
        };
        blocking(compare).await
    }
}

/// The two sets of rules.
struct Files {
    old: RulesOfFile,
    new: RulesOfFile,
}

impl Files {
    /// All that are compared: those that are known; whom rules name; members of groups that rules name, and anybody
    /// else with an account, of whom nothing else is known.
    fn everybody(&self, known: Vec<KnownCaller>, groups: &Groups) -> Vec<KnownCaller> {
        let mut callers = vec![callers::anonymous()];
        let mut names: HashSet<String> = known.iter().map(|known| known.who.clone()).collect();
        callers.extend(known);
        let mut add = |who: String, subject: Subject| {
            if names.insert(who.clone()) {
                callers.push(KnownCaller::new(who, subject));
            }
        };
        if let Some(subject) = callers::stranger(SourceName::local(), None, groups) {
            add("signed-in".to_owned(), subject);
        }
        let rules = [&self.old.rules, &self.new.rules].map(|rules| &**rules);
        for (who, (_, member)) in callers::members(rules.into_iter(), groups) {
            add(who, member);
        }
        let all = rules.into_iter().flat_map(RuleSet::rules);
        for principal in all.flat_map(|rule| rule.to.iter().chain(&rule.except)) {
            if let Some((who, subject)) = named_account(principal, groups) {
                add(who, subject);
            }
        }
        callers
    }

    fn changes(
        &self,
        callers: &[KnownCaller],
        now: SystemTime,
    ) -> Result<Vec<ChangedRights>, AdminError> {
        let mut services: Vec<ServiceName> = self.old.services.clone();
        let added = self.new.services.iter().filter(|new| !self.old.services.contains(new));
        services.extend(added.cloned());
        let [old, new] = [&self.old, &self.new]
            .map(|file| Side { rules: &file.rules, anonymous: file.anonymous });
        let mut comparison = Comparison::new(old, new, &services, now);
        let mut changes: Vec<ChangedRights> = Vec::new();
        let mut places: BTreeMap<ChangedRights, usize> = BTreeMap::new();
        for KnownCaller { who, subject, is_disabled, shadowed_by } in callers {
            let who = match shadowed_by {
                Some(_) => format!("{who} (no login reaches it)"),
                None if *is_disabled => format!("{who} (disabled or expired)"),
                None => who.clone(),
            };
            for change in &*comparison.changes(subject)? {
                let told = self.told(change);
                // What is the same for several callers is told once, with the example of the first.
                let place = *places.entry(told.without_examples()).or_insert_with(|| {
                    changes.push(told);
                    changes.len() - 1
                });
                changes[place].callers.push(who.clone());
            }
        }
        Ok(changes)
    }

    fn told(&self, change: &RightsChange) -> ChangedRights {
        let RightsChange { kind, actions, on, when, old, new } = change;
        let (change, [old_expiration, new_expiration]) = match kind {
            ChangeKind::Gained => ("gained", [None, None]),
            ChangeKind::Lost => ("lost", [None, None]),
            ChangeKind::Lifetime { old, new } => ("lifetime", [*old, *new]),
        };
        let regions = match on {
            ChangedResources::Catalog => &[][..],
            ChangedResources::Repositories(regions) => regions,
        };
        ChangedRights {
            change,
            callers: Vec::new(),
            actions: actions.iter().map(ToString::to_string).collect(),
            catalog: *on == ChangedResources::Catalog,
            repositories: regions.iter().map(ChangedRegion::from).collect(),
            when: when.iter().map(ToString::to_string).collect(),
            old: old.map(|by| decider(&self.old, by, old_expiration)),
            new: new.map(|by| decider(&self.new, by, new_expiration)),
        }
    }
}

impl ChangedRights {
    fn without_examples(&self) -> Self {
        let mut alike = self.clone();
        for region in &mut alike.repositories {
            region.example.clear();
        }
        alike
    }
}

/// The account or robot of which a rule says the whole name.
fn named_account(principal: &Principal, groups: &Groups) -> Option<(String, Subject)> {
    let nobody = Profile::default();
    let (who, source, name, kind) = match principal {
        Principal::User { source, name } => {
            let name = name.literal()?;
            let source = source.clone().unwrap_or_else(SourceName::local);
            (name.to_owned(), source, name.to_owned(), AccountKind::Person)
        }
        Principal::Robot(name) => {
            let name = name.literal()?;
            let account = format!("{ROBOT_PREFIX}{name}");
            (format!("robot:{name}"), SourceName::robot(), account, AccountKind::Robot)
        }
        Principal::Anyone
        | Principal::Anonymous
        | Principal::SignedIn
        | Principal::Group { .. } => return None,
    };
    let named = account(source, name.parse().ok()?, kind, &nobody);
    Some((who, groups.join(named).into()))
}

fn decider(file: &RulesOfFile, by: DecidedBy, lifetime: Option<Lifetime>) -> Decider {
    let expiration = lifetime.map(Lifetime::seconds);
    match by {
        DecidedBy::Rule(rule) => {
            let place = usize::try_from(rule.number()).unwrap_or_default().checked_sub(1);
            let line = place.and_then(|place| file.lines.get(place).copied().flatten());
            Decider {
                rule: Some(rule.number()),
                file: file.file.clone(),
                line,
                text: file.rules.rule_text(rule).unwrap_or_default(),
                expiration,
            }
        }
        DecidedBy::OwnPermission => Decider {
            rule: None,
            file: None,
            line: None,
            text: "the robot's own permission".to_owned(),
            expiration,
        },
    }
}

impl From<&Region> for ChangedRegion {
    fn from(region: &Region) -> Self {
        let texts = |families: &[Family]| families.iter().map(ToString::to_string).collect();
        Self {
            patterns: texts(&region.matching),
            except: texts(&region.except),
            example: region.example.clone(),
        }
    }
}

impl fmt::Display for ChangedRegion {
    /// `team/** except team/frozen`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.patterns.join(" and "))?;
        if self.except.is_empty() {
            Ok(())
        } else {
            write!(f, " except {}", self.except.join(", "))
        }
    }
}

impl fmt::Display for Decider {
    /// `rule 2 (rules.yml:4): allow [pull] repository team/** to signed-in`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(rule) = self.rule {
            write!(f, "rule {rule}")?;
            match (&self.file, self.line) {
                (Some(file), Some(line)) => write!(f, " ({}:{line})", file.display())?,
                (Some(file), None) => write!(f, " ({})", file.display())?,
                (None, _) => {}
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.text)
    }
}
