//! What robots and API keys are limited to.

use std::time::{Duration, SystemTime};

use portpass_authority::ceiling::Ceiling;
use portpass_state::{AuditRecord, Permission};
use serde_json::json;

use super::{AdminError, rfc3339};

/// What a robot or an API key may do, and until when.
#[derive(Debug, Clone)]
pub struct Limits {
    /// `pull`, `push`, `delete` or `*`.
    pub actions: Vec<String>,
    /// Patterns of repositories, without placeholders.
    pub repositories: Vec<String>,
    /// How long it is good; absent: until somebody ends it.
    pub expires: Option<Duration>,
    /// What it is for.
    pub description: String,
}

impl Limits {
    /// When it ends; fails for what cannot be.
    pub(crate) fn end(&self, now: SystemTime) -> Result<Option<SystemTime>, AdminError> {
        self.expires.map(|span| end_of("--expires", span, now)).transpose()
    }

    /// As it is kept.
    pub(crate) fn permission(&self) -> Permission {
        Permission { actions: self.actions.clone(), repositories: self.repositories.clone() }
    }
}

/// What cannot be is not kept.
pub(crate) fn check(limits: &Limits) -> Result<(), AdminError> {
    Ceiling::parse(&limits.actions, &limits.repositories)?;
    if limits.expires.is_some_and(|expires| expires.is_zero()) {
        return Err(AdminError::ExpiredAtOnce);
    }
    Ok(())
}

/// The last second that RFC 3339 can write.
const LAST_SECOND: Duration = Duration::from_secs(253_402_300_799);

/// When a span ends that begins now. What nobody can write down is a mistake: no end is written by leaving it out.
pub(crate) fn end_of(
    flag: &'static str,
    span: Duration,
    now: SystemTime,
) -> Result<SystemTime, AdminError> {
    let last = SystemTime::UNIX_EPOCH + LAST_SECOND;
    let end = now.checked_add(span).filter(|end| *end <= last);
    end.ok_or(AdminError::EndlessEnd { flag })
}

/// The record of something that was made with limits.
pub(crate) fn limited_record(
    mut record: AuditRecord,
    permission: &Permission,
    expires_at: Option<SystemTime>,
) -> AuditRecord {
    record.detail["allow"] = json!(permission.actions);
    record.detail["repositories"] = json!(permission.repositories);
    if let Some(end) = expires_at {
        record.detail["expires_at"] = rfc3339(end).into();
    }
    record
}
