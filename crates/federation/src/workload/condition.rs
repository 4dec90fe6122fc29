//! What the claims of a token have to be, and which account that makes.

use std::fmt;

use portpass_jose::json::{Map, Value};

use super::{
    claims::{ClaimPath, Found},
    glob::Glob,
    template::{NameTemplate, Template},
    trigger::{self, Trigger},
};

/// One claim, and what it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Which.
    pub claim: ClaimPath,
    /// One of these. Of a list, one value has to match.
    pub globs: Vec<Glob>,
}

/// Which tokens an account is for, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// All have to hold.
    pub when: Vec<Condition>,
    /// Its name.
    pub name: NameTemplate,
    /// Its groups.
    pub groups: Vec<Template>,
    /// Its labels.
    pub labels: Vec<LabelTemplate>,
}

/// A label, with claims in its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelTemplate {
    /// Its name.
    pub name: Box<str>,
    /// Its values.
    pub values: Vec<Template>,
}

/// The first claim that no account is left for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Which.
    pub claim: ClaimPath,
    /// What the token has there.
    pub found: Found,
    /// What would have matched.
    pub expected: Vec<Glob>,
}

/// Why no account is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmatched {
    /// A claim is something else.
    Claim(Mismatch),
    /// All claims match, but strangers can have such a job run.
    Trigger(Trigger),
}

/// Step by step, claim by claim: which of the mappings the token is for.
///
/// # Errors
/// Where a step leaves none.
pub(super) fn narrow<'a>(
    mappings: &'a [Mapping],
    claims: &Map<String, Value>,
) -> Result<Vec<&'a Mapping>, Unmatched> {
    let mut left: Vec<&Mapping> = mappings.iter().collect();
    for claim in claims_in_order(mappings) {
        let before = left.clone();
        left.retain(|mapping| mapping.on(claim).is_none_or(|condition| condition.holds(claims)));
        if left.is_empty() {
            let conditions = before.iter().filter_map(|mapping| mapping.on(claim));
            let mut expected: Vec<Glob> = Vec::new();
            for glob in conditions.flat_map(|condition| &condition.globs) {
                if !expected.contains(glob) {
                    expected.push(glob.clone());
                }
            }
            let found = Found::at(claim, claims);
            return Err(Unmatched::Claim(Mismatch { claim: claim.clone(), found, expected }));
        }
    }
    if let Some(trigger) = trigger::of(claims) {
        left.retain(|mapping| mapping.writes_out(&trigger));
        if left.is_empty() {
            return Err(Unmatched::Trigger(trigger));
        }
    }
    Ok(left)
}

/// In the order in which they are written.
fn claims_in_order(mappings: &[Mapping]) -> Vec<&ClaimPath> {
    let mut claims = Vec::new();
    for condition in mappings.iter().flat_map(|mapping| &mapping.when) {
        if !claims.contains(&&condition.claim) {
            claims.push(&condition.claim);
        }
    }
    claims
}

impl Mapping {
    /// Its condition on a claim.
    pub(super) fn on(&self, claim: &ClaimPath) -> Option<&Condition> {
        self.when.iter().find(|condition| condition.claim == *claim)
    }

    pub(super) fn writes_out(&self, trigger: &Trigger) -> bool {
        let written = |glob: &Glob| glob.is_literal() && glob.matches(trigger.value);
        let on = self.when.iter().filter(|condition| condition.claim.as_str() == trigger.claim);
        on.flat_map(|condition| &condition.globs).any(written)
    }

    /// Whether there can be a token that both are for. Two conditions on one claim keep them apart if no
    /// value matches both.
    pub fn overlaps(&self, other: &Self) -> bool {
        !self.when.iter().any(|condition| {
            other.on(&condition.claim).is_some_and(|there| !condition.overlaps(there))
        })
    }
}

impl Condition {
    pub(super) fn holds(&self, claims: &Map<String, Value>) -> bool {
        self.claim.texts(claims).iter().any(|text| self.matches(text))
    }

    /// Whether it lets a claim be that.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.globs.iter().any(|glob| glob.matches(text))
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.globs.iter().any(|glob| other.globs.iter().any(|there| glob.overlaps(there)))
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { claim, found, expected } = self;
        write!(f, "its claim `{claim}` is {found}; expected {}", Alternatives(expected))
    }
}

impl fmt::Display for Unmatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim(mismatch) => mismatch.fmt(f),
            Self::Trigger(trigger) => trigger.fmt(f),
        }
    }
}

/// `"main" or "release-*"`
pub(super) struct Alternatives<'a, T>(pub(super) &'a [T]);

impl<T: AsText> fmt::Display for Alternatives<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, one) in self.0.iter().enumerate() {
            let or = if index == 0 { "" } else { " or " };
            write!(f, "{or}{:?}", one.as_text())?;
        }
        Ok(())
    }
}

pub(super) trait AsText {
    fn as_text(&self) -> &str;
}

impl AsText for Glob {
    fn as_text(&self) -> &str {
        self.as_str()
    }
}

impl AsText for String {
    fn as_text(&self) -> &str {
        self
    }
}

#[cfg(test)]
mod tests {
    use portpass_jose::json;

    use super::*;

    fn mapping(name: &str, when: &[(&str, &[&str])]) -> Mapping {
        let condition = |(claim, globs): &(&str, &[&str])| Condition {
            claim: ClaimPath::new(claim).unwrap(),
            globs: globs.iter().map(|text| Glob::new(text)).collect(),
        };
        Mapping {
            when: when.iter().map(condition).collect(),
            name: name.parse().unwrap(),
            groups: Vec::new(),
            labels: Vec::new(),
        }
    }

    fn outcome(mappings: &[Mapping], claims: &str) -> String {
        match narrow(mappings, &json::parse_object(claims.as_bytes()).unwrap()) {
            Ok(left) => {
                let names: Vec<String> = left.iter().map(|left| left.name.to_string()).collect();
                names.join(" ")
            }
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn the_first_claim_that_leaves_nobody_is_named_and_what_would_have_matched() {
        let mappings = [
            mapping("app", &[("repository", &["acme/app"]), ("ref", &["refs/heads/main"])]),
            mapping(
                "web",
                &[("repository", &["acme/web"]), ("ref", &["refs/tags/v*", "refs/heads/rc"])],
            ),
        ];
        for (claims, said) in [
            (r#"{"repository":"acme/app","ref":"refs/heads/main"}"#, "app"),
            (r#"{"repository":"acme/web","ref":"refs/tags/v1"}"#, "web"),
            (
                r#"{"repository":"evil/app","ref":"refs/heads/main"}"#,
                r#"its claim `repository` is "evil/app"; expected "acme/app" or "acme/web""#,
            ),
            (
                r#"{"repository":"acme/web","ref":"refs/heads/main"}"#,
                r#"its claim `ref` is "refs/heads/main"; expected "refs/tags/v*" or "refs/heads/rc""#,
            ),
            (
                r#"{"repository":"acme/app"}"#,
                r#"its claim `ref` is missing; expected "refs/heads/main""#,
            ),
            (
                r#"{"repository":{"name":"acme/app"},"ref":"x"}"#,
                r#"its claim `repository` is an object; expected "acme/app" or "acme/web""#,
            ),
        ] {
            assert_eq!(outcome(&mappings, claims), said, "{claims}");
        }
    }

    #[test]
    fn of_a_list_one_value_has_to_match() {
        let mappings = [mapping("team", &[("groups", &["ops", "dev-*"])])];
        assert_eq!(outcome(&mappings, r#"{"groups":["all","dev-web"]}"#), "team");
        assert_eq!(
            outcome(&mappings, r#"{"groups":["all"]}"#),
            r#"its claim `groups` is ["all"]; expected "ops" or "dev-*""#
        );
    }

    #[test]
    fn a_job_that_strangers_can_start_has_to_be_written_out() {
        let plain = mapping("app", &[("repository", &["acme/app"])]);
        let wild = mapping("app", &[("repository", &["acme/app"]), ("event_name", &["*"])]);
        let written = mapping(
            "app",
            &[("repository", &["acme/app"]), ("event_name", &["pull_request_target"])],
        );
        let claims = r#"{"repository":"acme/app","event_name":"pull_request_target"}"#;
        for refused in [plain.clone(), wild] {
            let said = outcome(&[refused], claims);
            assert!(said.contains("`event_name` is \"pull_request_target\""), "{said}");
        }
        assert_eq!(outcome(&[plain.clone(), written], claims), "app");
        assert_eq!(outcome(&[plain], r#"{"repository":"acme/app","event_name":"push"}"#), "app");
    }

    #[test]
    fn mappings_overlap_unless_a_claim_keeps_them_apart() {
        let main = mapping("a", &[("repository", &["acme/*"]), ("ref", &["refs/heads/main"])]);
        let tags = mapping("b", &[("repository", &["acme/app"]), ("ref", &["refs/tags/*"])]);
        let app = mapping("c", &[("repository", &["acme/app"])]);
        let other = mapping("d", &[("environment", &["prod"])]);
        for (left, right, overlap) in
            [(&main, &tags, false), (&main, &app, true), (&tags, &app, true), (&main, &other, true)]
        {
            assert_eq!((left.overlaps(right), right.overlaps(left)), (overlap, overlap));
        }
    }
}
