//! Texts with claims in them: `ci/${claim:repository}`.
//!
//! The name of an account has no `/` and no `:`, and claims are full of them. In a name, `/` becomes `.`, and what
//! would be mistaken for something else gets a `+` before it, so two values never become one name:
//!
//! ```text
//! ci/${claim:repository}      acme/app       ci.acme.app
//!                             acme/next.js   ci.acme.next+.js
//! k8s/${claim:sub}            system:serviceaccount:build:pusher
//!                                            k8s.system+-serviceaccount+-build+-pusher
//! ```

use std::{fmt, str::FromStr};

use portpass_jose::json::{Map, Value};

use super::claims::ClaimPath;

/// A text with claims in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: Box<str>,
    parts: Box<[Part]>,
}

/// The name of an account, fixed or with claims in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameTemplate(Template);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Claim(ClaimPath),
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `${…}` without an end.
    #[error("`${{` has no `}}` behind it")]
    Open,
    /// `${…}` with something else in it.
    #[error(
        "`${{{name}}}` is unknown: only `${{claim:NAME}}` can stand here, as in `${{claim:repository}}`"
    )]
    Unknown {
        /// What stands between the braces.
        name: String,
    },
    /// There is nothing.
    #[error("the text is empty")]
    Empty,
    /// A name that an issuer alone decides.
    #[error(
        "the name begins with a claim, so the issuer could name an account of another source: begin it with a word of your own, as in `ci/${{claim:repository}}`"
    )]
    NoPrefix,
    /// Two claims that run into each other.
    #[error(
        "between two claims of a name there must be a text that begins with `@`, as in `ci/${{claim:repository}}@${{claim:environment}}`: otherwise two tokens could become one account"
    )]
    Separator,
    /// A character that names do not have.
    #[error(
        "{character:?} is not allowed in an account name: use letters, digits and `._@-`, and `/` for `.`"
    )]
    Character {
        /// Which.
        character: char,
    },
}

/// Why a token has no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is no such claim, or it is a list or an object.
    #[error("the account's name needs the claim `{claim}`, which is missing or is no text")]
    Claim {
        /// Which.
        claim: ClaimPath,
    },
    /// There is nothing in it.
    #[error("the account's name needs the claim `{claim}`, which is empty")]
    Empty {
        /// Which.
        claim: ClaimPath,
    },
    /// A character that cannot be written in a name.
    #[error(
        "the claim `{claim}` has the character {character:?}, which an account name cannot have"
    )]
    Character {
        /// Which.
        claim: ClaimPath,
        /// The first such character.
        character: char,
    },
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, behind)) = rest.split_once("${") {
            let (name, after) = behind.split_once('}').ok_or(TemplateError::Open)?;
            let claim = name.strip_prefix("claim:").and_then(ClaimPath::new);
            let claim = claim.ok_or_else(|| TemplateError::Unknown { name: name.to_owned() })?;
            if !before.is_empty() {
                parts.push(Part::Literal(before.into()));
            }
            parts.push(Part::Claim(claim));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.into()));
        }
        if parts.is_empty() {
            Err(TemplateError::Empty)
        } else {
            Ok(Self { text: text.into(), parts: parts.into() })
        }
    }
}

impl Template {
    /// The text itself, where no claim is in it.
    pub fn fixed(&self) -> Option<&str> {
        match &*self.parts {
            [Part::Literal(literal)] => Some(literal),
            _ => None,
        }
    }

    /// The text with the claims of a token in it: one for each value where a claim is a list, none where one is missing.
    pub(super) fn texts(&self, claims: &Map<String, Value>) -> Vec<String> {
        let mut texts = vec![String::new()];
        for part in &self.parts {
            texts = match part {
                Part::Literal(literal) => {
                    texts.iter().map(|text| format!("{text}{literal}")).collect()
                }
                Part::Claim(claim) => {
                    let values = claim.texts(claims);
                    let with = |text: &String| {
                        values.iter().map(|value| format!("{text}{value}")).collect::<Vec<_>>()
                    };
                    texts.iter().flat_map(with).take(MOST_TEXTS).collect()
                }
            };
        }
        texts
    }
}

impl FromStr for NameTemplate {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let template: Template = text.parse()?;
        for (index, part) in template.parts.iter().enumerate() {
            match part {
                Part::Claim(_) if index == 0 => return Err(TemplateError::NoPrefix),
                Part::Claim(_) if matches!(template.parts[index - 1], Part::Claim(_)) => {
                    return Err(TemplateError::Separator);
                }
                Part::Claim(_) => {}
                Part::Literal(literal) => {
                    let legal = |c: &char| c.is_alphanumeric() || "._@-/".contains(*c);
                    if let Some(character) = literal.chars().find(|c| !legal(c)) {
                        return Err(TemplateError::Character { character });
                    }
                    let between = index > 0 && index + 1 < template.parts.len();
                    if between && !literal.starts_with('@') {
                        return Err(TemplateError::Separator);
                    }
                    if index == 0 && !literal.starts_with(char::is_alphanumeric) {
                        let character = literal.chars().next().unwrap_or_default();
                        return Err(TemplateError::Character { character });
                    }
                }
            }
        }
        Ok(Self(template))
    }
}

impl NameTemplate {
    /// The name itself, where no claim is in it.
    pub fn fixed(&self) -> Option<String> {
        self.0.fixed().map(written)
    }

    /// The name of the account that a token is for.
    pub(super) fn name(&self, claims: &Map<String, Value>) -> Result<String, NameError> {
        let mut name = String::new();
        for part in &self.0.parts {
            match part {
                Part::Literal(literal) => name.push_str(&written(literal)),
                Part::Claim(claim) => {
                    let value = claim.find(claims).filter(|value| !value.is_array());
                    let texts = value.map(|_| claim.texts(claims)).unwrap_or_default();
                    let text =
                        texts.first().ok_or_else(|| NameError::Claim { claim: claim.clone() })?;
                    escape(text, claim, &mut name)?;
                }
            }
        }
        Ok(name)
    }

    /// The claims that a name was made of; `None` where it is none of this template's.
    pub(super) fn claims(&self, name: &str) -> Option<Map<String, Value>> {
        let (mut claims, mut rest) = (Map::new(), name);
        let mut parts = self.0.parts.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Part::Literal(literal) => rest = rest.strip_prefix(&*written(literal))?,
                Part::Claim(claim) => {
                    let end = match parts.peek() {
                        None => rest.len(),
                        // The last of all: what stands behind it is known.
                        Some(Part::Literal(literal)) if !literal.starts_with('@') => {
                            rest.len().checked_sub(written(literal).len())?
                        }
                        Some(_) => at_sign(rest)?,
                    };
                    let value = unescape(rest.get(..end)?)?;
                    claims.insert(claim.as_str().to_owned(), value.into());
                    rest = &rest[end..];
                }
            }
        }
        rest.is_empty().then_some(claims)
    }
}

impl fmt::Display for NameTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What is written in a template: `/` is `.` in a name.
fn written(literal: &str) -> String {
    literal.replace('/', ".")
}

fn escape(value: &str, claim: &ClaimPath, name: &mut String) -> Result<(), NameError> {
    if value.is_empty() {
        return Err(NameError::Empty { claim: claim.clone() });
    }
    for character in value.chars() {
        match character {
            '/' => name.push('.'),
            ':' => name.push_str("+-"),
            '.' | '@' | '+' => name.extend(['+', character]),
            '_' | '-' => name.push(character),
            letter if letter.is_alphanumeric() => name.push(letter),
            _ => return Err(NameError::Character { claim: claim.clone(), character }),
        }
    }
    Ok(())
}

fn unescape(name: &str) -> Option<String> {
    let (mut value, mut characters) = (String::new(), name.chars());
    while let Some(character) = characters.next() {
        value.push(match character {
            '.' => '/',
            '+' => match characters.next()? {
                '-' => ':',
                escaped @ ('.' | '@' | '+') => escaped,
                _ => return None,
            },
            '@' => return None,
            other => other,
        });
    }
    (!value.is_empty()).then_some(value)
}

/// Where the first `@` stands that is no claim's.
fn at_sign(name: &str) -> Option<usize> {
    let mut escaped = false;
    name.char_indices().find_map(|(at, character)| {
        let found = character == '@' && !escaped;
        escaped = character == '+' && !escaped;
        found.then_some(at)
    })
}

/// More than any account has groups.
const MOST_TEXTS: usize = 256;

#[cfg(test)]
mod tests {
    use portpass_jose::json;
    use proptest::prelude::*;

    use super::*;

    fn claims(text: &str) -> Map<String, Value> {
        json::parse_object(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_name_says_what_the_claims_are() {
        for (template, of, name) in [
            ("ci/${claim:repository}", r#"{"repository":"acme/app"}"#, "ci.acme.app"),
            ("ci/${claim:repository}", r#"{"repository":"acme/next.js"}"#, "ci.acme.next+.js"),
            ("ci/${claim:r}@${claim:e}", r#"{"r":"a/b","e":"prod"}"#, "ci.a.b@prod"),
            (
                "k8s/${claim:sub}",
                r#"{"sub":"system:serviceaccount:ns:sa"}"#,
                "k8s.system+-serviceaccount+-ns+-sa",
            ),
            ("deploy-${claim:n}-bot", r#"{"n":7}"#, "deploy-7-bot"),
            ("deploy/bot", "{}", "deploy.bot"),
        ] {
            let template: NameTemplate = template.parse().unwrap();
            let of = claims(of);
            assert_eq!(template.name(&of).unwrap(), name);
            let back = template.claims(name).unwrap();
            assert!(back.iter().all(|(key, value)| value.as_str().unwrap()
                == ClaimPath::new(key).unwrap().texts(&of)[0]));
        }
        assert_eq!(
            "deploy/bot".parse::<NameTemplate>().unwrap().fixed().as_deref(),
            Some("deploy.bot")
        );
        assert_eq!("ci/${claim:a}".parse::<NameTemplate>().unwrap().fixed(), None);
    }

    #[test]
    fn a_token_without_what_the_name_needs_has_none() {
        let template: NameTemplate = "ci/${claim:a}".parse().unwrap();
        for (of, said) in [
            ("{}", "the account's name needs the claim `a`, which is missing or is no text"),
            (
                r#"{"a":["x"]}"#,
                "the account's name needs the claim `a`, which is missing or is no text",
            ),
            (r#"{"a":""}"#, "the account's name needs the claim `a`, which is empty"),
            (
                r#"{"a":"x y"}"#,
                "the claim `a` has the character ' ', which an account name cannot have",
            ),
            (
                r#"{"a":"x\u0000"}"#,
                "the claim `a` has the character '\\0', which an account name cannot have",
            ),
        ] {
            assert_eq!(template.name(&claims(of)).unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn a_template_that_could_mix_up_accounts_is_refused() {
        for (text, said) in [
            ("", "the text is empty"),
            ("${claim:sub}", "the name begins with a claim"),
            ("ci/${claim:a}${claim:b}", "between two claims"),
            ("ci/${claim:a}-${claim:b}", "between two claims"),
            ("ci/${claim:a", "`${` has no `}`"),
            ("ci/${account}", "`${account}` is unknown"),
            ("ci/${claim:}", "`${claim:}` is unknown"),
            ("ci ${claim:a}", "' ' is not allowed"),
            ("ci+${claim:a}", "'+' is not allowed"),
            ("-ci", "'-' is not allowed"),
        ] {
            let error = text.parse::<NameTemplate>().unwrap_err().to_string();
            assert!(error.starts_with(said), "{text}: {error}");
        }
    }

    #[test]
    fn groups_are_one_for_each_value_and_none_for_a_claim_that_is_missing() {
        let of = claims(r#"{"groups":["a","b"],"env":"prod"}"#);
        for (template, texts) in [
            ("ci", &["ci"][..]),
            ("env:${claim:env}", &["env:prod"]),
            ("${claim:groups}", &["a", "b"]),
            ("${claim:env}/${claim:groups}", &["prod/a", "prod/b"]),
            ("x-${claim:none}", &[]),
        ] {
            assert_eq!(template.parse::<Template>().unwrap().texts(&of), texts, "{template}");
        }
    }

    proptest! {
        #[test]
        fn two_tokens_are_never_one_account(
            left in ("[a/:.@+-]{1,4}", "[a/:.@+-]{1,4}"), right in ("[a/:.@+-]{1,4}", "[a/:.@+-]{1,4}"),
        ) {
            for template in ["ci/${claim:a}@${claim:b}", "ci-${claim:a}@x.${claim:b}-bot"] {
                let template: NameTemplate = template.parse().unwrap();
                let of = |(a, b): &(String, String)| {
                    Map::from_iter([("a".to_owned(), a.as_str().into()), ("b".to_owned(), b.as_str().into())])
                };
                let (first, second) = (template.name(&of(&left)).unwrap(), template.name(&of(&right)).unwrap());
                prop_assert_eq!(first == second, left == right);
                prop_assert_eq!(template.claims(&first), Some(of(&left)));
            }
        }

        #[test]
        fn foreign_text_never_panics(text in ".{0,32}", name in ".{0,32}") {
            if let Ok(template) = text.parse::<NameTemplate>() {
                let _ = template.claims(&name);
            }
            let _ = "a-${claim:x}@${claim:y}z".parse::<NameTemplate>().unwrap().claims(&name);
        }
    }
}
