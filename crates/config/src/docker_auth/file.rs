//! The file as it was typed. Every value is kept as its text, since docker_auth reads YAML 1.1.

use std::collections::BTreeMap;

use portpass_authority::docker_auth::EntryText;
use serde::Deserialize;

use super::tree::{Tree, UnknownKey};
use crate::{ConfigError, Located, type_error::Key};

/// What of docker_auth's file can be carried over; of the rest it is only told that it is there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DockerAuthFile {
    pub(super) server: ServerSection,
    pub(super) token: TokenSection,
    pub(super) users: Option<BTreeMap<String, Option<UserSection>>>,
    pub(super) ldap_auth: Option<Located<LdapSection>>,
    pub(super) github_auth: Option<GitHubSection>,
    pub(super) oidc_auth: Option<OidcSection>,
    pub(super) acl: Option<Located<Vec<Located<EntrySection>>>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ServerSection {
    pub(super) addr: Option<String>,
    pub(super) net: Option<String>,
    pub(super) path_prefix: Option<String>,
    pub(super) real_ip_header: Option<String>,
    pub(super) real_ip_pos: Option<String>,
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
    pub(super) hsts: Option<String>,
    pub(super) tls_min_version: Option<String>,
    pub(super) tls_curve_preferences: Option<Vec<String>>,
    pub(super) tls_cipher_suites: Option<Vec<String>>,
    pub(super) letsencrypt: Option<LetsEncryptSection>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LetsEncryptSection {
    pub(super) email: Option<String>,
    pub(super) cache_dir: Option<String>,
    pub(super) host: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TokenSection {
    pub(super) issuer: Option<String>,
    pub(super) expiration: Option<String>,
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
    pub(super) disable_legacy_key_id: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct UserSection {
    pub(super) password: Option<String>,
    pub(super) labels: Option<BTreeMap<String, Option<Vec<Option<String>>>>>,
}

impl std::fmt::Debug for UserSection {
    /// Without the hash.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserSection").field("labels", &self.labels).finish_non_exhaustive()
    }
}

impl UserSection {
    /// Each label and value, once.
    pub(super) fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().flatten().flat_map(|(name, values)| {
            let values = values.iter().flatten();
            values.map(|value| (name.as_str(), value.as_deref().unwrap_or_default()))
        })
    }
}

/// Of the sign-in with GitHub, what says whose jobs may log in.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct GitHubSection {
    pub(super) organization: Option<String>,
}

/// Of the sign-in with an issuer, what its tokens are made of.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OidcSection {
    pub(super) issuer: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) user_claim: Option<String>,
    pub(super) labels_claims: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LdapSection {
    pub(super) addr: Option<String>,
    pub(super) tls: Option<String>,
    pub(super) insecure_tls_skip_verify: Option<String>,
    pub(super) ca_certificate: Option<String>,
    pub(super) base: Option<String>,
    pub(super) filter: Option<String>,
    pub(super) bind_dn: Option<String>,
    pub(super) bind_password_file: Option<String>,
    pub(super) labels: Option<BTreeMap<String, Option<LdapLabelSection>>>,
    pub(super) initial_bind_as_user: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LdapLabelSection {
    pub(super) attribute: Option<String>,
    pub(super) parse_cn: Option<String>,
    pub(super) lower_case: Option<String>,
}

impl LdapLabelSection {
    /// Whether its values are the groups of an account.
    pub(super) fn has_groups(&self) -> bool {
        self.attribute.as_deref().is_some_and(|name| name.eq_ignore_ascii_case("memberOf"))
    }
}

/// An entry of the ACL.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EntrySection {
    #[serde(rename = "match")]
    pub(super) conditions: Option<MatchSection>,
    pub(super) actions: Option<Vec<Option<String>>>,
    pub(super) comment: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct MatchSection {
    pub(super) account: Option<String>,
    #[serde(rename = "type")]
    pub(super) resource_type: Option<String>,
    pub(super) name: Option<String>,
    pub(super) service: Option<String>,
    pub(super) ip: Option<String>,
    pub(super) labels: Option<BTreeMap<String, Option<String>>>,
}

impl EntrySection {
    /// `match` and `actions` are needed: without one of them docker_auth ends.
    pub(super) fn text(self) -> Result<EntryText, &'static str> {
        let conditions = self.conditions.ok_or("match")?;
        let actions = self.actions.ok_or("actions")?;
        let labels = conditions.labels.unwrap_or_default().into_iter();
        Ok(EntryText {
            account: conditions.account,
            resource_type: conditions.resource_type,
            name: conditions.name,
            service: conditions.service,
            ip: conditions.ip,
            labels: labels.map(|(name, value)| (name, value.unwrap_or_default())).collect(),
            actions: actions.into_iter().map(Option::unwrap_or_default).collect(),
            comment: self.comment,
        })
    }
}

/// A file that was read, with what docker_auth would pass over.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) file: DockerAuthFile,
    pub(super) unknown: Vec<UnknownKey>,
    /// The keys at the top.
    pub(super) sections: Vec<String>,
}

/// Reads the text of a whole configuration, or of a list of entries alone; `name` is what errors call it.
pub(super) fn read(name: &str, text: &str) -> Result<Read, ConfigError> {
    let tree: Tree = typed(name, text)?;
    match &tree {
        Tree::List(_) => {
            let acl = Located::default_value(typed(name, text)?);
            let file = DockerAuthFile { acl: Some(acl), ..DockerAuthFile::default() };
            Ok(Read { file, unknown: tree.unknown_keys("acl"), sections: vec!["acl".to_owned()] })
        }
        Tree::Keys(keys) => {
            let sections = keys.iter().map(|(key, _)| key.clone()).collect();
            Ok(Read { file: typed(name, text)?, unknown: tree.unknown_keys(""), sections })
        }
        Tree::Value => {
            let error = ConfigError::at(name, "this is no configuration of docker_auth");
            Err(error.hint("expected its whole file, or the list that stands below `acl:`"))
        }
    }
}

fn typed<T: for<'de> Deserialize<'de>>(name: &str, text: &str) -> Result<T, ConfigError> {
    let mut key = Key::whole("the file");
    serde_saphyr::with_deserializer_from_str(text, |yaml| {
        serde_path_to_error::deserialize(yaml).map_err(|error| {
            key = Key::at(error.path());
            error.into_inner()
        })
    })
    .map_err(|error| ConfigError::from_yaml(name, &key, &error))
}
