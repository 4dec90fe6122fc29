//! Who logs in: `users` as a password file, `ldap_auth`, and what cannot be carried over.

use std::{fmt::Write as _, path::Path};

use portpass_authority::subject::AccountName;
use secrecy::SecretString;

use super::{
    file::{DockerAuthFile, LdapSection},
    hooks,
    server::flag,
    workloads,
};
use crate::translation::{Writer, quoted};

/// Writes `accounts` and `anonymous`; gives the lines of the password file.
pub(super) fn write(
    file: &DockerAuthFile,
    sections: &[String],
    htpasswd: &Path,
    writer: &mut Writer,
) -> Option<SecretString> {
    let is_there = |section: &str| sections.iter().any(|there| there == section);
    for (section, instead) in ELSEWHERE.iter().filter(|(section, _)| is_there(section)) {
        writer.doubt(format!("`{section}` cannot be carried over: {instead}"));
    }
    let none = ELSEWHERE.iter().all(|(section, _)| !is_there(section));
    if none && file.users.is_none() && file.ldap_auth.is_none() {
        writer.doubt("there is no way to log in; docker_auth does not start so");
    }
    let lines = users(file, writer);
    let directory = file.ldap_auth.as_ref().and_then(|ldap| directory(&ldap.value, writer));
    writer.line("  accounts:");
    if lines.is_some() {
        let path = htpasswd.display().to_string();
        writer.line(format!("    - htpasswd: {{ path: {} }}", quoted(&path)));
    } else if directory.is_none() {
        writer.line("    - local: {}");
    }
    // In the order in which docker_auth asks them.
    hooks::suggest(hooks::BEFORE_LDAP, sections, writer);
    for line in directory.into_iter().flatten() {
        writer.line(line);
    }
    hooks::suggest(hooks::BEHIND_LDAP, sections, writer);
    workloads::suggest(file, writer);
    writer.line(format!("  anonymous: {}", are_anonymous(file)));
    lines.map(SecretString::from)
}

/// Whether callers without credentials get tokens: they are the user without a name.
pub(super) fn are_anonymous(file: &DockerAuthFile) -> bool {
    file.users.as_ref().is_some_and(|users| matches!(users.get(""), Some(Some(_))))
}

fn users(file: &DockerAuthFile, writer: &mut Writer) -> Option<String> {
    let mut lines = String::new();
    for (name, user) in file.users.iter().flatten() {
        let Some(user) = user else {
            writer.doubt(format!("the user {name:?} has no keys; docker_auth knows no such user"));
            continue;
        };
        if name.is_empty() {
            if user.password.is_some() {
                writer.doubt("the user \"\" has a password: callers without credentials would have to match it; here they need none");
            }
            if user.labels().next().is_some() {
                writer
                    .doubt("the user \"\" has labels; callers without credentials have none here");
            }
            continue;
        }
        let Some(hash) = &user.password else {
            writer.doubt(format!(
                "the user {name:?} has no password, so docker_auth takes any; left out"
            ));
            continue;
        };
        if let Err(why) = name.parse::<AccountName>() {
            writer.doubt(format!(
                "the user {name:?} cannot be an account ({why}); left out, with its password"
            ));
            continue;
        }
        let is_bcrypt = ["$2a$", "$2b$", "$2y$"].iter().any(|kind| hash.starts_with(kind));
        if !is_bcrypt || hash.contains(['\n', '\r']) {
            writer.doubt(format!("the password of the user {name:?} is no bcrypt hash, so docker_auth takes none; left out"));
            continue;
        }
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "{name}:{hash}");
    }
    (!lines.is_empty()).then_some(lines)
}

/// The directory as a source of accounts, unless something is missing.
fn directory(ldap: &LdapSection, writer: &mut Writer) -> Option<Vec<String>> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let needed = [("addr", &ldap.addr), ("base", &ldap.base), ("filter", &ldap.filter)];
    if let Some((key, _)) = needed.iter().find(|(_, text)| given(text).is_none()) {
        writer.doubt(format!("`ldap_auth.{key}` is missing; the directory is left out"));
        return None;
    }
    let addr = ldap.addr.as_deref().unwrap_or_default();
    let implicit = addr.ends_with(":636");
    let (scheme, starttls) = match ldap.tls.as_deref().unwrap_or_default() {
        "always" => ("ldaps", false),
        "starttls" => ("ldap", true),
        "" if implicit => ("ldaps", false),
        "" | "none" => {
            writer.doubt("`ldap_auth.tls` is off: passwords reach the directory in the clear");
            ("ldap", false)
        }
        other => {
            writer
                .doubt(format!("`ldap_auth.tls` is {other}; there are none, starttls and always"));
            ("ldaps", false)
        }
    };
    if flag("ldap_auth.insecure_tls_skip_verify", ldap.insecure_tls_skip_verify.as_deref(), writer)
    {
        writer.doubt("`ldap_auth.insecure_tls_skip_verify` has no counterpart: name the directory's CA in `ca`");
    }
    if flag("ldap_auth.initial_bind_as_user", ldap.initial_bind_as_user.as_deref(), writer) {
        writer.doubt("`ldap_auth.initial_bind_as_user` has no counterpart: give a `bind_dn` that may search, or `user_dn` instead of `filter`");
    }
    let groups = group_label(ldap, writer);
    let mut lines = vec![
        "    - ldap:".to_owned(),
        format!("        servers: [{}]", quoted(&format!("{scheme}://{addr}"))),
    ];
    match (scheme, starttls) {
        (_, true) => lines.push("        starttls: true".to_owned()),
        ("ldap", false) => lines.push("        insecure_plaintext: true".to_owned()),
        _ => {}
    }
    for (key, value) in [
        ("ca", &ldap.ca_certificate),
        ("bind_dn", &ldap.bind_dn),
        ("bind_password_file", &ldap.bind_password_file),
        ("base", &ldap.base),
        ("filter", &ldap.filter),
    ] {
        let Some(value) = given(value) else { continue };
        let is_file = ["ca", "bind_password_file"].contains(&key);
        if is_file && !value.starts_with('/') {
            writer.doubt("the paths of `ldap_auth` start at the folder that docker_auth was started in; here they start at the folder of this file");
        }
        lines.push(format!("        {key}: {}", quoted(&value)));
    }
    if groups {
        lines.push(format!("        groups: {{ {} }}", member_of(ldap, writer)));
    }
    Some(lines)
}

/// docker_auth takes every group that the attribute names, wherever it lies; here the ones below a base count.
fn member_of(ldap: &LdapSection, writer: &mut Writer) -> String {
    let base = ldap.base.clone().unwrap_or_default();
    let Some(suffix) = suffix(&base) else {
        writer.doubt(format!("`ldap_auth` takes groups of the whole directory, and {base:?} does not tell where that begins: put its first entry into `member_of.base`, else groups beside {base:?} do not count"));
        return "member_of: {}".to_owned();
    };
    writer.doubt(format!("`ldap_auth` takes groups of the whole directory: `member_of.base` is {suffix:?} for that. Put there the branch in which only your administrators make groups"));
    format!("member_of: {{ base: {} }}", quoted(suffix))
}

/// The parts of a distinguished name that are a directory's own: its domain, its country and its organization.
fn suffix(name: &str) -> Option<&str> {
    let is_of_the_directory = |from: &str| {
        let kind = from.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
        ["dc", "o", "c"].contains(&kind.as_str())
    };
    let starts = name.rmatch_indices(',').map(|(comma, _)| comma + 1).chain([0]);
    let suffix = starts.map(|start| &name[start..]).take_while(|from| is_of_the_directory(from));
    suffix.last().map(str::trim)
}

/// Whether a label has the groups of an account: the one of `memberOf`.
fn group_label(ldap: &LdapSection, writer: &mut Writer) -> bool {
    let mut found = false;
    for (name, label) in ldap.labels.iter().flatten() {
        let label = label.clone().unwrap_or_default();
        let attribute = label.attribute.as_deref().unwrap_or_default();
        if !label.has_groups() {
            writer.doubt(format!(
                "the label {name:?} of `ldap_auth` is the attribute {attribute}; only groups are carried over"
            ));
            continue;
        }
        found = true;
        if !flag("parse_cn", label.parse_cn.as_deref(), writer) {
            writer.doubt(format!("the label {name:?} has whole names of groups (`parse_cn` is off); here a group is called by its first part, and by its whole name in lower case with no space behind a comma: write entries for it that way"));
        }
        if flag("lower_case", label.lower_case.as_deref(), writer) {
            writer.doubt(format!("the label {name:?} is in lower case; here groups are called as the directory calls them"));
        }
    }
    found
}

const BROWSER: &str = "portpass has no sign-in in a browser. People get accounts of the directory behind it or of portpass";
/// Where docker_auth finds accounts elsewhere, and what there is instead.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "ext_auth",
        "a command is asked over HTTP here: run it behind docs/http-accounts-command.py, and make the source `http` below no comment. Its labels come along. There are no refresh tokens, so docker keeps the password",
    ),
    ("google_auth", BROWSER),
    (
        "github_auth",
        "portpass has no sign-in in a browser, so no label `teams`. Jobs of GitHub Actions log in with their own tokens (see below); people get accounts of portpass, with groups named as the teams",
    ),
    (
        "oidc_auth",
        "portpass has no sign-in in a browser, so no labels of `labels_claims` for people. Programs log in with tokens of the issuer (see below); people get accounts of portpass, with groups",
    ),
    (
        "gitlab_auth",
        "portpass has no sign-in in a browser. GitLab's jobs log in with their own tokens; people get accounts of portpass",
    ),
    (
        "mongo_auth",
        "export the collection to a password file, one line `NAME:HASH` each (its hashes are bcrypt), or ask the database over HTTP, as docs/http-accounts.md says",
    ),
    (
        "xorm_auth",
        "export the table `xorm_user` to a password file, one line `NAME:HASH` each (its hashes are bcrypt), or ask the database over HTTP, as docs/http-accounts.md says",
    ),
    (
        "plugin_authn",
        "what the plugin decides is asked over HTTP here: answer as docs/http-accounts.md says, and make the source `http` below no comment",
    ),
];
