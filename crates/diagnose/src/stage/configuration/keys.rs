//! CFG-02: under which key a credential is stored, and which clients find it there.

use portpass_client::{
    credentials::{CredentialSource, Entry, Owner, SourceReport},
    host::Host,
};
use portpass_protocol::challenge::KnownClient;

use super::readers;
use crate::{Check, Finding, Needs, run::Run};

/// What is missing where nothing is kept.
const LOGIN: &str = "--username NAME, or a stored login";

pub(super) fn check(run: &mut Run, surveyed: &[SourceReport]) {
    let host = &run.target.host;
    if let Some((name, _)) = &run.inputs.password {
        run.record(Finding::pass(Check::Cfg02, format!("you gave {name:?} with a password")));
        return;
    }
    let finding = match &run.observed.credential {
        Some(found) => {
            let owner =
                run.observed.credential.as_ref().and_then(|found| found.credential.username());
            let whose = owner.map_or_else(String::new, |name| format!(" of {name:?}"));
            kept(host, surveyed, &found.place, &whose)
        }
        None if run.failed(Check::Cfg01) => Finding::skip(Check::Cfg02, Needs::Check(Check::Cfg01)),
        None if run.failed(Check::Cfg03) => Finding::skip(Check::Cfg02, Needs::Check(Check::Cfg03)),
        None => missing(host, surveyed),
    };
    let finding = tried(run, surveyed).into_iter().fold(finding, Finding::evidence);
    run.record(finding);
}

/// Says it louder once the registry turns out to serve nobody without a password.
pub(crate) fn key_that_was_needed(run: &mut Run) {
    if run.observed.credential.is_none() && run.warned(Check::Cfg02) {
        let summary = format!(
            "{} asks for a password, but the stored one is under another key",
            run.target.host
        );
        let finding = Finding::fail(Check::Cfg02, summary)
            .fix(format!("log in to {} by exactly this name", run.target.host))
            .breaks(&KnownClient::ALL)
            .rows(&["F141"]);
        run.record(finding);
    }
}

fn kept(host: &Host, surveyed: &[SourceReport], place: &CredentialSource, whose: &str) -> Finding {
    let all = || surveyed.iter().flat_map(|one| fitting(one).map(move |entry| (one, entry)));
    // Of several that fit alike the first counts.
    let used = all()
        .filter(|(one, _)| one.place == *place)
        .reduce(|best, next| if next.1.fit > best.1.fit { next } else { best });
    let pass = |how: &str| {
        Finding::pass(
            Check::Cfg02,
            format!("a credential{whose} for {host} is stored in {place}{how}"),
        )
    };
    let Some((one, entry)) = used else { return pass("") };
    let key = &entry.key;
    if entry.newline {
        return Finding::warn(
            Check::Cfg02,
            format!("the password under {key:?} in {place} ends with a newline, as from `echo` without -n"),
        )
        .breaks(&KnownClient::ALL)
        .fix(format!("log in again: `printf %s \"$PASSWORD\" | docker login --username NAME --password-stdin {host}`"))
        .rows(&["F142"]);
    }
    if one.owner == Owner::Docker && !docker_finds(key, host) {
        return Finding::fail(
            Check::Cfg02,
            format!(
                "the credential{whose} is stored under {key:?}, where docker does not look for {host}"
            ),
        )
        .breaks(readers(Owner::Docker))
        .fix(format!(
            "`docker logout {key}`, then `docker login {host}`: the key must be {:?}",
            host.credential_key()
        ))
        .rows(&["F141"]);
    }
    let others: Vec<String> = all()
        .filter(|(_, other)| other.username.is_some() && other.username != entry.username)
        .map(|(one, other)| {
            let name = other.username.as_deref().unwrap_or_default();
            format!("{:?} in {} is {name:?}", other.key, one.place)
        })
        .collect();
    if others.is_empty() {
        return pass(&format!(" under {key:?} ({})", rule(key, host)));
    }
    let finding = Finding::warn(
        Check::Cfg02,
        format!("{host} has several logins; here {key:?} in {place}{whose} is used"),
    )
    .fix("in podman's files, the longest prefix of the repository's name wins. Docker reads only its own file. Log out of the one that you do not want")
    .rows(&["F145"]);
    others.into_iter().fold(finding, Finding::evidence)
}

fn missing(host: &Host, surveyed: &[SourceReport]) -> Finding {
    let near: Vec<(&SourceReport, &Entry)> = surveyed
        .iter()
        .flat_map(|one| entries(one).iter().map(move |entry| (one, entry)))
        .filter(|(_, entry)| {
            entry.fit.is_none() && name(bare(&entry.key)) == name(&host.to_string())
        })
        .collect();
    let fix = format!(
        "log in with the name that you pull from: `docker login {host}` (the key must be {:?})",
        host.credential_key()
    );
    if let Some((one, entry)) =
        near.iter().find(|(_, entry)| same(bare(&entry.key), &host.to_string()))
    {
        let summary = format!(
            "{} has a credential under {:?}, another spelling of {host} that clients do not look for",
            one.place, entry.key
        );
        return Finding::fail(Check::Cfg02, summary)
            .breaks(readers(one.owner))
            .fix(fix)
            .rows(&["F141"]);
    }
    if let Some((one, entry)) = near.first() {
        let summary = format!("nothing is stored for {host}; {} has {:?}", one.place, entry.key);
        return Finding::warn(Check::Cfg02, summary).fix(fix).rows(&["F141"]);
    }
    let skip = Finding::skip(Check::Cfg02, Needs::Input(LOGIN));
    let hub = surveyed.iter().flat_map(entries).any(|entry| entry.key.contains("index.docker.io"));
    if hub {
        return skip
            .evidence("a login to Docker Hub is stored; clients send it to no other host, not even to a mirror")
            .fix(format!("if {host} is a mirror with its own accounts, log in to it by its own name"))
            .rows(&["F32"]);
    }
    skip
}

/// Every place with the keys that were tried in it.
fn tried(run: &Run, surveyed: &[SourceReport]) -> Vec<String> {
    let host = &run.target.host;
    let line = |one: &SourceReport| {
        let found: Vec<String> = fitting(one)
            .map(|entry| format!("{:?} ({})", entry.key, rule(&entry.key, host)))
            .collect();
        let found = match (one.exists, found.is_empty()) {
            (false, _) => "does not exist".to_owned(),
            (true, true) => format!("has no key for {host}"),
            (true, false) => format!("has {}", found.join(", ")),
        };
        let wanted = match (one.owner, &run.target.repository) {
            (Owner::Podman, Some(name)) => format!("{host}/{name} and its prefixes, {host}"),
            _ => format!("{}, then any with a scheme or path around it", host.credential_key()),
        };
        format!("{}: looked for {wanted}; it {found}", one.place)
    };
    surveyed.iter().map(line).collect()
}

fn rule(key: &str, host: &Host) -> &'static str {
    if key == host.credential_key() {
        "the key itself"
    } else if key.contains("://") {
        "without scheme and path"
    } else if key.contains('/') {
        "a prefix of the repository's name"
    } else {
        "another spelling"
    }
}

fn entries(one: &SourceReport) -> &[Entry] {
    one.entries.as_deref().unwrap_or_default()
}

fn fitting(one: &SourceReport) -> impl Iterator<Item = &Entry> {
    // Docker's empty mark says that a helper has it.
    entries(one).iter().filter(|entry| entry.fit.is_some())
}

/// Docker compares letter by letter, and has one key for its Hub.
fn docker_finds(key: &str, host: &Host) -> bool {
    key == host.credential_key() || bare(key) == host.credential_key()
}

/// Without scheme and path.
fn bare(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    key.split('/').next().unwrap_or_default()
}

/// Without a port.
fn name(host: &str) -> String {
    let end = host.rfind(':').filter(|at| !host[*at..].contains(']')).unwrap_or(host.len());
    host[..end].trim_end_matches('.').to_ascii_lowercase()
}

/// Whether two spellings mean one address of HTTPS.
fn same(key: &str, host: &str) -> bool {
    let port = |host: &str| host.strip_prefix(name(host).as_str()).unwrap_or_default().to_owned();
    let usual = |port: String| if port == ":443" { String::new() } else { port };
    name(key) == name(host) && usual(port(key)) == usual(port(host))
}
