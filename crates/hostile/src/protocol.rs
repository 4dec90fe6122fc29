//! The words of the registry protocol.

use std::collections::BTreeSet;

use http::HeaderValue;
use portpass_client::Scopes;
use portpass_protocol::{
    Access, AccessSet, ContentRange, Links, MediaType, Scope,
    challenge::{self, Bearer, Quotable},
    error::reported::Reported,
    range::Requested,
    scope::parse_list,
    token_response,
};
use serde_json::Value;

use crate::assert_one_line;

/// A scope is written as it was read; a list of them is read alike by token service and client (docs/protocol.md §2).
pub fn scope(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(scope) = Scope::parse(text) {
        assert_eq!(Scope::parse(&scope.to_string()).as_ref(), Ok(&scope));
        let access = scope.into_access();
        assert!(AccessSet::from_iter([access.clone()]).covers(&access));
    }
    let (read, refused) = parse_list(text);
    assert!(read.len() + refused.len() <= text.len());
    for error in &refused {
        assert_one_line(&error.to_string());
    }
    // The client passes on as it was written what it does not know the whole of.
    let whole = text.split(' ').filter_map(|word| Scope::parse(word).ok());
    let plain = whole.filter(|scope| scope.class.is_none());
    let plain: AccessSet = plain.map(Scope::into_access).collect();
    if !text.contains(|c: char| c.is_ascii_whitespace() && c != ' ') {
        assert_eq!(Scopes::parse(text).known(), &plain);
    }
    let asked = Scopes::parse(text).to_string();
    assert_eq!(Scopes::parse(&asked).to_string(), asked);
}

/// The list of a token, as text and as JSON: reads back, and covers itself and nothing that it does
/// not name (SC5 to SC7, JW7).
pub fn access_list(bytes: &[u8]) {
    if let Ok(list) = std::str::from_utf8(bytes).unwrap_or_default().parse::<AccessSet>() {
        assert_eq!(list.to_string().parse().as_ref(), Ok(&list));
        covers_itself(&list);
    }
    if let Ok(list) = serde_json::from_slice::<AccessSet>(bytes) {
        let written = serde_json::to_vec(&list).expect("it is text and lists");
        let read: AccessSet = serde_json::from_slice(&written).expect("what we wrote");
        assert_eq!(read, list);
        covers_itself(&list);
    }
}

fn covers_itself(list: &AccessSet) {
    let resources: BTreeSet<String> =
        list.iter().map(|access| access.resource.to_string()).collect();
    assert_eq!(resources.len(), list.len(), "one entry per resource");
    for access in list {
        assert!(list.covers(access));
    }
    assert_eq!(list.intersection(list), *list);
    let nobodys = Access::repository("nobody/s", ["pull".into()]);
    let named = list.actions_on(&nobodys.resource).is_some();
    assert!(named || !list.covers(&nobodys));
}

/// Lines of `WWW-Authenticate`: read whatever they are, and written by us read back (CH1, CH11).
pub fn challenge(bytes: &[u8]) {
    let read = challenge::parse(bytes.split(|byte| *byte == b'\n'));
    for oddity in read.oddities() {
        assert_one_line(&oddity.to_string());
        assert!(!oddity.id().is_empty());
    }
    let _ = read.breaks();
    assert!(read.iter().count() <= bytes.len());
    let Some(bearer) = read.bearer() else { return };
    let quotable = |text: Option<&str>| Quotable::new("text", text.unwrap_or_default()).ok();
    let Some((realm, service)) = quotable(bearer.realm()).zip(quotable(bearer.service())) else {
        return;
    };
    let ours = challenge::Challenge::from(Bearer::new(realm.clone(), service.clone())).to_string();
    assert!(HeaderValue::from_str(&ours).is_ok(), "{ours:?}");
    let again = challenge::parse([ours.as_bytes()]);
    let again = again.bearer().expect("it is a bearer challenge");
    assert_eq!(again.realm(), Some(realm.as_str()));
    assert_eq!(again.service(), Some(service.as_str()));
}

/// The answer of a token service: a token that a header can carry, or one line that says why not
/// (TG5, TG6).
pub fn token_response(bytes: &[u8]) {
    match token_response::read(bytes) {
        Ok(received) => {
            assert!(!received.token.is_empty());
            assert!(HeaderValue::from_str(&format!("Bearer {}", received.token)).is_ok());
            assert!(received.refresh_token.is_none_or(|secret| !secret.is_empty()));
            for oddity in &received.oddities {
                assert_one_line(&oddity.to_string());
            }
        }
        Err(error) => assert_one_line(&error.to_string()),
    }
}

/// What a registry says when it refuses is one line, and no more of it than a person reads (CL9).
pub fn error_body(bytes: &[u8]) {
    let said = Reported::read(bytes).to_string();
    assert_one_line(&said);
    assert!(said.chars().count() < 10_000, "{}", said.len());
}

/// A manifest is of one kind to everybody, and points at exactly what its JSON does (OC16, OC17;
/// GHSA-qq97-vm5h-rrhg).
pub fn manifest(bytes: &[u8]) {
    let read = MediaType::ALL.map(|kind| (kind, Links::parse(bytes, kind)));
    for (_, links) in &read {
        if let Err(error) = links {
            assert_one_line(&error.to_string());
        }
    }
    let mut taken = read.into_iter().filter_map(|(kind, links)| Some((kind, links.ok()?)));
    let Some((kind, links)) = taken.next() else { return };
    assert_eq!(taken.next(), None, "it is {kind} too");
    assert_eq!(links.media_type, kind);

    let document: Value = serde_json::from_slice(bytes).expect("it was read as JSON");
    let digest = |pointer: &Value| pointer["digest"].as_str().map(str::to_owned);
    let list = |name: &str| -> Vec<String> {
        document[name].as_array().into_iter().flatten().filter_map(digest).collect()
    };
    let named = |list: &[portpass_protocol::manifest::Descriptor]| -> Vec<String> {
        list.iter().map(|pointer| pointer.digest.to_string()).collect()
    };
    assert_eq!(named(&links.layers), list("layers"));
    assert_eq!(named(&links.manifests), list("manifests"));
    let one = |pointer: &Option<portpass_protocol::manifest::Descriptor>| {
        pointer.as_ref().map(|pointer| pointer.digest.to_string())
    };
    assert_eq!(one(&links.config), digest(&document["config"]));
    if let Some(subject) = one(&links.subject) {
        assert_eq!(Some(subject), digest(&document["subject"]));
    }
    let foreign = links.layers.iter().filter(|layer| layer.may_be_elsewhere()).count();
    let config = usize::from(links.config.is_some());
    assert_eq!(links.blobs().count(), config + links.layers.len() - foreign);
}

/// `Range` lies within the content, `Content-Range` reads back (OC3, OC11).
pub fn range(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for length in [0, 1, 2, 1000, u64::MAX] {
        if let Requested::Part(part) = Requested::parse(Some(text), length) {
            assert!(part.first() <= part.last() && part.last() < length, "{part:?} of {length}");
            assert!((1..=length).contains(&part.length()));
        }
    }
    match ContentRange::parse(text) {
        Ok(range) => {
            assert_eq!(ContentRange::parse(&range.to_string()).ok(), Some(range));
            assert!(range.bytes().length() >= 1);
        }
        Err(error) => assert_one_line(&error.to_string()),
    }
}
