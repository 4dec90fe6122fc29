//! docker_auth's configuration: read for its ACL, which a token service here can keep, and translated into ours.
//!
//! docker_auth ignores keys that it does not know, and an entry without conditions means everybody. So nothing here
//! ignores one: a policy with an unknown key is refused, and an import names each.

mod accounts;
mod acl_file;
mod doubts;
mod file;
mod hooks;
mod import;
mod rules;
mod server;
#[cfg(test)]
mod tests;
mod tree;
mod workloads;

pub use self::{
    acl_file::{AclFile, AclFileContent},
    import::{ImportTarget, Imported, import},
};

/// Whether a pattern without placeholders means the text.
fn matches_text(pattern: &str, text: &str) -> bool {
    portpass_authority::docker_auth::pattern_matches(pattern, text)
}

/// Whether a pattern means itself and nothing else.
fn is_plain(pattern: &str) -> bool {
    !pattern.contains(['*', '?', '[', '\\', '/', '$', '{'])
}
