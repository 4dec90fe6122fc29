//! What becomes of docker_auth's keys, and that rules decide as the entries that they come from.

use std::{net::IpAddr, path::PathBuf, time::SystemTime};

use portpass_authority::{
    docker_auth::{Acl, EntryText},
    policy::{Policy, Request},
    subject::{Account, AccountId, AccountKind, CredentialVersion, Labels, SourceName, Subject},
};
use portpass_protocol::access::{Access, Action, Resource};
use portpass_token::ServiceName;
use secrecy::ExposeSecret as _;

use super::*;
use crate::{Config, Environment, Sources};

mod imported;
mod same_rights;

const HASH: &str = "$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu";

fn target() -> ImportTarget {
    ImportTarget {
        source: PathBuf::from("/etc/docker_auth/auth_config.yml"),
        htpasswd: PathBuf::from("/etc/portpass/users.htpasswd"),
        services: vec![],
    }
}

fn imported(text: &str) -> Imported {
    import("auth_config.yml", text, &target()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The smallest file that docker_auth starts from, without its last keys.
fn file(more: &str) -> String {
    format!(
        "server: {{ addr: ':5001' }}\ntoken: {{ issuer: x, expiration: 900, certificate: /c, key: /k }}\n{more}"
    )
}
