//! What docker_auth asks of a command, a plugin or a database, asked over HTTP: sources of accounts, as comments.

use crate::translation::Writer;

/// Something that knows accounts, and what could ask it here.
pub(super) struct Hook {
    /// What docker_auth calls it.
    section: &'static str,
    /// What the source could be called.
    name: &'static str,
    /// Where it could listen.
    port: u16,
    /// Whether it says anything without the password.
    lookup: bool,
}

/// Writes a source for each that is there, ready to be uncommented.
pub(super) fn suggest(hooks: &[Hook], sections: &[String], writer: &mut Writer) {
    let is_there = |hook: &&Hook| sections.iter().any(|section| section == hook.section);
    for Hook { section, name, port, lookup } in hooks.iter().filter(is_there) {
        writer.line(format!("    # In place of `{section}`, once these lines are no comments:"));
        writer.line("    # - http:");
        writer.line(format!("    #     name: {name}"));
        writer.line(format!("    #     url: http://127.0.0.1:{port}/"));
        writer.line("    #     bearer_token_file: /etc/portpass/accounts-token");
        if !lookup {
            writer.line("    #     lookup: false");
        }
    }
}

/// What docker_auth asks before the directory.
pub(super) const BEFORE_LDAP: &[Hook] =
    &[Hook { section: "ext_auth", name: "command", port: 8081, lookup: false }];

/// What it asks when the directory has no such account.
pub(super) const BEHIND_LDAP: &[Hook] = &[
    Hook { section: "mongo_auth", name: "mongo", port: 8082, lookup: true },
    Hook { section: "xorm_auth", name: "xorm", port: 8083, lookup: true },
    Hook { section: "plugin_authn", name: "plugin", port: 8084, lookup: false },
];
