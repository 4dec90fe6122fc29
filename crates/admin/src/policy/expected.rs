//! Whether the rules grant what somebody expects.

use std::{collections::BTreeSet, path::PathBuf};

use portpass_authority::policy::{self, Explanation};
use portpass_config::{Expectation, RuleName};
use serde::Serialize;

use super::{
    AdminError, Caller, Circumstances, Rulebook, described::ExpectedCaller, requested, service_name,
};
use crate::blocking;

/// What became of one expectation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestedExpectation {
    /// Where it stands in the file.
    pub line: u64,
    /// `ann asks for repository:team/app:push`
    pub name: String,
    /// Why it does not hold; `None` where it does.
    pub failure: Option<String>,
}

impl Rulebook {
    /// Holds the rules against the expectations in a file, in its order.
    pub async fn test(&self, file: PathBuf) -> Result<Vec<TestedExpectation>, AdminError> {
        let expectations = blocking(move || Expectation::read(&file)).await?;
        let mut tested = Vec::new();
        for expected in expectations {
            let failure = match self.difference(&expected).await {
                Ok(difference) => difference,
                // What is wrong with one says nothing of the others.
                Err(error) => Some(self.in_words(&error, &expected)),
            };
            tested.push(TestedExpectation { line: expected.line, name: title(&expected), failure });
        }
        Ok(tested)
    }

    /// What is other than it was expected, with the explanation.
    async fn difference(&self, expected: &Expectation) -> Result<Option<String>, AdminError> {
        let service = self.service()?;
        let at = expected.at.as_deref();
        let circumstances = Circumstances {
            service: expected.service.clone(),
            address: expected.address,
            at: at.map(str::to_owned),
        };
        let Ok(who) = expected.who.parse::<Caller>();
        let (asked, ignored) = requested(std::slice::from_ref(&expected.scope))?;
        if let Some(ignored) = ignored.first() {
            return Ok(Some(format!("a token request leaves a part out: {ignored}")));
        }
        let mut resources = asked.iter();
        let (Some(asked), None) = (resources.next(), resources.next()) else {
            return Ok(Some("it asks for several resources; write an entry for each".to_owned()));
        };
        if who == Caller::Anonymous && !service.anonymous {
            let why = "anonymous callers get no token here (`token_service.anonymous`)";
            return Ok(refused(expected, why));
        }
        let ExpectedCaller { subject, obstacle } = self.expected_caller(&who, expected).await?;
        if let Some(why) = obstacle {
            return Ok(refused(expected, &why));
        }
        let request = policy::Request {
            subject: &subject,
            service: &service_name(service, circumstances.service.as_deref())?,
            address: circumstances.address,
            now: circumstances.moment(self.now())?,
        };
        let explanation = policy::explain(&*self.policy()?, &request, asked);
        Ok(differs(expected, &explanation).map(|what| format!("{what}\n{explanation}")))
    }

    fn in_words(&self, error: &AdminError, expected: &Expectation) -> String {
        let hint = match (error, self.is_installed()) {
            (AdminError::UnknownAccount { .. }, _) if expected.profile.is_some() => "",
            (AdminError::UnknownAccount { .. }, false) => {
                "; there is no database here: give its `groups`, also none as `groups: []`"
            }
            (AdminError::UnknownAccount { .. }, true) => {
                "; give its `groups` to test without it, also none as `groups: []`"
            }
            (AdminError::UnknownRobot { .. }, false) => {
                "; there is no database here: say what it has as in `allow: [pull], repository: \"team/app-*\"`"
            }
            (AdminError::UnknownRobot { .. }, true) => {
                "; to test without it, say what it is to have as in `allow: [pull], repository: \"team/app-*\"`"
            }
            (AdminError::UnknownKey { .. }, false) => {
                "; there is no database here: write its account, with `groups`, and `allow` and `repository` for the key"
            }
            _ => "",
        };
        format!("{error}{hint}")
    }
}

/// `ann from 10.1.2.3 asks for repository:team/app:push`
fn title(expected: &Expectation) -> String {
    let limit = expected.limit.as_ref().map(|limit| format!(" (limit: {limit})"));
    let from = expected.address.map(|address| format!(" from {address}"));
    let (limit, from) = (limit.unwrap_or_default(), from.unwrap_or_default());
    format!("{}{limit}{from} asks for {}", expected.who, expected.scope)
}

/// Who gets no token is granted nothing, and no rule is asked.
fn refused(expected: &Expectation, why: &str) -> Option<String> {
    (!expected.granted.is_empty() || expected.rule.is_some()).then(|| why.to_owned())
}

fn differs(expected: &Expectation, explanation: &Explanation) -> Option<String> {
    let granted: BTreeSet<String> = explanation.granted.iter().cloned().collect();
    if granted != expected.granted {
        let words = |set: &BTreeSet<String>| {
            let words = set.iter().cloned().collect::<Vec<_>>().join(", ");
            if words.is_empty() { "nothing".to_owned() } else { words }
        };
        return Some(format!(
            "expected {}, but {} is granted",
            words(&expected.granted),
            words(&granted)
        ));
    }
    let rule = expected.rule.as_ref()?;
    let decides = explanation.rules.iter().any(|cited| match rule {
        RuleName::Number(number) => cited.number == *number,
        RuleName::Text(text) => squeezed(text) == squeezed(&cited.text),
    });
    let named = match rule {
        RuleName::Number(number) => format!("rule {number}"),
        RuleName::Text(text) => format!("the rule `{text}`"),
    };
    (!decides).then(|| format!("{named} does not decide this"))
}

/// Spaces do not tell one rule from another.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
