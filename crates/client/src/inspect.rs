//! Looks into a token: what it says, what of it some registry will not like, and, where somebody
//! says whom to trust, whether it holds.

use std::{
    fmt::Write as _,
    time::{Duration, SystemTime},
};

use portpass_jose::{
    Certificate, Compact, IdForm, KeySet, Malformed, TrustRoots,
    danger::Unverified,
    json::{Map, Value},
};
use portpass_protocol::{
    AccessSet,
    token_response::{self, NoToken},
};
use portpass_token::{Claims, Issuer, ServiceName, Trust, Verifier, VerifierSettings};

mod notes;
#[cfg(test)]
mod tests;

/// A token that has been opened. Nobody has vouched for what it says.
#[derive(Debug)]
pub struct Inspection {
    /// Its header.
    pub header: Map<String, Value>,
    /// Its payload.
    pub claims: Map<String, Value>,
    /// What some registry will refuse or read otherwise, one sentence each.
    pub notes: Vec<String>,
    /// Which key or chain it names: `kid` and the like, for people.
    pub key: String,
    read: Option<Claims>,
}

impl Inspection {
    /// Opens a token. One that is no JWT is the error, and says what it is instead.
    pub fn of(token: &str, now: SystemTime) -> Result<Self, Malformed> {
        let opened = Unverified::parse(token)?;
        let claims = opened.claims()?;
        let header = opened.header().clone();
        let read = Claims::from_json(opened.payload());
        let mut notes = Vec::new();
        notes.extend(Compact::parse(token).err().map(|error| error.to_string()));
        notes.extend(read.as_ref().err().map(ToString::to_string));
        let read = read.ok();
        notes::header(&header, &mut notes);
        notes::claims(&claims, read.as_ref(), now, &mut notes);
        notes::length(token, &mut notes);
        Ok(Self { key: key(&header), header, claims, notes, read })
    }

    /// What it grants, if its claims are those of a registry token.
    pub fn access(&self) -> Option<&AccessSet> {
        self.read.as_ref().map(|claims| &claims.access)
    }

    /// Its claims but `access`, as people read them: times with how far away they are.
    pub fn claim_rows(&self, now: SystemTime) -> Vec<(String, String)> {
        let shown = self.claims.iter().filter(|(name, _)| *name != "access");
        shown.map(|(name, value)| (name.clone(), claim(name, value, now))).collect()
    }
}

/// Takes the token out of what a token service answered; anything that is no JSON object is taken
/// for the token itself.
pub fn token_in(text: &str) -> Result<String, NoToken> {
    let text = text.trim();
    if text.starts_with('{') {
        return token_response::read(text.as_bytes()).map(|answer| answer.token);
    }
    Ok(text.strip_prefix("Bearer ").unwrap_or(text).trim().to_owned())
}

/// Whom to trust when a token is checked.
#[derive(Debug, Default)]
pub struct Against {
    /// Certificates in PEM, as in a registry's `rootcertbundle`.
    pub bundle: Option<String>,
    /// A JWK set, as in a registry's `jwks`.
    pub jwks: Option<String>,
    /// Who has to have signed; by default whoever the token says.
    pub issuer: Option<String>,
    /// For whom it has to be; by default whomever the token says first.
    pub service: Option<String>,
}

impl Inspection {
    /// Checks the token as a registry with these settings does; the error is its reason.
    pub fn verify(&self, token: &str, against: &Against, now: SystemTime) -> Result<(), String> {
        let says = |error: &dyn std::fmt::Display| error.to_string();
        let roots = match &against.bundle {
            Some(pem) => TrustRoots::from_pem(pem).map_err(|error| says(&error))?,
            None => TrustRoots::none(),
        };
        let keys = match &against.jwks {
            Some(json) => KeySet::from_jwks(json).map_err(|error| says(&error))?,
            None => KeySet::new(),
        };
        let own = self.read.as_ref();
        let issuer = against.issuer.as_deref().or_else(|| own.map(|claims| claims.issuer.as_str()));
        let audience =
            own.and_then(|claims| claims.audience.iter().next()).map(ServiceName::as_str);
        let service = against.service.as_deref().or(audience);
        let settings = VerifierSettings::new(
            Issuer::new(issuer.unwrap_or_default()),
            ServiceName::new(service.unwrap_or_default()),
        );
        let verifier = Verifier::new(settings, Trust::new(roots, keys));
        verifier.verify(token, now).map(drop).map_err(|error| says(&error))
    }
}

/// Which key a header names, in the order in which registries look (VO3).
fn key(header: &Map<String, Value>) -> String {
    let id = |holder: &Map<String, Value>| {
        let id = holder.get("kid").and_then(Value::as_str)?;
        let form = match IdForm::of(id) {
            IdForm::Libtrust => "a libtrust fingerprint",
            IdForm::Rfc7638 => "an RFC 7638 thumbprint",
            IdForm::Other => "a name of the issuer's own",
        };
        Some(format!("{id}, {form}"))
    };
    if let Some(chain) =
        header.get("x5c").and_then(Value::as_array).filter(|chain| !chain.is_empty())
    {
        return chain_text(chain);
    }
    match header.get("jwk").and_then(Value::as_object) {
        Some(jwk) => id(jwk).map_or_else(
            || "an embedded key without an id".to_owned(),
            |id| format!("{id}, in an embedded key"),
        ),
        None => id(header).unwrap_or_else(|| "none".to_owned()),
    }
}

fn chain_text(chain: &[Value]) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let leaf = chain[0].as_str().and_then(|text| STANDARD.decode(text).ok());
    let leaf = leaf.and_then(|der| Certificate::from_der(&der).ok());
    let count = match chain.len() {
        1 => "a certificate".to_owned(),
        more => format!("a chain of {more} certificates"),
    };
    match leaf {
        Some(leaf) => format!(
            "{count}: {}, issued by {}, good until {}",
            leaf.subject(),
            leaf.issuer(),
            date(leaf.not_after())
        ),
        None => count,
    }
}

/// One claim for people.
fn claim(name: &str, value: &Value, now: SystemTime) -> String {
    let seconds = value.as_i64().filter(|_| matches!(name, "exp" | "nbf" | "iat"));
    let time = seconds.and_then(|seconds| {
        let seconds = Duration::from_secs(u64::try_from(seconds).ok()?);
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    });
    match (time, value) {
        (Some(time), _) => format!("{} ({})", date(time), distance(time, now)),
        (None, Value::String(text)) => text.clone(),
        (None, other) => other.to_string(),
    }
}

/// A time as people read it, in UTC.
pub fn date(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time)
        .map_or_else(|_| "beyond all dates".to_owned(), |time| time.to_string())
}

/// How far a time is from now: `in 4 min 50 s`, `1 min 15 s ago`.
pub fn distance(time: SystemTime, now: SystemTime) -> String {
    match time.duration_since(now) {
        Ok(ahead) if ahead.as_secs() == 0 => "now".to_owned(),
        Ok(ahead) => format!("in {}", span(ahead)),
        Err(behind) => format!("{} ago", span(behind.duration())),
    }
}

/// A span in its two largest units: `1 d 1 h`.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let Some(largest) = units.iter().position(|(size, _)| seconds >= *size) else {
        return "0 s".to_owned();
    };
    let mut rest = seconds;
    let mut text = String::new();
    for (size, unit) in units.iter().skip(largest).take(2) {
        if rest / size > 0 {
            let space = if text.is_empty() { "" } else { " " };
            // Writing to a String cannot fail.
            let _ = write!(text, "{space}{} {unit}", rest / size);
        }
        rest %= size;
    }
    text
}
