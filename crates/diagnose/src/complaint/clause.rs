//! One clause of a refusal: which parameter it names, and whether it finds fault with it.

use super::Complaint;

/// A clause in lower case, as words. What is quoted is one word, or the name of a parameter.
pub(super) struct Clause(Vec<String>);

impl Clause {
    pub(super) fn of(text: &str) -> Self {
        let text = text.to_lowercase();
        let words = text.split(|c: char| !(c.is_alphanumeric() || "_-./:@'".contains(c)));
        let words = words.flat_map(|word| word.split(['\'', '-']));
        let words = words.map(|word| word.trim_matches(['.', ':', '/']));
        Self(words.filter(|word| !word.is_empty()).map(str::to_owned).collect())
    }

    /// What it complains of.
    pub(super) fn complaint(&self) -> Option<Complaint> {
        if self.has_any(LOCKED) {
            return Some(Complaint::Locked);
        }
        self.about_the_service().or_else(|| self.of_a_parameter())
    }

    /// What has to do with nobody's request.
    pub(super) fn about_the_service(&self) -> Option<Complaint> {
        if self.has_any(MAINTENANCE) {
            Some(Complaint::Maintenance)
        } else if self.has_any(RATE) && !self.has_any(LOCKED) {
            Some(Complaint::RateLimit)
        } else {
            None
        }
    }

    fn of_a_parameter(&self) -> Option<Complaint> {
        let named = |names: &[&str], faults: &[&str]| {
            names.iter().flat_map(|name| self.places(name)).any(|at| self.is_at_fault(at, faults))
        };
        if named(&["grant_type", "grant type"], FAULTS) {
            Some(Complaint::GrantType)
        } else if named(&["client_id", "clientid", "client id"], FAULTS) {
            Some(Complaint::ClientId)
        } else if named(&["account"], MISMATCH) {
            Some(Complaint::Account)
        } else if !self.has_any(NO_PARAMETER) && named(&["service", "audience"], FAULTS) {
            Some(Complaint::Service)
        } else if named(&["scope", "scopes"], FAULTS) {
            Some(Complaint::Scope)
        } else {
            None
        }
    }

    /// Whether a fault is named near the word.
    fn is_at_fault(&self, at: usize, faults: &[&str]) -> bool {
        let near = |other: usize| other.abs_diff(at) <= NEAR;
        faults.iter().flat_map(|fault| self.places(fault)).any(near)
    }

    fn has_any(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.places(phrase).next().is_some())
    }

    /// Where a phrase stands.
    fn places(&self, phrase: &str) -> impl Iterator<Item = usize> {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        let all = self.0.windows(phrase.len()).enumerate();
        all.filter_map(move |(at, words)| words.iter().eq(phrase.iter()).then_some(at))
    }
}

/// How far a fault may stand from what it is found with, in words.
const NEAR: usize = 6;

const FAULTS: &[&str] = &[
    "unknown",
    "invalid",
    "illegal",
    "unsupported",
    "unrecognized",
    "unrecognised",
    "unregistered",
    "missing",
    "required",
    "mandatory",
    "mismatch",
    "wrong",
    "bad",
    "disabled",
    "empty",
    "incorrect",
    "not found",
    "not exist",
    "not one",
    "not a",
    "not the",
    "not known",
    "not supported",
    "not allowed",
    "not permitted",
    "not registered",
    "not configured",
    "not recognized",
    "not recognised",
    "not enabled",
    "not match",
    "not valid",
    "not specified",
    "not provided",
    "not handled",
    "no such",
    "cannot find",
    "can t find",
    "could not find",
    "unable to handle",
    "unable to find",
    "must be",
    "must have",
    "error parsing",
    "failed to parse",
    "cannot parse",
];

/// An account that is unknown, locked or without a password is another matter.
const MISMATCH: &[&str] = &[
    "mismatch",
    "not the same",
    "not match",
    "not equal",
    "differs",
    "different",
    "but the credentials",
];

/// Clauses with these speak of a service that is no parameter.
const NO_PARAMETER: &[&str] = &[
    "unavailable",
    "service account",
    "service accounts",
    "terms of service",
    "authentication required",
    "authorization required",
    "login required",
    "log in",
    "sign in",
    "password",
    "credentials",
    "internal error",
];

const LOCKED: &[&str] = &[
    "locked",
    "locked out",
    "too many failed",
    "too many login",
    "too many attempts",
    "too many authentication",
    "too many incorrect",
    "too many wrong",
];

const MAINTENANCE: &[&str] = &[
    "maintenance",
    "be right back",
    "be back soon",
    "be back shortly",
    "back online soon",
    "scheduled downtime",
    "deploy in progress",
];

const RATE: &[&str] = &[
    "rate limit",
    "rate limits",
    "rate limited",
    "rate limiting",
    "ratelimit",
    "rate exceeded",
    "too many requests",
    "toomanyrequests",
    "request limit",
    "quota exceeded",
    "throttled",
    "throttling",
    "retry later",
];
