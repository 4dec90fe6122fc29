//! The table of environment variables: each sets one value of the configuration.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::de::DeserializeOwned;

use super::{
    Address, ConfigError, ConfigFile, Located, Location,
    accounts::Source,
    admin::AdminSection,
    auth::{AuthSection, HtpasswdSection, SillySection, TokenSection, two_controllers},
    http::HttpSection,
    placeholder,
    registry::{
        ImmutableSection, RegistrySection, RetentionRuleSection, StorageSection, UntaggedSection,
    },
    signing::SigningSection,
    tls::TlsSection,
    token_service::TokenServiceSection,
    type_error::Key,
};

mod registry;
mod token_service;

/// One line of the printed table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VariableHelp {
    /// Our name.
    pub name: &'static str,
    /// Distribution's name for the same, if it has one.
    pub registry: Option<&'static str>,
    /// The key that it sets.
    pub key: &'static str,
}

/// The table: every environment variable that sets a value of the configuration.
pub fn variables() -> impl Iterator<Item = VariableHelp> {
    all().map(|variable| VariableHelp {
        name: variable.name,
        registry: variable.registry,
        key: variable.key,
    })
}

/// One variable and what it does.
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    pub(crate) registry: Option<&'static str>,
    key: &'static str,
    apply: fn(&mut ConfigFile, &VariableValue<'_>) -> Result<(), String>,
}

impl Variable {
    /// Sets the value; `name` is the one of the two names that was found.
    pub(crate) fn set(
        &self,
        file: &mut ConfigFile,
        name: &'static str,
        text: &str,
    ) -> Result<(), ConfigError> {
        placeholder::refuse_in_variable(name, self.key, text)?;
        (self.apply)(file, &VariableValue { name, text })
            .map_err(|message| ConfigError::at(name, format!("{}: {message}", self.key)))
    }
}

/// What a variable holds.
pub(crate) struct VariableValue<'a> {
    name: &'static str,
    text: &'a str,
}

impl VariableValue<'_> {
    fn placed<T>(&self, value: T) -> Located<T> {
        Located { value, place: Location::Variable(self.name) }
    }

    fn text(&self) -> Located<String> {
        self.placed(self.text.to_owned())
    }

    fn path(&self) -> Located<PathBuf> {
        self.placed(PathBuf::from(self.text))
    }

    fn address(&self) -> Result<Located<Address>, String> {
        Ok(self.placed(self.text.parse::<Address>().map_err(|error| error.to_string())?))
    }

    /// Numbers, booleans and words, as they would stand in the file.
    fn yaml<T: DeserializeOwned>(&self) -> Result<T, String> {
        read_yaml(self.text)
    }

    /// A list as it would stand in the file, or its items with commas between them.
    fn list<T: DeserializeOwned>(&self) -> Result<Vec<Located<T>>, String> {
        let text = self.text.trim();
        let items: Vec<T> =
            if text.starts_with('[') { read_yaml(text)? } else { read_yaml(&format!("[{text}]"))? };
        Ok(items.into_iter().map(|item| self.placed(item)).collect())
    }
}

fn read_yaml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_saphyr::from_str(text).map_err(|error| {
        let error = ConfigError::from_yaml("value", &Key::whole("the variable"), &error);
        [&[error.to_string()], error.hints()].concat().join("; ")
    })
}

/// The sections that a variable creates if nothing else has.
impl ConfigFile {
    fn http(&mut self) -> &mut HttpSection {
        self.http.get_or_insert_default()
    }

    fn http_tls(&mut self, given: &VariableValue<'_>) -> &mut TlsSection {
        &mut self.http().tls.get_or_insert_with(|| given.placed(TlsSection::default())).value
    }

    fn registry(&mut self, given: &VariableValue<'_>) -> &mut RegistrySection {
        &mut self.registry.get_or_insert_with(|| given.placed(RegistrySection::default())).value
    }

    fn storage(&mut self, given: &VariableValue<'_>) -> &mut StorageSection {
        self.registry(given).storage.get_or_insert_default()
    }

    fn untagged(&mut self, given: &VariableValue<'_>) -> &mut UntaggedSection {
        let gc = self.storage(given).gc.get_or_insert_default();
        &mut gc.untagged.get_or_insert_with(|| given.placed(UntaggedSection::default())).value
    }

    /// The controller of that word; another one that is there already is an error (CF6).
    fn auth(&mut self, word: &str, given: &VariableValue<'_>) -> Result<&mut AuthSection, String> {
        let empty = AuthSection::empty(word).ok_or_else(|| {
            format!("unknown word {word:?}, expected `token`, `htpasswd`, `silly` or `none`")
        })?;
        let wanted = empty.word();
        let section =
            &mut self.registry(given).auth.get_or_insert_with(|| given.placed(empty)).value;
        if section.word() == wanted {
            Ok(section)
        } else {
            Err(two_controllers(section.word(), wanted))
        }
    }

    fn auth_token(&mut self, given: &VariableValue<'_>) -> Result<&mut TokenSection, String> {
        match self.auth("token", given)? {
            AuthSection::Token(token) => Ok(token),
            other => Err(two_controllers(other.word(), "token")),
        }
    }

    fn auth_htpasswd(&mut self, given: &VariableValue<'_>) -> Result<&mut HtpasswdSection, String> {
        match self.auth("htpasswd", given)? {
            AuthSection::Htpasswd(htpasswd) => Ok(htpasswd),
            other => Err(two_controllers(other.word(), "htpasswd")),
        }
    }

    fn auth_silly(&mut self, given: &VariableValue<'_>) -> Result<&mut SillySection, String> {
        match self.auth("silly", given)? {
            AuthSection::Silly(silly) => Ok(silly),
            other => Err(two_controllers(other.word(), "silly")),
        }
    }

    fn token_service(&mut self, given: &VariableValue<'_>) -> &mut TokenServiceSection {
        &mut self
            .token_service
            .get_or_insert_with(|| given.placed(TokenServiceSection::default()))
            .value
    }

    fn token_service_tls(&mut self, given: &VariableValue<'_>) -> &mut TlsSection {
        &mut self
            .token_service(given)
            .tls
            .get_or_insert_with(|| given.placed(TlsSection::default()))
            .value
    }

    fn signing(&mut self, given: &VariableValue<'_>) -> &mut SigningSection {
        &mut self
            .token_service(given)
            .signing
            .get_or_insert_with(|| given.placed(SigningSection::default()))
            .value
    }
}

/// Reading a path out of a list makes it a path of the shell, not of the file.
fn place_paths(sources: &mut [Located<Source>], given: &VariableValue<'_>) {
    for source in sources {
        let paths = match &mut source.value {
            Source::Local(_) => vec![],
            Source::Htpasswd(section) => vec![section.path.as_mut()],
            Source::Http(section) => section.paths(),
            Source::Ldap(section) => vec![section.ca.as_mut(), section.bind_password_file.as_mut()],
            Source::Workload(section) => vec![section.jwks.as_mut(), section.ca.as_mut()],
        };
        for path in paths.into_iter().flatten() {
            path.place = Location::Variable(given.name);
        }
    }
}

macro_rules! variable {
    ($name:literal, $key:literal, $apply:expr) => {
        Variable { name: $name, registry: None, key: $key, apply: $apply }
    };
    ($name:literal, $registry:literal, $key:literal, $apply:expr) => {
        Variable { name: $name, registry: Some($registry), key: $key, apply: $apply }
    };
}
use variable;

/// All of them, in the order of the file.
pub(crate) fn all() -> impl Iterator<Item = &'static Variable> {
    VARIABLES.iter().chain(registry::VARIABLES).chain(token_service::VARIABLES)
}

/// In the order of the file; those of the token service come after them.
const VARIABLES: &[Variable] = &[
    variable!("PORTPASS_DATA", "data", |file, given| {
        file.data = Some(given.path());
        Ok(())
    }),
    variable!("PORTPASS_DATABASE", "database", |file, given| {
        file.database = Some(given.placed(SecretString::from(given.text)));
        Ok(())
    }),
    variable!("PORTPASS_HTTP_ADDR", "REGISTRY_HTTP_ADDR", "http.addr", |file, given| {
        file.http().addr = Some(given.address()?);
        Ok(())
    }),
    variable!(
        "PORTPASS_HTTP_TLS_CERTIFICATE",
        "REGISTRY_HTTP_TLS_CERTIFICATE",
        "http.tls.certificate",
        |file, given| {
            file.http_tls(given).certificate = Some(given.path());
            Ok(())
        }
    ),
    variable!("PORTPASS_HTTP_TLS_KEY", "REGISTRY_HTTP_TLS_KEY", "http.tls.key", |file, given| {
        file.http_tls(given).key = Some(given.path());
        Ok(())
    }),
    variable!("PORTPASS_HTTP_HOST", "REGISTRY_HTTP_HOST", "http.host", |file, given| {
        file.http().host = Some(given.text());
        Ok(())
    }),
    variable!("PORTPASS_HTTP_IDLE_TIMEOUT", "http.idle_timeout", |file, given| {
        file.http().idle_timeout = Some(given.text());
        Ok(())
    }),
    variable!("PORTPASS_HTTP_TRUSTED_PROXIES", "http.trusted_proxies", |file, given| {
        file.http().trusted_proxies = Some(given.list()?);
        Ok(())
    }),
    variable!("PORTPASS_HTTP_HEADERS", "REGISTRY_HTTP_HEADERS", "http.headers", |file, given| {
        file.http().headers = Some(given.yaml()?);
        Ok(())
    }),
    variable!("PORTPASS_ADMIN_ADDR", "REGISTRY_HTTP_DEBUG_ADDR", "admin.addr", |file, given| {
        file.admin.get_or_insert_with(|| given.placed(AdminSection::default())).value.addr =
            Some(given.address()?);
        Ok(())
    }),
    variable!("PORTPASS_LOG_LEVEL", "REGISTRY_LOG_LEVEL", "log.level", |file, given| {
        file.log.get_or_insert_default().level = Some(given.yaml()?);
        Ok(())
    }),
    variable!("PORTPASS_LOG_FORMAT", "REGISTRY_LOG_FORMATTER", "log.format", |file, given| {
        file.log.get_or_insert_default().format = Some(given.yaml()?);
        Ok(())
    }),
    variable!("PORTPASS_AUDIT_KEEP", "audit.keep", |file, given| {
        file.audit.get_or_insert_default().keep = Some(given.text());
        Ok(())
    }),
    variable!("PORTPASS_AUDIT_MAX_SIZE", "audit.max_size", |file, given| {
        file.audit.get_or_insert_default().max_size = Some(given.text());
        Ok(())
    }),
    variable!("PORTPASS_REGISTRY_AUTH", "REGISTRY_AUTH", "registry.auth", |file, given| {
        file.auth(given.text, given).map(|_| ())
    }),
    variable!(
        "PORTPASS_REGISTRY_AUTH_TOKEN_REALM",
        "REGISTRY_AUTH_TOKEN_REALM",
        "registry.auth.token.realm",
        |file, given| {
            file.auth_token(given)?.realm = Some(given.text());
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_AUTH_TOKEN_SERVICE",
        "REGISTRY_AUTH_TOKEN_SERVICE",
        "registry.auth.token.service",
        |file, given| {
            file.auth_token(given)?.service = Some(given.text());
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_AUTH_TOKEN_ISSUER",
        "REGISTRY_AUTH_TOKEN_ISSUER",
        "registry.auth.token.issuer",
        |file, given| {
            file.auth_token(given)?.issuer = Some(given.text());
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE",
        "REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE",
        "registry.auth.token.rootcertbundle",
        |file, given| {
            file.auth_token(given)?.rootcertbundle = Some(given.path());
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_AUTH_TOKEN_JWKS",
        "REGISTRY_AUTH_TOKEN_JWKS",
        "registry.auth.token.jwks",
        |file, given| {
            file.auth_token(given)?.jwks = Some(given.path());
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_AUTH_TOKEN_SIGNINGALGORITHMS",
        "REGISTRY_AUTH_TOKEN_SIGNINGALGORITHMS",
        "registry.auth.token.signingalgorithms",
        |file, given| {
            file.auth_token(given)?.signingalgorithms = Some(given.list()?);
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_AUTH_TOKEN_AUTOREDIRECT",
        "REGISTRY_AUTH_TOKEN_AUTOREDIRECT",
        "registry.auth.token.autoredirect",
        |file, given| {
            file.auth_token(given)?.autoredirect = Some(given.yaml()?);
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_AUTH_TOKEN_AUTOREDIRECTPATH",
        "REGISTRY_AUTH_TOKEN_AUTOREDIRECTPATH",
        "registry.auth.token.autoredirectpath",
        |file, given| {
            file.auth_token(given)?.autoredirectpath = Some(given.text());
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_AUTH_HTPASSWD_REALM",
        "REGISTRY_AUTH_HTPASSWD_REALM",
        "registry.auth.htpasswd.realm",
        |file, given| {
            file.auth_htpasswd(given)?.realm = Some(given.text());
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_AUTH_HTPASSWD_PATH",
        "REGISTRY_AUTH_HTPASSWD_PATH",
        "registry.auth.htpasswd.path",
        |file, given| {
            file.auth_htpasswd(given)?.path = Some(given.path());
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_AUTH_HTPASSWD_LIMITS_ENABLED",
        "registry.auth.htpasswd.limits.enabled",
        |file, given| {
            let enabled = Some(given.yaml()?);
            file.auth_htpasswd(given)?.limits.get_or_insert_default().enabled = enabled;
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_AUTH_SILLY_REALM",
        "REGISTRY_AUTH_SILLY_REALM",
        "registry.auth.silly.realm",
        |file, given| {
            file.auth_silly(given)?.realm = Some(given.text());
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_AUTH_SILLY_SERVICE",
        "REGISTRY_AUTH_SILLY_SERVICE",
        "registry.auth.silly.service",
        |file, given| {
            file.auth_silly(given)?.service = Some(given.text());
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY",
        "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY",
        "registry.storage.filesystem.rootdirectory",
        |file, given| {
            file.storage(given).filesystem.get_or_insert_default().rootdirectory =
                Some(given.path());
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_STORAGE_DELETE_ENABLED",
        "REGISTRY_STORAGE_DELETE_ENABLED",
        "registry.storage.delete.enabled",
        |file, given| {
            file.storage(given).delete.get_or_insert_default().enabled = Some(given.yaml()?);
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED",
        "REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED",
        "registry.storage.maintenance.readonly.enabled",
        |file, given| {
            let maintenance = file.storage(given).maintenance.get_or_insert_default();
            maintenance.readonly.get_or_insert_default().enabled = Some(given.yaml()?);
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_STORAGE_GC_ENABLED",
        "registry.storage.gc.enabled",
        |file, given| {
            file.storage(given).gc.get_or_insert_default().enabled = Some(given.yaml()?);
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_STORAGE_GC_INTERVAL",
        "registry.storage.gc.interval",
        |file, given| {
            file.storage(given).gc.get_or_insert_default().interval = Some(given.text());
            Ok(())
        }
    ),
    variable!("PORTPASS_REGISTRY_STORAGE_GC_GRACE", "registry.storage.gc.grace", |file, given| {
        file.storage(given).gc.get_or_insert_default().grace = Some(given.text());
        Ok(())
    }),
    variable!(
        "PORTPASS_REGISTRY_STORAGE_GC_UNTAGGED_OLDER_THAN",
        "registry.storage.gc.untagged.older_than",
        |file, given| {
            file.untagged(given).older_than = Some(given.text());
            Ok(())
        }
    ),
    variable!(
        "PORTPASS_REGISTRY_STORAGE_GC_UNTAGGED_UNLESS_PULLED_WITHIN",
        "registry.storage.gc.untagged.unless_pulled_within",
        |file, given| {
            file.untagged(given).unless_pulled_within = Some(given.text());
            Ok(())
        }
    ),
    variable!("PORTPASS_REGISTRY_IMMUTABLE", "registry.immutable", |file, given| {
        file.registry(given).immutable = Some(given.list::<ImmutableSection>()?);
        Ok(())
    }),
    variable!(
        "PORTPASS_REGISTRY_RETENTION_INTERVAL",
        "registry.retention.interval",
        |file, given| {
            file.registry(given).retention.get_or_insert_default().interval = Some(given.text());
            Ok(())
        }
    ),
    variable!("PORTPASS_REGISTRY_RETENTION_RULES", "registry.retention.rules", |file, given| {
        let rules = Some(given.list::<RetentionRuleSection>()?);
        file.registry(given).retention.get_or_insert_default().rules = rules;
        Ok(())
    }),
];
