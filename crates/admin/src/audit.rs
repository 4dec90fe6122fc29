//! The trail, read: who did what, and whether it is as it was written.

use std::time::SystemTime;

use jiff::{Timestamp, tz::TimeZone};
use portpass_authority::{
    audit::{Action, Object},
    policy::{FixedPatternError, PathPattern},
};
use portpass_protocol::printable::on_one_line;
use portpass_state::{AuditEntry as Row, AuditHead, Fault, Verified};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{AdminError, Installation, account_key::named};
use portpass_config::Span;

/// What is asked of the trail, as it was typed.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Only what this account did, and what was done to it. The trail does not say its source.
    pub account: Option<String>,
    /// Only what is about repositories like this.
    pub repository: Option<String>,
    /// Only what happened since then.
    pub since: Option<String>,
    /// Only this, if anything is named.
    pub actions: Vec<String>,
}

/// What is asked of the trail, understood.
#[derive(Debug)]
pub struct AuditFilter {
    account: Option<String>,
    repository: Option<PathPattern>,
    since: Option<SystemTime>,
    actions: Vec<Action>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// Its place in the trail.
    pub sequence: i64,
    /// When it happened.
    #[serde(serialize_with = "to_the_millisecond")]
    pub at: SystemTime,
    /// What happened.
    pub action: String,
    /// Who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Whom or what it was done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Where the request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The request's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// The rest.
    pub detail: Value,
    /// Of the entry and of the one before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// What a verification has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditVerdict {
    /// Whether nothing is wrong.
    pub holds: bool,
    /// Entries that were hashed again.
    pub chained: u64,
    /// Entries that are older than the chain.
    pub unchained: u64,
    /// The last entry that was removed for its age or for want of room; zero if none was.
    pub removed_to: i64,
    /// Where it leads: what `--expect` takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// What is not as it was written, a sentence each.
    pub faults: Vec<String>,
    /// Whether there are more faults than are listed.
    pub more: bool,
}

impl Installation {
    /// Understands a question.
    pub fn audit_filter(&self, question: &AuditQuery) -> Result<AuditFilter, AdminError> {
        let AuditQuery { account, repository, since, actions } = question;
        let actions = actions.iter().map(|word| word.parse()).collect::<Result<_, _>>()?;
        Ok(AuditFilter {
            account: account.as_deref().map(|account| named(account).name.to_owned()),
            repository: repository.as_deref().map(pattern).transpose()?,
            since: since.as_deref().map(|text| time(text, self.now())).transpose()?,
            actions,
        })
    }

    /// The end of the trail: what is written from now on comes behind it.
    pub async fn audit_end(&self) -> Result<i64, AdminError> {
        Ok(self.db.audit_size().await?.last)
    }

    /// The latest entries that are meant, at most so many, oldest first.
    pub async fn latest_audit(
        &self,
        filter: &AuditFilter,
        number: usize,
    ) -> Result<Vec<AuditEntry>, AdminError> {
        let first = self.audit_begin(filter).await?;
        let (mut found, mut before) = (Vec::new(), i64::MAX);
        while found.len() < number && before > first {
            let rows = self.db.audit_before(before, PAGE).await?;
            let Some(last) = rows.last() else { break };
            before = last.sequence;
            let meant = rows.into_iter().filter(|row| row.sequence >= first && filter.matches(row));
            found.extend(meant.take(number - found.len()).map(AuditEntry::from));
        }
        found.reverse();
        Ok(found)
    }

    /// Some entries behind a place that are meant, oldest first, and the place up to which was looked; `None`
    /// at the end of the trail.
    pub async fn audit_after(
        &self,
        filter: &AuditFilter,
        place: i64,
    ) -> Result<Option<(Vec<AuditEntry>, i64)>, AdminError> {
        let rows = self.db.audit_after(place, PAGE).await?;
        let Some(last) = rows.last().map(|row| row.sequence) else { return Ok(None) };
        let meant = rows.into_iter().filter(|row| filter.matches(row));
        Ok(Some((meant.map(AuditEntry::from).collect(), last)))
    }

    /// The first place that can be meant.
    pub async fn audit_begin(&self, filter: &AuditFilter) -> Result<i64, AdminError> {
        match filter.since {
            None => Ok(0),
            Some(since) => Ok(self.db.audit_since(since).await?.unwrap_or(i64::MAX)),
        }
    }

    /// Computes the chain of the trail again, and holds it against an end that was noted earlier.
    pub async fn verify_audit(&self, expected: Option<&str>) -> Result<AuditVerdict, AdminError> {
        let expected = expected.map(head).transpose()?;
        let verified = self.db.verify_audit(expected.as_ref()).await?;
        let Verified { removed, unchained, chained, head, faults, more } = verified;
        Ok(AuditVerdict {
            holds: faults.is_empty(),
            chained,
            unchained,
            removed_to: removed,
            head: head.map(|head| format!("{}:{}", head.sequence, head.hash)),
            faults: faults.into_iter().map(describe).collect(),
            more,
        })
    }
}

impl AuditFilter {
    fn matches(&self, row: &Row) -> bool {
        let record = &row.record;
        let object = record.action.parse::<Action>().map_or(Object::Nothing, Action::object);
        let is_about = |name: &str| {
            let done_to = object == Object::Account && record.object.as_deref() == Some(name);
            done_to || record.actor.as_deref() == Some(name)
        };
        self.since.is_none_or(|since| record.at >= since)
            && self.account.as_deref().is_none_or(is_about)
            && (self.actions.is_empty()
                || self.actions.iter().any(|action| action.as_str() == record.action))
            && self.repository.as_ref().is_none_or(|pattern| {
                repositories(row, object).any(|repository| pattern.means(repository))
            })
    }
}

/// All that an entry is about.
fn repositories(row: &Row, object: Object) -> impl Iterator<Item = &str> {
    let detail = &row.record.detail;
    let own = row.record.object.as_deref().filter(|_| object == Object::Repository);
    let from = detail["from"].as_str();
    let asked = detail["access"].as_array().into_iter().flatten();
    let asked = asked.filter_map(|access| {
        let (kind, name) = access["resource"].as_str()?.split_once(':')?;
        kind.starts_with("repository").then_some(name)
    });
    own.into_iter().chain(from).chain(asked)
}

fn pattern(text: &str) -> Result<PathPattern, AdminError> {
    let text = text.to_owned();
    PathPattern::parse_fixed(&text).map_err(|why| match why {
        FixedPatternError::Open => AdminError::OpenPattern { text },
        why => AdminError::InvalidPattern { text, why },
    })
}

/// How long ago, or when.
pub(super) fn time(text: &str, now: SystemTime) -> Result<SystemTime, AdminError> {
    let refused = || AdminError::InvalidTime { text: text.to_owned() };
    match text.parse::<Span>() {
        Ok(Span(ago)) => Ok(now.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH)),
        Err(_) => text.parse::<Timestamp>().map(SystemTime::from).map_err(|_| refused()),
    }
}

fn head(text: &str) -> Result<AuditHead, AdminError> {
    let read = || {
        let (sequence, hash) = text.split_once(':')?;
        Some(AuditHead { sequence: sequence.parse().ok()?, hash: hash.parse().ok()? })
    };
    read().ok_or_else(|| AdminError::InvalidAuditHead { text: text.to_owned() })
}

fn describe(fault: Fault) -> String {
    match fault {
        Fault::Changed { sequence } => {
            format!("entry {sequence} was changed, or the hash of the entry before it was")
        }
        Fault::Missing { from, to } if from == to => format!("entry {from} is missing"),
        Fault::Missing { from, to } => format!("entries {from} to {to} are missing"),
        Fault::Unchained { sequence } => format!("entry {sequence} has lost its hash"),
        Fault::Cut { last } => {
            format!(
                "the trail ends at entry {last}, before the position that you noted: its end is missing"
            )
        }
        Fault::Rewritten { sequence } => format!(
            "entry {sequence} is not the one that you noted: it, or an entry before it, was changed"
        ),
        Fault::Removed { sequence } => format!(
            "entry {sequence}, which you noted, was removed because of its age or the size of the trail: it proves nothing any more"
        ),
    }
}

impl From<Row> for AuditEntry {
    fn from(row: Row) -> Self {
        let record = row.record;
        Self {
            sequence: row.sequence,
            at: record.at,
            action: record.action,
            account: record.actor,
            object: record.object,
            address: record.address,
            request: record.request,
            detail: record.detail,
            hash: row.hash.map(|hash| hash.to_string()),
        }
    }
}

impl AuditEntry {
    /// Its parts as a person reads them, each on one line that no terminal obeys. The time, the action, who and
    /// what come first.
    pub fn parts(&self) -> Vec<String> {
        let mut parts = vec![
            super::rfc3339(self.at),
            self.action.clone(),
            self.account.clone().unwrap_or_else(|| "-".to_owned()),
        ];
        parts.extend(self.object.clone());
        for (name, value) in self.detail.as_object().into_iter().flatten() {
            match (name.as_str(), value) {
                ("access", Value::Array(entries)) => parts.extend(entries.iter().map(access)),
                (_, Value::String(text)) => parts.push(format!("{name} {text}")),
                (_, Value::Array(texts)) if texts.iter().all(Value::is_string) => {
                    let texts: Vec<_> = texts.iter().filter_map(Value::as_str).collect();
                    parts.push(format!("{name} {}", texts.join(",")));
                }
                (_, value) => parts.push(format!("{name} {value}")),
            }
        }
        if let Value::String(text) = &self.detail {
            parts.push(text.clone());
        }
        parts.extend(self.address.as_ref().map(|address| format!("from {address}")));
        parts.extend(self.request.as_ref().map(|request| format!("request {request}")));
        parts.iter().map(|part| on_one_line(part, LONGEST_PART)).collect()
    }
}

/// `repository:team/app pull of pull,push by rule 2`
fn access(entry: &Value) -> String {
    let words = |name: &str| {
        let words = entry[name].as_array().into_iter().flatten();
        let words: Vec<_> = words.filter_map(Value::as_str).collect();
        if words.is_empty() { "nothing".to_owned() } else { words.join(",") }
    };
    let rules = entry["rules"].as_array().into_iter().flatten();
    let rules: Vec<_> = rules.map(ToString::to_string).collect();
    let by = if rules.is_empty() { String::new() } else { format!(" by rule {}", rules.join(",")) };
    let resource = entry["resource"].as_str().unwrap_or_default();
    format!("{resource} {} of {}{by}", words("granted"), words("requested"))
}

/// What the chain hashes is in milliseconds.
fn to_the_millisecond<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let text = Timestamp::try_from(*time).map_or_else(
        |_| "never".to_owned(),
        |at| at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
    );
    serializer.serialize_str(&text)
}

/// Entries that are read at a time.
const PAGE: usize = 500;
/// No detail is longer.
const LONGEST_PART: usize = 4096;
