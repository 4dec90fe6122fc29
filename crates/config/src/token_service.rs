//! `token_service`: the token service that this process is.

use std::path::PathBuf;

use portpass_authority::{
    groups::Groups,
    http::TokenPath,
    policy::RuleContext,
    request::{RefreshIssuance, Service, Services},
    service::{IntrospectionCallers, Lifetime},
};
use portpass_password::{MinLength, limits::RateSettings};
use portpass_protocol::{challenge::Quotable, origin::Origin};
use portpass_token::{Issuer, KeyIdForm, ServiceName};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Address, ConfigError, Files, Located, Location, Part,
    accounts::{self, AccountSource, Source},
    groups::{self, GroupsSection},
    http::{Http, origin},
    introspection::IntrospectionSection,
    limits::{Attempts, TokenLimitsSection},
    passwords::PasswordsSection,
    policy::{self, PolicySection, PolicySource},
    signing::{Signing, SigningSection},
    tls::{TlsFiles, TlsSection},
};

/// The section `token_service`. Absent: this process issues no tokens.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenServiceSection {
    /// Its own address and port. Absent: it uses `http.addr`.
    pub addr: Option<Located<Address>>,
    /// The URL that clients use. Needed if it has its own `addr` and a registry here builds the realm.
    pub url: Option<Located<String>>,
    /// Serve HTTPS on its own address. Default: as `http.tls`.
    pub tls: Option<Located<TlsSection>>,
    /// The path of the token endpoint. Default: /token
    pub path: Option<Located<String>>,
    /// Its name: `iss` in every token. Default: portpass
    pub issuer: Option<Located<String>>,
    /// How long a token is valid, in seconds; at least 60. Default: 300
    #[schemars(with = "Option<u64>", range(min = 60, max = 86400))]
    pub expiration: Option<Located<u64>>,
    /// The keys that sign tokens. Default: generated ES256 keys in the database.
    pub signing: Option<Located<SigningSection>>,
    /// The services (registries) that tokens are issued for. A request without a service gets the first.
    /// Default: `registry`
    pub services: Option<Located<Vec<Located<ServiceSection>>>>,
    /// The sources of accounts, in order. Default: `local`
    pub accounts: Option<Located<Vec<Located<Source>>>>,
    /// Groups, and who is in each, beside what the sources say: `NAME` of any source, `SOURCE/NAME`, `robot:NAME`, or
    /// `group:SOURCE/NAME` for all who are in a source's group. `*` and `?` may stand in the names.
    pub groups: Option<GroupsSection>,
    /// What a password has to be when it is set.
    pub passwords: Option<PasswordsSection>,
    /// Whether callers without credentials get tokens, as far as the rules allow. Default: yes
    pub anonymous: Option<bool>,
    /// Whether clients that ask for a refresh token get one. Default: yes
    pub refresh_tokens: Option<bool>,
    /// Limits on failed logins and on token requests, by address and by account.
    pub limits: Option<TokenLimitsSection>,
    /// Who may ask what a token is worth, as in RFC 7662. Default: nobody
    pub introspection: Option<Located<IntrospectionSection>>,
    /// Who may do what: rules, or docker_auth's ACL. Default: `user:local/admin` everything, everybody pulls `public/**`, everybody signed in
    /// has `${account}/**`.
    pub policy: Option<Located<PolicySection>>,
    /// A file with a list of rules, in place of `policy`. A change takes effect within two seconds.
    pub policy_file: Option<Located<PathBuf>>,
}

/// A service that tokens are issued for.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceSection {
    /// The registry's `service`.
    pub name: String,
    /// How tokens name their key. Default: x5c, which every registry accepts.
    pub key_id: Option<KeyIdWord>,
    /// What its tokens are signed by. Default: as `token_service.signing` says.
    pub algorithm: Option<Located<String>>,
    /// With `key`: the certificate of a key of its own, as in `token_service.signing`.
    pub certificate: Option<Located<PathBuf>>,
    /// A private key of its own, where that of `token_service.signing` comes from files too.
    pub key: Option<Located<PathBuf>>,
    /// Whether its clients get refresh tokens. Default: `token_service.refresh_tokens`
    pub refresh_tokens: Option<bool>,
}

impl ServiceSection {
    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            key_id: None,
            algorithm: None,
            certificate: None,
            key: None,
            refresh_tokens: None,
        }
    }
}

/// How tokens name the key that signed them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyIdWord {
    /// By certificates.
    #[default]
    X5c,
    /// As distribution 2 needs it.
    Libtrust,
    /// As distribution 3 needs it.
    Rfc7638,
}

/// What `token_service` means.
#[derive(Debug)]
pub struct TokenService {
    /// Where it is served.
    pub listen: TokenListen,
    /// How clients reach it, where that was said.
    pub url: Option<Origin>,
    /// The path of the token endpoint.
    pub path: TokenPath,
    /// `iss`.
    pub issuer: Issuer,
    /// How long a token lives.
    pub lifetime: Lifetime,
    /// What tokens are signed with.
    pub signing: Signing,
    /// The registries that tokens are made for.
    pub services: Services,
    /// At least one.
    pub accounts: Vec<AccountSource>,
    /// Groups that accounts are in beside those that their sources say.
    pub groups: Groups,
    /// How long a new password is at least.
    pub min_password_length: MinLength,
    /// Whether anybody may ask without credentials.
    pub anonymous: bool,
    /// Whether attempts are limited.
    pub attempts: Attempts,
    /// How many token requests are answered.
    pub rates: RateSettings,
    /// Who may ask what a token is worth.
    pub introspection: Option<IntrospectionCallers>,
    /// Who may do what.
    pub policy: PolicySource,
}

/// Where the token service is served.
#[derive(Clone, Debug)]
pub enum TokenListen {
    /// On `http.addr`, beside the registry.
    Shared,
    /// On an address of its own.
    Own {
        /// Which.
        addr: Address,
        /// Its certificate, `http.tls` by default.
        tls: Option<TlsFiles>,
    },
}

impl TokenService {
    /// What rules may refer to.
    pub fn rule_context(&self) -> RuleContext {
        RuleContext {
            sources: self.accounts.iter().map(AccountSource::name).collect(),
            services: self.services.iter().map(|service| service.name.clone()).collect(),
            anonymous: self.anonymous,
            groups: groups::known(&self.groups, &self.accounts),
        }
    }

    /// The longest that any token lives: as long as keys are published after their last signature.
    pub fn longest_lifetime(&self) -> Lifetime {
        self.lifetime.max(self.policy.longest_lifetime().unwrap_or(self.lifetime))
    }
}

impl TokenServiceSection {
    /// Reads keys and password files, compiles rules.
    pub(crate) fn build(
        self,
        place: &Location,
        http: &Http,
        files: &Files,
    ) -> Result<TokenService, ConfigError> {
        let accounts = accounts::build(self.accounts, files)?;
        let anonymous = self.anonymous.unwrap_or(true);
        let (attempts, rates) = TokenLimitsSection::build(self.limits, files)?;
        let mut signing = Signing::build(self.signing, files)?;
        let services = services(self.services, self.refresh_tokens, &mut signing, files)?;
        let groups = match groups::build(self.groups, &accounts, files) {
            // They may name the source that is missing.
            Err(_) if files.is_broken(Part::Accounts) => Groups::default(),
            groups => groups?,
        };
        let context = RuleContext {
            sources: accounts.iter().map(AccountSource::name).collect(),
            services: services.iter().map(|service| service.name.clone()).collect(),
            anonymous,
            groups: groups::known(&groups, &accounts),
        };
        let introspection = IntrospectionSection::build(self.introspection, &context, files);
        let policy = policy::build(self.policy, self.policy_file, context, &accounts, files);
        let (introspection, policy) = if files.is_broken(Part::Accounts) {
            // Both may name the source that is missing.
            (introspection.unwrap_or_default(), policy.unwrap_or(PolicySource::Broken))
        } else {
            (introspection?, files.usable(Part::Rules, policy, || PolicySource::Broken)?)
        };
        Ok(TokenService {
            listen: listen(self.addr, self.tls, http, files)?,
            url: self.url.map(|url| origin("token_service.url", &url, files)).transpose()?,
            path: path(self.path, files)?,
            issuer: issuer(self.issuer, files)?,
            lifetime: lifetime(self.expiration, files)?,
            signing,
            services,
            introspection,
            policy,
            accounts,
            groups,
            min_password_length: PasswordsSection::build(self.passwords, files)?,
            anonymous,
            attempts,
            rates,
        })
        .inspect(|service| warn(service, place, files))
    }
}

fn listen(
    addr: Option<Located<Address>>,
    tls: Option<Located<TlsSection>>,
    http: &Http,
    files: &Files,
) -> Result<TokenListen, ConfigError> {
    let key = "token_service.tls";
    match (addr, tls) {
        (None, None) => Ok(TokenListen::Shared),
        (None, Some(tls)) => {
            let error = files.error(&tls.place, key, "the token service has no address of its own");
            Err(error.hint("give `token_service.addr`, or put the certificate under `http.tls`"))
        }
        (Some(addr), tls) => {
            // The same address twice is one listener.
            let shared = addr.value == http.addr && addr.value.socket().port() != 0;
            if let (true, Some(tls)) = (shared, &tls) {
                let message =
                    format!("{} is `http.addr` too, which has one certificate", addr.value);
                let error = files.error(&tls.place, key, message);
                return Err(error.hint(
                    "put the certificate under `http.tls`, or give another `token_service.addr`",
                ));
            }
            let tls = match tls {
                Some(tls) => tls.value.build(key, &tls.place, files)?,
                None => http.tls.clone(),
            };
            if shared {
                Ok(TokenListen::Shared)
            } else {
                Ok(TokenListen::Own { addr: addr.value, tls })
            }
        }
    }
}

fn path(typed: Option<Located<String>>, files: &Files) -> Result<TokenPath, ConfigError> {
    let Some(typed) = typed else { return Ok(TokenPath::default()) };
    typed.value.parse().map_err(|error: portpass_authority::http::TokenPathError| {
        files.error(&typed.place, "token_service.path", error.to_string())
    })
}

fn issuer(typed: Option<Located<String>>, files: &Files) -> Result<Issuer, ConfigError> {
    let Some(typed) = typed else { return Ok(Issuer::new("portpass")) };
    if typed.value.is_empty() {
        return Err(files.error(&typed.place, "token_service.issuer", "the value is empty"));
    }
    Ok(Issuer::new(typed.value))
}

fn lifetime(typed: Option<Located<u64>>, files: &Files) -> Result<Lifetime, ConfigError> {
    let typed = typed.unwrap_or_else(|| Located::default_value(DEFAULT_LIFETIME));
    Lifetime::from_seconds(typed.value)
        .map_err(|error| files.error(&typed.place, "token_service.expiration", error.to_string()))
}

fn services(
    typed: Option<Located<Vec<Located<ServiceSection>>>>,
    refresh_tokens: Option<bool>,
    signing: &mut Signing,
    files: &Files,
) -> Result<Services, ConfigError> {
    let key = "token_service.services";
    let typed = typed.unwrap_or_else(|| {
        let registry = ServiceSection::named("registry");
        Located::default_value(vec![Located::default_value(registry)])
    });
    let mut services: Vec<Service> = Vec::new();
    for Located { value: section, place } in typed.value {
        // Its registry writes it into challenges.
        let name = Quotable::new("service", &section.name)
            .map_err(|error| files.error(&place, key, error.to_string()))?;
        if name.as_str().is_empty() {
            return Err(files.error(&place, key, "the name is empty"));
        }
        if services.iter().any(|known| known.name.as_str() == name.as_str()) {
            let message = format!("the service `{}` is there twice", name.as_str());
            return Err(files.error(&place, key, message));
        }
        let key_id = section.key_id.unwrap_or_default().into();
        let refresh = match section.refresh_tokens.or(refresh_tokens) {
            Some(false) => RefreshIssuance::Withheld,
            Some(true) | None => RefreshIssuance::Given,
        };
        let own = SigningSection {
            algorithm: section.algorithm,
            certificate: section.certificate,
            key: section.key,
        };
        let signer = signing.signer(own, key, &place, files)?;
        services.push(Service { name: ServiceName::new(name.as_str()), signer, key_id, refresh });
    }
    let mut services = services.into_iter();
    match services.next() {
        Some(first) => Ok(Services::new(first, services.collect())),
        None => Err(files.error(&typed.place, key, "the list is empty: no token could be issued")),
    }
}

impl From<KeyIdWord> for KeyIdForm {
    fn from(word: KeyIdWord) -> Self {
        match word {
            KeyIdWord::X5c => Self::X5c,
            KeyIdWord::Libtrust => Self::Libtrust,
            KeyIdWord::Rfc7638 => Self::Rfc7638,
        }
    }
}

fn warn(service: &TokenService, place: &Location, files: &Files) {
    if service.attempts == Attempts::Unlimited {
        files.warn(place, "token_service.limits", "the number of failed logins is not limited");
    }
}

/// In seconds: long enough for an image's manifest and its layers to begin.
const DEFAULT_LIFETIME: u64 = 300;
