//! docker_auth's configuration as one of ours.

use std::path::{Path, PathBuf};

use portpass_authority::docker_auth::{Acl, EntryText};
use secrecy::SecretString;

use super::{
    accounts, doubts,
    file::{DockerAuthFile, Read, read},
    is_plain, rules, server,
};
use crate::{
    ConfigError,
    translation::{Writer, quoted},
};

/// Where the parts of the new configuration are to be.
#[derive(Clone, Debug)]
pub struct ImportTarget {
    /// docker_auth's own file, as the new configuration is to name it.
    pub source: PathBuf,
    /// The password file that is to be written, as the new configuration is to name it.
    pub htpasswd: PathBuf,
    /// What the registries call themselves, where that is known.
    pub services: Vec<String>,
}

/// docker_auth's configuration as one of ours.
#[derive(Debug)]
pub struct Imported {
    /// A file that a server starts from; each doubt is a line `# doubt: …`.
    pub configuration: String,
    /// The lines of the password file; none where there is no user with a password.
    pub htpasswd: Option<SecretString>,
    /// What is not the same, or may not have been meant.
    pub doubts: Vec<String>,
}

/// Translates the text of docker_auth's file; `name` is what errors and comments call it.
pub fn import(name: &str, text: &str, target: &ImportTarget) -> Result<Imported, ConfigError> {
    let Read { file, unknown, sections } = read(name, text)?;
    let mut writer = Writer::default();
    writer.line(format!(
        "# From {name}, by `portpass import docker-auth`. Look at each line that begins with"
    ));
    writer.line("# `# doubt:` before you use this file.");
    for unknown in &unknown {
        writer.doubt(format!(
            "line {}: docker_auth does not know the key `{}` and ignores it",
            unknown.line, unknown.path
        ));
    }
    server::http(&file.server, &mut writer);
    writer.line("token_service:");
    let acl = entries(&file);
    server::listen(&file.server, looks_at_addresses(&file), &mut writer);
    server::token(&file, &mut writer);
    services(&file, target, &mut writer);
    let htpasswd = accounts::write(&file, &sections, &target.htpasswd, &mut writer);
    let refused = unknown.iter().any(|unknown| unknown.path.starts_with("acl["));
    policy(acl, accounts::are_anonymous(&file), refused, &sections, &target.source, &mut writer);
    let (configuration, doubts) = writer.finish();
    Ok(Imported { configuration, htpasswd, doubts })
}

/// The entries, or what is wrong with one.
fn entries(file: &DockerAuthFile) -> Result<Vec<EntryText>, String> {
    let acl = file.acl.as_ref().map(|acl| acl.value.clone()).unwrap_or_default();
    let text = |(at, entry): (usize, crate::Located<super::file::EntrySection>)| {
        let missing = |key| format!("entry {} of the ACL: the key `{key}` is missing", at + 1);
        entry.value.text().map_err(missing)
    };
    acl.into_iter().enumerate().map(text).collect()
}

fn looks_at_addresses(file: &DockerAuthFile) -> bool {
    let entries = file.acl.iter().flat_map(|acl| &acl.value);
    entries.filter_map(|entry| entry.value.conditions.as_ref()).any(|c| c.ip.is_some())
}

/// Those that were named, and those that the ACL names to the letter.
fn services(file: &DockerAuthFile, target: &ImportTarget, writer: &mut Writer) {
    let mut names = target.services.clone();
    for entry in file.acl.iter().flat_map(|acl| &acl.value) {
        let service = entry.value.conditions.as_ref().and_then(|c| c.service.clone());
        let is_new = |name: &String| !name.is_empty() && is_plain(name) && !names.contains(name);
        names.extend(service.filter(is_new));
    }
    if target.services.is_empty() {
        writer.doubt(
            "docker_auth signs tokens for every `service`, portpass for those that are listed: list the `service` of each of your registries (or import with --service NAME)",
        );
    }
    if names.is_empty() {
        names.push("registry".to_owned());
    }
    let key_id = server::key_id(file, writer);
    writer.line("  services:");
    for name in names {
        writer.line(format!("    - {{ name: {}, key_id: {key_id} }}", quoted(&name)));
    }
}

fn policy(
    acl: Result<Vec<EntryText>, String>,
    anonymous: bool,
    refused: bool,
    sections: &[String],
    source: &Path,
    writer: &mut Writer,
) {
    let is_there = |section: &&str| sections.iter().any(|there| there == section);
    for other in OTHER_RULES.iter().filter(|(section, _)| is_there(section)) {
        let (section, instead) = other;
        writer.doubt(format!(
            "`{section}` cannot be carried over: {instead}. What no entry of `acl` decides is denied here"
        ));
    }
    let nobody = |writer: &mut Writer, doubt: String| {
        writer.doubt(doubt);
        writer.line("  policy: []");
    };
    if !is_there(&"acl") {
        return nobody(writer, "there is no `acl`, so nobody may do anything here yet".to_owned());
    }
    let entries = match acl {
        Ok(entries) => entries,
        Err(why) => {
            return nobody(
                writer,
                format!(
                    "{why}. docker_auth ends on it; nobody may do anything here until it is there"
                ),
            );
        }
    };
    for doubt in doubts::of_acl(&entries) {
        writer.doubt(doubt);
    }
    if let Err(error) = Acl::parse(entries.clone()) {
        return nobody(
            writer,
            format!(
                "{error}. Nobody may do anything here until this is mended in {}",
                source.display()
            ),
        );
    }
    if refused {
        return nobody(
            writer,
            format!(
                "an entry of the ACL has a key that docker_auth ignores, so that it matches more than it says. Nobody may do anything here until the entry is mended in {}; import it again then",
                source.display()
            ),
        );
    }
    match rules::translate(&entries, anonymous) {
        Ok(rules) if !rules.is_empty() || entries.is_empty() => {
            if entries.iter().any(|entry| !entry.actions.is_empty() && entry.actions != ["*"]) {
                writer.doubt("a client that asks for `*` on a repository, as `skopeo delete` does, gets the actions that the rules allow, written out; docker_auth gives it nothing unless the entry has `*`");
            }
            writer.line("  # The rules decide as the ACL does. The ACL itself would do as well:");
            writer.line(format!(
                "  # policy: {{ docker-auth: {} }}",
                quoted(&source.display().to_string())
            ));
            if rules.is_empty() {
                writer.line("  policy: []");
            } else {
                writer.line("  policy:");
                for rule in rules {
                    writer.line(format!("    {rule}"));
                }
            }
        }
        Ok(_) => nobody(writer, "no entry of the ACL gives anything".to_owned()),
        Err(inexact) => {
            writer.doubt(format!(
                "the ACL stays as it is, in docker_auth's file, since rules of portpass would decide otherwise: {inexact}"
            ));
            writer.line(format!(
                "  policy: {{ docker-auth: {} }}",
                quoted(&source.display().to_string())
            ));
        }
    }
}

/// What decides in docker_auth beside `acl`, and what there is instead.
const OTHER_RULES: &[(&str, &str)] = &[
    ("acl_mongo", "write its documents, in the order of `seq`, as entries of `acl`"),
    ("acl_xorm", "write its rows, in the order of `seq`, as entries of `acl`"),
    ("ext_authz", "write what the command decides as rules"),
    ("plugin_authz", "write what the plugin decides as rules"),
    ("casbin_authz", "write its policy as rules"),
];
