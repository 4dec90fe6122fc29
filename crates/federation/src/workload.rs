//! Workload identity: a token that a CI system or a cluster signs for a job, and which account it makes.
//!
//! ```text
//! token ── danger: its `iss` chooses the issuer
//!   │  signature        with a key of that issuer, never `none`, never a shared secret
//!   │  iss, aud, exp    all three have to be there; nbf, iat where they are
//!   │  conditions       claim by claim, until no mapping is left: that claim is named
//!   │  triggers         jobs that a stranger can have run
//!   v
//! Workload { name, groups, labels, until }
//! ```
//!
//! Everything but the keys is decided without I/O, by [`Rules::judge`].

mod claimed;
mod claims;
mod condition;
mod examine;
mod glob;
mod refusal;
mod shared;
mod template;
mod trigger;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use portpass_jose::{
    Algorithms, Compact, Invalid, KeySet, TrustRoots,
    json::{self, Map, Value},
};

pub use self::{
    claimed::ClaimedToken,
    claims::{ClaimPath, Found},
    condition::{Condition, LabelTemplate, Mapping, Mismatch, Unmatched},
    examine::{Examined, ExaminedCondition},
    glob::Glob,
    refusal::Refusal,
    template::{NameError, NameTemplate, Template, TemplateError},
    trigger::Trigger,
};
use crate::{
    issuer_keys::{IssuerKeys, KeysUnavailable},
    issuer_url::IssuerUrl,
};

/// Which tokens of an issuer count, and as which account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// `iss`, byte for byte.
    pub issuer: IssuerUrl,
    /// `aud` has to be one of these.
    pub audiences: Vec<String>,
    /// Which account a token is.
    pub mappings: Vec<Mapping>,
    /// How often one token may be used.
    pub uses: Uses,
}

/// How often one token may be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Uses {
    /// Until it expires.
    #[default]
    Many,
    /// Once: it has to have a `jti`, which the caller remembers.
    Once,
}

/// Whom a token is for, proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// The account's name.
    pub name: String,
    /// Its groups.
    pub groups: BTreeSet<String>,
    /// Its labels.
    pub labels: BTreeMap<Box<str>, BTreeSet<String>>,
    /// `sub`, where there is one: what the issuer calls it.
    pub subject: Option<String>,
    /// When the token expires.
    pub until: SystemTime,
    /// `jti`, where a token may be used once alone.
    pub use_once: Option<String>,
}

/// Why there is no account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The token is not one that counts.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The issuer's keys are not known.
    #[error(transparent)]
    Unavailable(#[from] KeysUnavailable),
}

/// An issuer, its keys, and whose tokens count.
#[derive(Debug)]
pub struct WorkloadIssuer {
    rules: Rules,
    keys: IssuerKeys,
}

impl WorkloadIssuer {
    /// Nothing is fetched yet.
    pub fn new(rules: Rules, keys: IssuerKeys) -> Self {
        Self { rules, keys }
    }

    /// What counts.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Checks a token. Its keys are fetched if they are not known, or not known any more, and at most once a
    /// minute for a key that is not among them.
    pub async fn verify(&self, token: &str, now: SystemTime) -> Result<Workload, Failure> {
        let keys = self.keys.current(now).await?;
        let claims = match signed(token, &keys, now) {
            Err(Refusal::Signature(Invalid::UnknownKey { .. })) => {
                let renewed = self.keys.renewed(&keys, now).await;
                signed(token, renewed.as_deref().unwrap_or(&keys), now)?
            }
            claims => claims?,
        };
        Ok(self.rules.judge(&claims, now)?)
    }
}

/// The claims, if a trusted key has signed them.
fn signed(token: &str, keys: &KeySet, now: SystemTime) -> Result<Map<String, Value>, Refusal> {
    let compact = Compact::parse_typed(token, TYPES).map_err(Refusal::Malformed)?;
    let verified = compact.verify(keys, &TrustRoots::none(), Algorithms::PUBLIC_KEY, now);
    let verified = verified.map_err(Refusal::Signature)?;
    json::parse_object(verified.payload()).map_err(|why| Refusal::Payload { why })
}

impl Rules {
    /// Decides about claims that the issuer has signed.
    pub fn judge(&self, claims: &Map<String, Value>, now: SystemTime) -> Result<Workload, Refusal> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(self.issuer.as_str()) {
            let found = Found::at(&well_known("iss"), claims);
            return Err(Refusal::Issuer { found, expected: self.issuer.to_string() });
        }
        self.check_audience(claims)?;
        let until = check_times(claims, now)?;
        let matching = condition::narrow(&self.mappings, claims).map_err(Refusal::Unmatched)?;
        let name = the_name(&matching, claims)?;
        let use_once = match self.uses {
            Uses::Many => None,
            Uses::Once => Some(text("jti").ok_or(Refusal::NoTokenId)?.to_owned()),
        };
        let groups = matching.iter().flat_map(|mapping| &mapping.groups);
        Ok(Workload {
            name,
            groups: groups.flat_map(|group| group.texts(claims)).collect(),
            labels: labels(&matching, claims),
            subject: text("sub").map(str::to_owned),
            until,
            use_once,
        })
    }

    /// The account of that name, as far as its name tells: groups and labels that other claims decide are left out.
    pub fn by_name(&self, name: &str, now: SystemTime) -> Option<Workload> {
        let (mapping, claims) = self.mappings.iter().find_map(|mapping| {
            let claims = mapping.name.claims(name)?;
            let holds = |condition: &Condition| match claims.get(condition.claim.as_str()) {
                Some(value) => value.as_str().is_some_and(|text| condition.matches(text)),
                None => true,
            };
            mapping.when.iter().all(holds).then_some((mapping, claims))
        })?;
        Some(Workload {
            name: name.to_owned(),
            groups: mapping.groups.iter().flat_map(|group| group.texts(&claims)).collect(),
            labels: labels(&[mapping], &claims),
            subject: None,
            until: now,
            use_once: None,
        })
    }

    fn check_audience(&self, claims: &Map<String, Value>) -> Result<(), Refusal> {
        let claim = well_known("aud");
        if claim.texts(claims).iter().any(|text| self.audiences.iter().any(|own| own == text)) {
            return Ok(());
        }
        let found = Found::at(&claim, claims);
        Err(Refusal::Audience { found, expected: self.audiences.clone() })
    }
}

/// `exp` has to be there and ahead: it is never stretched, since our token must not outlive it. The issuer's clock may
/// be ahead of ours by the leeway.
fn check_times(claims: &Map<String, Value>, now: SystemTime) -> Result<SystemTime, Refusal> {
    let until = date(claims, "exp")?.ok_or(Refusal::NoExpiry)?;
    if until <= now {
        return Err(Refusal::Expired { ago: now.duration_since(until).unwrap_or_default() });
    }
    for claim in ["nbf", "iat"] {
        if let Some(from) = date(claims, claim)?
            && from > now + LEEWAY
        {
            return Err(Refusal::NotYet {
                claim,
                ahead: from.duration_since(now).unwrap_or_default(),
            });
        }
    }
    Ok(until)
}

/// RFC 7519 §2: seconds, with or without a fraction.
fn date(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<SystemTime>, Refusal> {
    let Some(value) = claims.get(claim) else { return Ok(None) };
    let not_a_date = || Refusal::NotADate { claim, found: json::kind(value) };
    let seconds = value.as_f64().ok_or_else(not_a_date)?;
    let since = Duration::try_from_secs_f64(seconds.max(0.0)).map_err(|_| not_a_date())?;
    let date = SystemTime::UNIX_EPOCH.checked_add(since).ok_or_else(not_a_date)?;
    Ok(Some(date))
}

fn the_name(matching: &[&Mapping], claims: &Map<String, Value>) -> Result<String, Refusal> {
    let mut names = Vec::new();
    for mapping in matching {
        let name = mapping.name.name(claims).map_err(Refusal::Name)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    match names.pop() {
        Some(name) if names.is_empty() => Ok(name),
        Some(other) => {
            names.push(other);
            Err(Refusal::Ambiguous { names })
        }
        None => Err(Refusal::NoAccounts),
    }
}

fn labels(
    matching: &[&Mapping],
    claims: &Map<String, Value>,
) -> BTreeMap<Box<str>, BTreeSet<String>> {
    let mut labels: BTreeMap<Box<str>, BTreeSet<String>> = BTreeMap::new();
    for label in matching.iter().flat_map(|mapping| &mapping.labels) {
        let texts = label.values.iter().flat_map(|value| value.texts(claims));
        labels.entry(label.name.clone()).or_default().extend(texts);
    }
    labels.retain(|_, values| !values.is_empty());
    labels
}

fn well_known(name: &'static str) -> ClaimPath {
    ClaimPath::new(name).unwrap_or_else(|| unreachable!("a name of RFC 7519 is a name"))
}

/// Access tokens of RFC 9068 beside plain ones: npm's oidc-provider and Keycloak say so in `typ`.
const TYPES: &[&str] = &["JWT", "at+jwt"];
/// How far an issuer's clock may be ahead of ours.
pub const LEEWAY: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests;
