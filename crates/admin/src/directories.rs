//! Whether the directories of a configuration work: `diagnose --ldap`.

use std::time::SystemTime;

use portpass_config::{AccountSource, Config};
use portpass_federation::ldap::{Directory, Examination, Examinee, Step};
use secrecy::SecretString;
use serde::Serialize;

use crate::AdminError;

/// What came of the steps with one server of a directory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DirectoryExamination {
    /// The source of accounts.
    pub source: String,
    /// The server.
    pub server: String,
    /// After one that fails there is no other.
    pub steps: Vec<DirectoryStep>,
}

/// One step of a login.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DirectoryStep {
    /// What was tried.
    pub step: String,
    /// Whether it worked.
    pub works: bool,
    /// How long it took.
    pub milliseconds: f64,
    /// What came of it, or why it failed.
    pub result: String,
}

/// Tries what a login needs with each server of each directory. Nothing is remembered of it.
pub async fn examine_directories(
    config: &Config,
    account: Option<(&str, Option<SecretString>)>,
    now: SystemTime,
) -> Result<Vec<DirectoryExamination>, AdminError> {
    let service = config.token_service.as_ref().ok_or(AdminError::NoTokenService)?;
    let who = account.map(|(account, password)| Examinee { account: account.to_owned(), password });
    let mut all = Vec::new();
    for source in &service.accounts {
        if let AccountSource::Ldap(ldap) = source {
            let directory = Directory::new(ldap.settings.clone());
            let servers = directory.examine(who.as_ref(), now).await;
            all.extend(servers.into_iter().map(|server| examination(source, server)));
        }
    }
    if all.is_empty() { Err(AdminError::NoDirectory) } else { Ok(all) }
}

fn examination(source: &AccountSource, examined: Examination) -> DirectoryExamination {
    let Examination { server, steps } = examined;
    let steps = steps.into_iter().map(|Step { what, took, outcome }| DirectoryStep {
        step: what,
        works: outcome.is_ok(),
        milliseconds: took.as_secs_f64() * 1000.0,
        result: outcome.unwrap_or_else(|why| why),
    });
    DirectoryExamination { source: source.name().to_string(), server, steps: steps.collect() }
}
