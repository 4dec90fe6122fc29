//! `token_service.accounts[].ldap`: a directory.

use std::{fmt, num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use portpass_authority::subject::SourceName;
use portpass_federation::ldap::{
    Dn, FilterTemplate, NameTemplate, TemplateError,
    settings::{AccountLookup, GroupLookup, Identity, Nesting, Security, Server, Settings},
    tls,
};
use rustls::ClientConfig;
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::section::{Section, is_of_another_kind};
use crate::{ConfigError, Files, Located, Location, measure::Span};

/// The section `ldap`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LdapSection {
    /// What rules call it, if there is a second one: `user:NAME/ann`. Default: ldap
    pub name: Option<Located<String>>,
    /// The servers, as `ldaps://dc1.example.org`. The first that answers is used.
    #[schemars(required)]
    pub servers: Option<Located<Vec<Located<String>>>>,
    /// The authorities that sign the servers' certificates, in PEM form. Default: those of this machine.
    pub ca: Option<Located<PathBuf>>,
    /// Begin TLS on `ldap://` servers before anything else. Default: no
    pub starttls: Option<bool>,
    /// Send passwords in the clear to `ldap://` servers that are not on this machine. Default: no
    pub insecure_plaintext: Option<Located<bool>>,
    /// The account that searches. Absent: nobody in particular.
    pub bind_dn: Option<Located<String>>,
    /// Its password. A file is better.
    #[schemars(with = "Option<String>")]
    pub bind_password: Option<Located<SecretString>>,
    /// The file of its password.
    pub bind_password_file: Option<Located<PathBuf>>,
    /// Where accounts are.
    pub base: Option<Located<String>>,
    /// What finds an account: `(uid=${account})`.
    pub filter: Option<Located<String>>,
    /// The attribute with the account's name. Default: the first that the filter compares with `${account}`.
    pub account_attribute: Option<Located<String>>,
    /// Instead of a search: the name that a password is tried on, `uid=${account},ou=people,dc=example,dc=org`.
    pub user_dn: Option<Located<String>>,
    /// How groups are found. Absent: accounts are in no groups.
    pub groups: Option<Located<GroupsSection>>,
    /// How long the directory's word counts without being asked again. Default: 5m
    #[schemars(with = "Option<Span>")]
    pub cache: Option<Located<String>>,
    /// How long one server may take for a login. Default: 3s
    #[schemars(with = "Option<Span>")]
    pub timeout: Option<Located<String>>,
    /// How many connections to one server there may be to search, and as many to try passwords. Default: 16
    pub connections: Option<Located<u16>>,
}

/// How groups are found.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupsSection {
    /// By an attribute of the account's entry.
    MemberOf(MemberOfSection),
    /// By a search.
    Search(GroupSearchSection),
    /// Groups of groups too: by Active Directory's own rule, elsewhere step by step.
    Chain(ChainSection),
}

/// `groups: { member_of: {} }`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberOfSection {
    /// Which. Default: memberOf
    pub attribute: Option<String>,
    /// Only groups below this one count. Default: `base`
    pub base: Option<Located<String>>,
    /// Whether groups of groups count. Default: no, since some directories list them already.
    pub nested: Option<bool>,
}

/// `groups: { search: { filter: … } }`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupSearchSection {
    /// Where groups are. Default: `base`
    pub base: Option<Located<String>>,
    /// What finds the groups of a member: `(member=${dn})`, or `(memberUid=${account})`.
    #[schemars(required)]
    pub filter: Option<Located<String>>,
    /// Whether groups of groups count. Default: yes
    pub nested: Option<bool>,
}

/// `groups: { chain: {} }`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChainSection {
    /// Where groups are. Default: `base`
    pub base: Option<Located<String>>,
}

/// What the section means. Each has a name of its own, by which alone they are compared.
#[derive(Clone)]
pub struct LdapSource {
    /// What rules call it.
    pub name: SourceName,
    /// The directory.
    pub settings: Settings,
    /// How long its word counts.
    pub cache: Duration,
}

impl PartialEq for LdapSource {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for LdapSource {}

impl fmt::Debug for LdapSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LdapSource").field("name", &self.name).finish_non_exhaustive()
    }
}

impl LdapSection {
    /// Reads the files. No server is asked: one that is away is no mistake.
    pub(crate) fn build(self, place: &Location, files: &Files) -> Result<LdapSource, ConfigError> {
        let at = &Section { key: KEY, place, files };
        let name = self
            .name
            .as_ref()
            .map_or_else(|| Ok(SourceName::ldap()), |name| source_name(at, name))?;
        let settings = Settings {
            servers: self.servers(at)?,
            tls: trust(at, self.ca.as_ref())?,
            accounts: self.accounts(at)?,
            groups: self.groups(at)?,
            timeout: at.span("timeout", self.timeout.as_ref(), TIMEOUT, SHORTEST..=LONGEST)?,
            connections: at.number(
                "connections",
                self.connections.as_ref(),
                CONNECTIONS,
                MOST_CONNECTIONS,
            )?,
        };
        let cache = at.span("cache", self.cache.as_ref(), CACHE, Duration::ZERO..=LONGEST_CACHE)?;
        Ok(LdapSource { name, settings, cache })
    }

    fn servers(&self, at: &Section<'_>) -> Result<Vec<Server>, ConfigError> {
        let typed = self.servers.as_ref().filter(|typed| !typed.value.is_empty());
        let typed = typed.ok_or_else(|| {
            at.missing("servers").hint("expected `servers: [\"ldaps://ldap.example.org\"]`")
        })?;
        let plaintext = self.insecure_plaintext.as_ref().filter(|allowed| allowed.value);
        let starttls = self.starttls.unwrap_or(false);
        let mut servers: Vec<Server> = Vec::new();
        for text in &typed.value {
            let server = Server::parse(&text.value, starttls).map_err(|error| {
                at.error("servers", text, format!("{:?}: {error}", text.value))
                    .hint("expected `ldaps://HOST` or `ldap://HOST`, with `:PORT` where it is not 636 or 389")
            })?;
            let is_clear = server.security() == Security::Plaintext && !server.is_loopback();
            match plaintext {
                None if is_clear => {
                    let error = format!("passwords would reach {server} in the clear");
                    return Err(at.error("servers", text, error).hint(
                        "use `ldaps://`, or `starttls: true`; if the network is safe by other means, `insecure_plaintext: true`",
                    ));
                }
                Some(allowed) if is_clear => at.files.warn(
                    &allowed.place,
                    &at.key_of("insecure_plaintext"),
                    format!("passwords reach {server} in the clear"),
                ),
                Some(_) | None => {}
            }
            if servers.contains(&server) {
                return Err(at.error("servers", text, format!("{server} is there twice")));
            }
            servers.push(server);
        }
        Ok(servers)
    }

    fn accounts(&self, at: &Section<'_>) -> Result<AccountLookup, ConfigError> {
        match (&self.user_dn, &self.filter) {
            (None, None) => Err(at.missing("filter").hint(FILTER_HINT)),
            (None, Some(filter)) => {
                let base = dn(at, "base", self.base.as_ref())?;
                let identity = self.identity(at)?;
                let template = template(at, "filter", filter, FilterTemplate::of_accounts)?;
                let attribute = self.attribute(template.attribute(), at)?;
                Ok(AccountLookup::Search { identity, base, filter: template, attribute })
            }
            (Some(typed), filter) => self.direct(typed, filter.as_ref(), at),
        }
    }

    /// Who logs in reads the own entry, so nobody else has to be able to.
    fn direct(
        &self,
        typed: &Located<String>,
        filter: Option<&Located<String>>,
        at: &Section<'_>,
    ) -> Result<AccountLookup, ConfigError> {
        if let Some(bind_dn) = &self.bind_dn {
            let error = at.error("bind_dn", bind_dn, "with `user_dn` nobody searches");
            return Err(
                error.hint("leave out one of them: `bind_dn` goes with `base` and `filter`")
            );
        }
        let name = NameTemplate::parse(&typed.value)
            .map_err(|error| at.error("user_dn", typed, error.to_string()).hint(USER_DN_HINT))?;
        let entry = match filter {
            Some(filter) => {
                let template = template(at, "filter", filter, FilterTemplate::of_accounts)?;
                Some((dn(at, "base", self.base.as_ref())?, template))
            }
            None if name.is_dn() => None,
            None => {
                let error = at.missing("filter");
                return Err(error.hint(
                    "`user_dn` makes no distinguished name: `base` and `filter` have to find the entry after the login",
                ));
            }
        };
        let own = typed.value.split_once('=').map(|(kind, _)| kind.trim()).filter(|_| name.is_dn());
        let found = entry.as_ref().and_then(|(_, filter)| filter.attribute());
        let attribute = self.attribute(found.or(own), at)?;
        Ok(AccountLookup::Direct { name, entry, attribute })
    }

    fn attribute(&self, found: Option<&str>, at: &Section<'_>) -> Result<String, ConfigError> {
        let typed = self.account_attribute.as_ref().map(|typed| typed.value.as_str());
        match typed.or(found) {
            Some(attribute) => Ok(attribute.to_owned()),
            None => Err(at.missing("account_attribute").hint(
                "the filter compares no attribute with `${account}` alone: say which one has the account's name",
            )),
        }
    }

    fn identity(&self, at: &Section<'_>) -> Result<Identity, ConfigError> {
        let password = match (&self.bind_password, &self.bind_password_file) {
            (Some(_), Some(file)) => {
                let error = at.error("bind_password_file", file, "`bind_password` is there too");
                return Err(error.hint("keep one of them"));
            }
            (Some(typed), None) => Some((typed.value.clone(), "bind_password")),
            (None, Some(file)) => {
                let text = at.files.read_text(&at.key_of("bind_password_file"), file)?;
                let password = text.strip_suffix('\n').unwrap_or(&text);
                let password = password.strip_suffix('\r').unwrap_or(password);
                Some((SecretString::from(password), "bind_password_file"))
            }
            (None, None) => None,
        };
        match (&self.bind_dn, password) {
            (None, None) => Ok(Identity::Anonymous),
            (None, Some((_, key))) => {
                Err(at.missing("bind_dn").hint(format!("`{key}` is its password")))
            }
            (Some(_), None) => Err(at.missing("bind_password_file").hint(
                "`bind_dn` needs a password; without both, the directory is searched anonymously",
            )),
            (Some(dn), Some(_)) if dn.value.trim().is_empty() => {
                Err(at.error("bind_dn", dn, "the value is empty"))
            }
            (Some(dn), Some((password, key))) if password.expose_secret().is_empty() => {
                let error = at.error(key, dn, "the password is empty");
                Err(error.hint("directories take an empty password for nobody, and answer yes"))
            }
            (Some(dn), Some((password, _))) => {
                Ok(Identity::Account { dn: dn.value.clone(), password })
            }
        }
    }

    fn groups(&self, at: &Section<'_>) -> Result<GroupLookup, ConfigError> {
        let Some(typed) = &self.groups else { return Ok(GroupLookup::None) };
        let base = |own: &Option<Located<String>>, kind: &str| match own {
            Some(own) => dn(at, &format!("groups.{kind}.base"), Some(own)),
            None => dn(at, "base", self.base.as_ref()),
        };
        let nesting = |nested| if nested { Nesting::Followed } else { Nesting::Ignored };
        match &typed.value {
            GroupsSection::MemberOf(section) => {
                let base = base(&section.base, "member_of")?;
                Ok(GroupLookup::MemberOf {
                    attribute: section.attribute.clone().unwrap_or_else(|| "memberOf".to_owned()),
                    base: Dn::parse(&base).ok_or_else(|| at.missing("base"))?,
                    nested: nesting(section.nested.unwrap_or(false)),
                })
            }
            GroupsSection::Search(section) => {
                let key = "groups.search.filter";
                let filter = section.filter.as_ref().ok_or_else(|| {
                    at.error(key, typed, "the key is missing")
                        .hint("as in `filter: \"(member=${dn})\"`")
                })?;
                Ok(GroupLookup::Search {
                    base: base(&section.base, "search")?,
                    filter: template(at, key, filter, FilterTemplate::of_groups)?,
                    nested: nesting(section.nested.unwrap_or(true)),
                })
            }
            GroupsSection::Chain(section) => {
                Ok(GroupLookup::Chain { base: base(&section.base, "chain")? })
            }
        }
    }
}

fn source_name(at: &Section<'_>, typed: &Located<String>) -> Result<SourceName, ConfigError> {
    let name: SourceName =
        typed.value.parse().map_err(|error: portpass_authority::subject::SourceNameError| {
            at.error("name", typed, error.to_string())
        })?;
    if is_of_another_kind(&name, "ldap") {
        let message = format!("`{name}` is the name of another kind of source");
        return Err(at.error("name", typed, message));
    }
    Ok(name)
}

fn dn(at: &Section<'_>, key: &str, typed: Option<&Located<String>>) -> Result<String, ConfigError> {
    let typed =
        typed.ok_or_else(|| at.missing(key).hint("expected `base: \"dc=example,dc=org\"`"))?;
    match Dn::parse(&typed.value) {
        Some(_) => Ok(typed.value.clone()),
        None => Err(at
            .error(key, typed, format!("{:?} is no distinguished name", typed.value))
            .hint("as `ou=people,dc=example,dc=org` is")),
    }
}

fn template(
    at: &Section<'_>,
    key: &str,
    typed: &Located<String>,
    parse: impl FnOnce(&str) -> Result<FilterTemplate, TemplateError>,
) -> Result<FilterTemplate, ConfigError> {
    parse(&typed.value).map_err(|error| {
        let hint = if key == "filter" { FILTER_HINT } else { "as `(member=${dn})` is" };
        at.error(key, typed, format!("{:?}: {error}", typed.value)).hint(hint)
    })
}

fn trust(
    at: &Section<'_>,
    ca: Option<&Located<PathBuf>>,
) -> Result<Arc<ClientConfig>, ConfigError> {
    let Some(ca) = ca else {
        return tls::of_this_machine()
            .map_err(|error| at.files.error(at.place, KEY, error.to_string()));
    };
    let authorities = at.authorities(ca)?;
    tls::trusting(authorities).map_err(|error| at.no_authorities(ca, &error.to_string()))
}

const KEY: &str = "token_service.accounts.ldap";
const FILTER_HINT: &str =
    "as `(uid=${account})` is, or `(sAMAccountName=${account})` for Active Directory";
const USER_DN_HINT: &str = "as `uid=${account},ou=people,dc=example,dc=org` is, or `${account}@example.org` for Active Directory";
const TIMEOUT: Duration = Duration::from_secs(3);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);
const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(16).unwrap();
const MOST_CONNECTIONS: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();
const CACHE: Duration = Duration::from_mins(5);
const LONGEST_CACHE: Duration = Duration::from_hours(24);
