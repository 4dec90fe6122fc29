//! The whole file as it was typed.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    Address, Admin, Adoption, Config, ConfigError, Environment, Files, Http, Located, Location,
    Registry, RegistryAuth, Sources, TokenListen, TokenService, admin::AdminSection,
    audit::AuditSection, files::read_limited, foreign, http::HttpSection, log::LogSection,
    placeholder, registry::RegistrySection, token_service::TokenServiceSection, type_error::Key,
};

/// The configuration file of portpass. Every value has a default; without a file, `portpass serve` runs a registry and its token service on 127.0.0.1:5000.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// The directory of the database, the keys and, by default, the blobs. Default: /var/lib/portpass for
    /// root, else `portpass` in the XDG data home.
    pub data: Option<Located<PathBuf>>,
    /// `sqlite`: a file in the data directory.
    #[schemars(with = "Option<String>")]
    pub database: Option<Located<SecretString>>,
    /// The address to listen on, and the URL that clients use.
    pub http: Option<HttpSection>,
    /// Health and metrics. Absent: not served.
    pub admin: Option<Located<AdminSection>>,
    /// How much is logged, and how.
    pub log: Option<LogSection>,
    /// How much of the audit trail is kept.
    pub audit: Option<AuditSection>,
    /// The registry. Absent: portpass runs none.
    pub registry: Option<Located<RegistrySection>>,
    /// The token service. Absent: this process issues no tokens.
    pub token_service: Option<Located<TokenServiceSection>>,
}

/// The JSON Schema of the configuration file.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(ConfigFile).to_value()
}

impl ConfigFile {
    /// Reads and parses a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let bytes = read_limited(path).map_err(|error| {
            ConfigError::at(&name, format!("cannot read the configuration: {error}"))
        })?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| ConfigError::at(&name, "the file is not UTF-8 text"))?;
        Self::parse(&name, text)
    }

    /// Parses a file's text; `name` is what errors call it.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let mut key = Key::whole("the file");
        let typed = serde_saphyr::with_deserializer_from_str(text, |yaml| {
            serde_path_to_error::deserialize(yaml).map_err(|error| {
                key = Key::at(error.path());
                error.into_inner()
            })
        });
        // A file of comments alone is a null.
        let typed: Option<Self> = typed.map_err(|error| {
            let error = ConfigError::from_yaml(name, &key, &error);
            let error = foreign::file_hint(text).into_iter().fold(error, ConfigError::hint);
            placeholder::hint(text).into_iter().fold(error, ConfigError::hint)
        })?;
        placeholder::refuse(name, text)?;
        Ok(typed.unwrap_or_default())
    }

    /// What the command line says wins.
    pub(crate) fn apply_flags(&mut self, sources: &Sources) {
        if let Some(data) = &sources.data {
            self.data = Some(Located { value: data.clone(), place: Location::Flag("--data") });
        }
        if let Some(addr) = sources.addr {
            let addr = Located { value: addr, place: Location::Flag("--addr") };
            self.http.get_or_insert_default().addr = Some(addr);
        }
    }

    /// Without a file both services run; but whoever names another controller for the registry has
    /// another token service, or none.
    pub(crate) fn add_default_services(&mut self) {
        let registry =
            self.registry.get_or_insert_with(|| Located::default_value(RegistrySection::default()));
        if registry.value.auth.is_none() && self.token_service.is_none() {
            self.token_service = Some(Located::default_value(TokenServiceSection::default()));
        }
    }

    /// Reads what the sections name, and checks how they go together.
    pub(crate) fn build(
        self,
        files: &Files,
        environment: &Environment,
    ) -> Result<Config, ConfigError> {
        if let Some(database) = self.database {
            check_database(&database, files)?;
        }
        let data = match self.data {
            Some(data) => files.resolve(&data),
            None => environment.data_directory().ok_or_else(|| {
                ConfigError::new("no data directory: neither `data` nor HOME is set")
                    .hint("give --data DIR")
            })?,
        };
        let http = self.http.unwrap_or_default().build(files)?;
        let admin_place = self.admin.as_ref().map(|admin| admin.place.clone());
        let admin = self.admin.map(|admin| admin.value.build(&admin.place, files)).transpose()?;
        let token_service = self
            .token_service
            .map(|typed| typed.value.build(&typed.place, &http, files))
            .transpose()?;
        let registry = match self.registry {
            None => None,
            Some(typed) => {
                let registry =
                    typed.value.build(&typed.place, &data, token_service.is_some(), files)?;
                check_realm(&registry, token_service.as_ref(), &typed.place, files)?;
                Some(registry)
            }
        };
        if registry.is_none() && token_service.is_none() {
            let error = ConfigError::at(
                files.name(),
                "there is neither a `registry` nor a `token_service` to run",
            );
            return Err(
                error.hint("without a file, portpass runs `registry: {}` and `token_service: {}`")
            );
        }
        if let Some((admin, place)) = admin.as_ref().zip(admin_place) {
            check_admin(admin, &http, token_service.as_ref(), &place, files)?;
        }
        let log = self.log.unwrap_or_default().build();
        let audit = self.audit.unwrap_or_default().build(files)?;
        let warnings = exposed(&http, registry.is_some(), token_service.as_ref());
        let adoption = Adoption::Never;
        Ok(Config {
            data,
            http,
            admin,
            log,
            audit,
            registry,
            token_service,
            adoption,
            warnings,
            unusable: Vec::new(),
        })
    }
}

/// The value may hold a password and is never repeated.
fn check_database(typed: &Located<SecretString>, files: &Files) -> Result<(), ConfigError> {
    let refuse = |message: &str| {
        Err(files.error(&typed.place, "database", message).hint("expected `sqlite`"))
    };
    match typed.value.expose_secret() {
        "sqlite" => Ok(()),
        url if url.starts_with("postgres:") || url.starts_with("postgresql:") => {
            refuse("this version does not support PostgreSQL")
        }
        _ => refuse("unknown database"),
    }
}

/// A realm at the client's own address leads nowhere if the token service listens elsewhere.
fn check_realm(
    registry: &Registry,
    service: Option<&TokenService>,
    place: &Location,
    files: &Files,
) -> Result<(), ConfigError> {
    let (RegistryAuth::InProcess, Some(service)) = (&registry.auth, service) else { return Ok(()) };
    match (&service.listen, &service.url) {
        (TokenListen::Shared, _) | (TokenListen::Own { .. }, Some(_)) => Ok(()),
        (TokenListen::Own { addr, .. }, None) => {
            let message =
                format!("the token service listens at {addr}, but no URL for clients is set");
            Err(files
                .error(place, "token_service.url", message)
                .hint("as in `url: https://auth.example.com`"))
        }
    }
}

/// Whoever may scrape metrics is not to meet the registry's clients.
fn check_admin(
    admin: &Admin,
    http: &Http,
    service: Option<&TokenService>,
    place: &Location,
    files: &Files,
) -> Result<(), ConfigError> {
    let own = service.and_then(|service| match &service.listen {
        TokenListen::Own { addr, .. } => Some(("token_service.addr", *addr)),
        TokenListen::Shared => None,
    });
    let same = |addr: Address| addr == admin.addr && addr.socket().port() != 0;
    match [("http.addr", http.addr)].into_iter().chain(own).find(|(_, addr)| same(*addr)) {
        None => Ok(()),
        Some((key, addr)) => {
            let message =
                format!("{addr} is `{key}` too; health and metrics need their own address");
            Err(files.error(place, "admin.addr", message))
        }
    }
}

/// What passwords and tokens cross in the clear.
fn exposed(http: &Http, registry: bool, service: Option<&TokenService>) -> Vec<String> {
    let plain_http = http.tls.is_none() && (registry || service.is_some_and(shared));
    let own = service.and_then(|service| match &service.listen {
        TokenListen::Own { addr, tls: None } => Some(("token_service.addr", *addr)),
        TokenListen::Own { tls: Some(_), .. } | TokenListen::Shared => None,
    });
    let listeners = plain_http.then_some(("http.addr", http.addr)).into_iter().chain(own);
    listeners
        .filter(|(_, addr)| !addr.socket().ip().to_canonical().is_loopback())
        .map(|(key, addr)| {
            format!(
                "{key} {addr} is plain HTTP beyond this machine: others on the network can read passwords and tokens, and docker \
                 refuses it unless the daemon lists the registry under `insecure-registries`; set `http.tls`, or put a \
                 TLS proxy in front and list it in `http.trusted_proxies`"
            )
        })
        .collect()
}

fn shared(service: &TokenService) -> bool {
    matches!(service.listen, TokenListen::Shared)
}
