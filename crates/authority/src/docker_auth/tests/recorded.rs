//! Lists and requests that docker_auth's own ACL decided, compiled with Go 1.19: what it said is in the file.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{differential::decide, generate::Asked};
use crate::docker_auth::EntryText;

#[derive(Deserialize)]
struct Recorded {
    /// The place of the entry, counted from one; none is nought.
    decides: usize,
    acl: Vec<RecordedEntry>,
    #[serde(flatten)]
    asked: Asked,
}

#[derive(Deserialize)]
struct RecordedEntry {
    account: Option<String>,
    #[serde(rename = "type")]
    resource_type: Option<String>,
    name: Option<String>,
    service: Option<String>,
    ip: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    actions: Vec<String>,
}

impl From<RecordedEntry> for EntryText {
    fn from(entry: RecordedEntry) -> Self {
        let RecordedEntry { account, resource_type, name, service, ip, labels, actions } = entry;
        Self { account, resource_type, name, service, ip, labels, actions, comment: None }
    }
}

#[test]
fn what_docker_auth_decided_is_decided_again() {
    let lines = include_str!("recorded.jsonl").lines();
    let mut by_entry = BTreeMap::<usize, usize>::new();
    for line in lines {
        let Recorded { decides, acl, asked } = serde_json::from_str(line).unwrap();
        let acl: Vec<EntryText> = acl.into_iter().map(Into::into).collect();
        assert_eq!(decide(&acl, &asked).0, decides, "{line}");
        *by_entry.entry(decides).or_default() += 1;
    }
    assert!(by_entry.len() > 5 && by_entry.values().sum::<usize>() > 150, "{by_entry:?}");
}
