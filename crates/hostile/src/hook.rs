//! What a service of the operator's says of accounts.

use portpass_federation::hook::{Answer, HookAccount};
use serde_json::Value;

use crate::assert_one_line;

/// An answer: one JSON object, of which nothing is passed over and nothing made up; and an error repeats none of it but
/// the name of a member, since a password may be in it.
pub fn hook_answer(bytes: &[u8]) {
    let answer = match Answer::parse(bytes) {
        Ok(answer) => answer,
        Err(error) => {
            let message = error.to_string();
            assert_one_line(&message);
            return assert!(message.len() < 200, "{message}");
        }
    };
    let said: Value = serde_json::from_slice(bytes).expect("another reader of JSON reads it too");
    let word = match &answer {
        Answer::Yes(_) => "yes",
        Answer::No { .. } => "no",
        Answer::Unknown => "unknown",
        Answer::Unavailable { .. } => "unavailable",
    };
    assert_eq!(said["answer"], word);
    let (Answer::Yes(account) | Answer::No { account: Some(account), .. }) = &answer else {
        return;
    };
    is_as_said(account, &said["account"]);
}

fn is_as_said(account: &HookAccount, said: &Value) {
    let text = |name: &str| said.get(name).and_then(Value::as_str);
    assert_eq!(account.id.as_deref(), text("id"));
    assert_eq!(account.name.as_deref(), text("name"));
    assert_eq!(account.version.as_deref(), text("version"));
    let texts = |value: &Value| -> Vec<String> {
        let list = value.as_array().map(Vec::as_slice).unwrap_or_default();
        list.iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(account.groups, texts(&said["groups"]));
    for (name, values) in &account.labels {
        assert_eq!(values, &texts(&said["labels"][name]));
    }
    // What limits an account is never lost.
    let limit = said.get("ceiling").filter(|limit| !limit.is_null());
    assert_eq!(account.ceiling.is_some(), limit.is_some());
    if let Some((ceiling, limit)) = account.ceiling.as_ref().zip(limit) {
        assert_eq!(ceiling.actions, texts(&limit["actions"]));
        assert_eq!(ceiling.repositories, texts(&limit["repositories"]));
        assert!(!ceiling.actions.is_empty() && !ceiling.repositories.is_empty());
    }
    let until = said.get("valid_until").is_some_and(|until| !until.is_null());
    assert_eq!(account.valid_until.is_some(), until);
}
