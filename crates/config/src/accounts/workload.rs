//! `token_service.accounts[].workload`: whose tokens count, and as which accounts.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use portpass_authority::subject::{Group, Labels, SourceName};
use portpass_federation::{
    discovery::key_set,
    issuer_url::{IssuerUrl, IssuerUrlError},
    workload::{LabelTemplate, Mapping, NameTemplate, Rules, Template, TemplateError, Uses},
};
use portpass_jose::pem;
use rustls_pki_types::CertificateDer;
use schemars::JsonSchema;
use serde::Deserialize;

use super::section::is_of_another_kind;
use crate::{
    ConfigError, Files, Located, Location, claim_conditions::ClaimConditions, measure::Span,
    one_or_many::OneOrMany,
};

/// The section `workload`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadSection {
    /// Who signs the tokens: an https URL, exactly as in their `iss`.
    #[schemars(required)]
    pub issuer: Option<Located<String>>,
    /// Whom the tokens have to be for: one of these has to be in their `aud`.
    #[schemars(required)]
    pub audience: Option<Located<OneOrMany>>,
    /// Which tokens are which account.
    #[schemars(required)]
    pub accounts: Option<Located<Vec<Located<MappingSection>>>>,
    /// What rules call this source. Default: `workload`
    pub name: Option<Located<String>>,
    /// `once`: each token is accepted once. Default: `many`, until it expires
    pub jti: Option<UsesWord>,
    /// The issuer's keys in a file, for an issuer that cannot be reached. Absent: they are fetched
    pub jwks: Option<Located<PathBuf>>,
    /// Trust these certificates, in PEM form, for the issuer's server too.
    pub ca: Option<Located<PathBuf>>,
    /// How long the issuer's keys are used before they are fetched again. Default: 1h
    #[schemars(with = "Option<Span>")]
    pub cache: Option<Located<String>>,
    /// How long a request to the issuer may take. Default: 10s
    #[schemars(with = "Option<Span>")]
    pub timeout: Option<Located<String>>,
}

/// One account, or one for each value of a claim.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MappingSection {
    /// The account's name: `deploy-bot`, or with claims, as in `ci/${claim:repository}`. `/` is `.` in the name.
    #[schemars(required)]
    pub name: Option<Located<String>>,
    /// What the claims of a token have to be. `*` matches within a segment between `/` and `:`, `**` anything.
    #[schemars(required)]
    pub when: Option<Located<ClaimConditions>>,
    /// Its groups: words, and claims as in `${claim:environment}`.
    pub groups: Option<Located<OneOrMany>>,
    /// Its labels: words, and claims as in `${claim:repository_owner}`.
    pub labels: Option<Located<BTreeMap<String, OneOrMany>>>,
}

/// How often a token is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UsesWord {
    /// Until it expires.
    #[default]
    Many,
    /// Once.
    Once,
}

/// What the section means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadSource {
    /// What rules call it.
    pub name: SourceName,
    /// Whose tokens count, and as which accounts.
    pub rules: Rules,
    /// Where the issuer's keys come from.
    pub keys: WorkloadKeys,
}

/// Where the keys of an issuer come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkloadKeys {
    /// This key set, which was read and makes sense.
    File(String),
    /// The issuer's own server.
    Issuer {
        /// Trusted beside the system's authorities.
        authorities: Vec<CertificateDer<'static>>,
        /// How long a request may take.
        timeout: Duration,
        /// How long keys are used before they are fetched again.
        fresh: Duration,
    },
}

impl WorkloadSource {
    /// The groups that it can say an account is in; `None` where claims decide.
    pub(super) fn groups(&self) -> Option<BTreeSet<Group>> {
        let groups = self.rules.mappings.iter().flat_map(|mapping| &mapping.groups);
        groups.map(|group| group.fixed()?.parse().ok()).collect()
    }
}

impl WorkloadSection {
    /// Reads files and patterns, and refuses what could let in the wrong people.
    pub(super) fn build(
        self,
        key: &str,
        place: &Location,
        files: &Files,
    ) -> Result<WorkloadSource, ConfigError> {
        let missing = |name: &str| files.error(place, key, format!("the key `{name}` is missing"));
        let issuer = issuer(&self.issuer.ok_or_else(|| missing("issuer"))?, key, files)?;
        let audience = self.audience.ok_or_else(|| {
            missing("audience").hint("a token for somebody else must not count here: as in `audience: registry.example.com`")
        })?;
        if audience.value.0.iter().any(String::is_empty) {
            return Err(files.error(
                &audience.place,
                &format!("{key}.audience"),
                "the value is empty",
            ));
        }
        let accounts = self.accounts.ok_or_else(|| missing("accounts"))?;
        let uses = match self.jti.unwrap_or_default() {
            UsesWord::Many => Uses::Many,
            UsesWord::Once => Uses::Once,
        };
        let mappings = mappings(accounts, &issuer, key, files)?;
        let keys = Keys { jwks: self.jwks, ca: self.ca, cache: self.cache, timeout: self.timeout };
        Ok(WorkloadSource {
            name: source_name(self.name, key, files)?,
            rules: Rules { issuer, audiences: audience.value.0, mappings, uses },
            keys: keys.build(key, files)?,
        })
    }
}

fn issuer(typed: &Located<String>, key: &str, files: &Files) -> Result<IssuerUrl, ConfigError> {
    typed.value.parse().map_err(|problem: IssuerUrlError| {
        let message = format!("{:?} cannot be an issuer: {problem}", typed.value);
        let error = files.error(&typed.place, &format!("{key}.issuer"), message);
        match problem {
            IssuerUrlError::PlainHttp => error.hint(
                "use https; for an issuer that cannot be reached by https, keep its https URL and give its keys as `jwks: FILE`",
            ),
            _ => error.hint("as in `issuer: https://token.actions.githubusercontent.com`"),
        }
    })
}

fn source_name(
    typed: Option<Located<String>>,
    key: &str,
    files: &Files,
) -> Result<SourceName, ConfigError> {
    let typed = typed.unwrap_or_else(|| Located::default_value("workload".to_owned()));
    let error = |message: String| files.error(&typed.place, &format!("{key}.name"), message);
    let name: SourceName =
        typed.value.parse().map_err(|problem| error(format!("{:?}: {problem}", typed.value)))?;
    if is_of_another_kind(&name, "workload") {
        return Err(error(format!("`{name}` is the name of another kind of source")));
    }
    Ok(name)
}

/// The keys about the issuer's keys.
struct Keys {
    jwks: Option<Located<PathBuf>>,
    ca: Option<Located<PathBuf>>,
    cache: Option<Located<String>>,
    timeout: Option<Located<String>>,
}

impl Keys {
    fn build(self, key: &str, files: &Files) -> Result<WorkloadKeys, ConfigError> {
        let Some(jwks) = self.jwks else {
            let span =
                |name: &str, typed, default| span(&format!("{key}.{name}"), typed, default, files);
            let ca = self.ca.map(|ca| authorities(&format!("{key}.ca"), &ca, files)).transpose()?;
            return Ok(WorkloadKeys::Issuer {
                authorities: ca.unwrap_or_default(),
                timeout: span("timeout", self.timeout, TIMEOUT)?,
                fresh: span("cache", self.cache, FRESH)?,
            });
        };
        let unused = [
            ("ca", self.ca.map(|ca| ca.place)),
            ("cache", self.cache.map(|cache| cache.place)),
            ("timeout", self.timeout.map(|timeout| timeout.place)),
        ];
        if let Some((name, place)) =
            unused.into_iter().find_map(|(name, place)| Some((name, place?)))
        {
            let message =
                "the issuer is never asked, since `jwks` has its keys: leave one of the two out";
            return Err(files.error(&place, &format!("{key}.{name}"), message));
        }
        let text = files.read_text(&format!("{key}.jwks"), &jwks)?;
        key_set(text.as_bytes()).map_err(|problem| {
            let message = format!("{}: {problem}", files.resolve(&jwks).display());
            files.error(&jwks.place, &format!("{key}.jwks"), message)
        })?;
        Ok(WorkloadKeys::File(text))
    }
}

/// The certificates of a file, of which there is at least one.
fn authorities(
    key: &str,
    path: &Located<PathBuf>,
    files: &Files,
) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let bytes = files.read(key, path)?;
    let unusable = |why: &str| {
        let message = format!("{}: {why}", files.resolve(path).display());
        files.error(&path.place, key, message)
    };
    let certificates: Vec<CertificateDer<'static>> = pem::blocks(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(&error.to_string()))?;
    if certificates.is_empty() {
        return Err(unusable("it contains no certificate in PEM form"));
    }
    Ok(certificates)
}

fn span(
    key: &str,
    typed: Option<Located<String>>,
    default: Duration,
    files: &Files,
) -> Result<Duration, ConfigError> {
    let Some(Located { value, place }) = typed else { return Ok(default) };
    let Span(span) =
        value.parse().map_err(|error| files.error(&place, key, format!("{value:?}: {error}")))?;
    if span.is_zero() {
        return Err(files.error(&place, key, "no time at all is too little"));
    }
    Ok(span)
}

fn mappings(
    typed: Located<Vec<Located<MappingSection>>>,
    issuer: &IssuerUrl,
    key: &str,
    files: &Files,
) -> Result<Vec<Mapping>, ConfigError> {
    let key = format!("{key}.accounts");
    if typed.value.is_empty() {
        return Err(files.error(&typed.place, &key, "the list is empty: no token would count"));
    }
    let mut known: Vec<(Location, Mapping)> = Vec::new();
    for Located { value, place } in typed.value {
        let mapping = value.build(issuer, &key, &place, files)?;
        let other =
            known.iter().find(|(_, other)| other.name != mapping.name && other.overlaps(&mapping));
        if let Some((there, other)) = other {
            let message = format!(
                "a token can match both this entry, `{}`, and `{}` {}, and would have two names",
                mapping.name,
                other.name,
                said(there)
            );
            return Err(files.error(&place, &key, message).hint(
                "under `when`, give one claim in both, with values that no token can have at once; entries of the same `name` may overlap, and their groups and labels add up",
            ));
        }
        known.push((place, mapping));
    }
    Ok(known.into_iter().map(|(_, mapping)| mapping).collect())
}

fn said(place: &Location) -> String {
    match place {
        Location::Line(line) => format!("in line {line}"),
        Location::Variable(_) | Location::Flag(_) | Location::Default => "before it".to_owned(),
    }
}

impl MappingSection {
    fn build(
        self,
        issuer: &IssuerUrl,
        key: &str,
        place: &Location,
        files: &Files,
    ) -> Result<Mapping, ConfigError> {
        let missing = |name: &str| files.error(place, key, format!("the key `{name}` is missing"));
        let typed = self.name.ok_or_else(|| missing("name"))?;
        let name: NameTemplate =
            template(&typed.value, &typed.place, &format!("{key}.name"), files)?;
        let conditions = self.when.ok_or_else(|| {
            missing("when").hint("without it every token of the issuer would be this account: as in `when: { repository: acme/app }`")
        })?;
        let when_key = format!("{key}.when");
        let when = conditions.value.build(&conditions.place, &when_key, files)?;
        let mut mapping = Mapping { when, name, groups: Vec::new(), labels: Vec::new() };
        if let Some(example) = mapping.missing_owner(issuer.as_str()) {
            let message =
                format!("{issuer} signs for everybody, and no condition says whose the job is");
            let error = files.error(&conditions.place, &when_key, message);
            return Err(error.hint(format!("write the owner out, as in `{example}`")));
        }
        if let Some(Located { value, place }) = self.groups {
            mapping.groups = groups(&value, &place, &format!("{key}.groups"), files)?;
        }
        if let Some(Located { value, place }) = self.labels {
            mapping.labels = labels(value, &place, &format!("{key}.labels"), files)?;
        }
        Ok(mapping)
    }
}

fn template<T: std::str::FromStr<Err = TemplateError>>(
    text: &str,
    place: &Location,
    key: &str,
    files: &Files,
) -> Result<T, ConfigError> {
    text.parse()
        .map_err(|error: TemplateError| files.error(place, key, format!("{text:?}: {error}")))
}

fn groups(
    typed: &OneOrMany,
    place: &Location,
    key: &str,
    files: &Files,
) -> Result<Vec<Template>, ConfigError> {
    let group = |text: &String| {
        let group: Template = template(text, place, key, files)?;
        if let Some(fixed) = group.fixed() {
            fixed
                .parse::<Group>()
                .map_err(|error| files.error(place, key, format!("{text:?}: {error}")))?;
        }
        Ok(group)
    };
    typed.0.iter().map(group).collect()
}

fn labels(
    typed: BTreeMap<String, OneOrMany>,
    place: &Location,
    key: &str,
    files: &Files,
) -> Result<Vec<LabelTemplate>, ConfigError> {
    let label = |(name, values): (String, OneOrMany)| {
        let value = |text: &String| {
            let value: Template = template(text, place, key, files)?;
            Labels::default()
                .insert(&name, value.fixed().unwrap_or("claim"))
                .map_err(|error| files.error(place, key, format!("`{name}: {text}`: {error}")))?;
            Ok(value)
        };
        let values = values.0.iter().map(value).collect::<Result<_, ConfigError>>()?;
        Ok(LabelTemplate { name: name.into(), values })
    };
    typed.into_iter().map(label).collect()
}

const FRESH: Duration = Duration::from_hours(1);
const TIMEOUT: Duration = Duration::from_secs(10);
