//! How a request ends, as `oracle.txt` writes it and as the registry shows it.

/// Whom the registry sends callers to, and what for.
pub(crate) const REALM: &str = "https://tokens.example/token";
pub(crate) const SERVICE: &str = "registry.example";

/// All that may differ from case to case.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: u16,
    /// The whole `WWW-Authenticate` header.
    pub(crate) challenge: Option<String>,
    /// What the log says, and the answer does not.
    pub(crate) refusal: Option<String>,
}

impl Outcome {
    /// Served.
    pub(crate) fn ok() -> Self {
        Self { status: 200, challenge: None, refusal: None }
    }

    /// A token that does not count, shown where no particular right is needed (CH3, CH6).
    pub(crate) fn invalid_token(refusal: &str) -> Self {
        let challenge = Some(challenge(None, Some("invalid_token")));
        Self { status: 401, challenge, refusal: Some(refusal.to_owned()) }
    }

    /// Reads `401 chal error=E scope=S LOG: ID`; `None` if it is anything else.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (answer, refusal) = line.split_once("LOG:")?;
        let (answer, scope) = match answer.split_once(" scope=") {
            Some((answer, scope)) => (answer, Some(scope.trim())),
            None => (answer, None),
        };
        let words: Vec<&str> = answer.split_whitespace().collect();
        let [status, challenged, error] = words[..] else { return None };
        let error = Some(error.strip_prefix("error=")?).filter(|error| *error != "-");
        let challenge = match challenged {
            "chal" => Some(challenge(scope, error)),
            "NOchal" if scope.is_none() && error.is_none() => None,
            _ => return None,
        };
        let refusal = Some(refusal.trim()).filter(|id| !id.is_empty()).map(str::to_owned);
        Some(Self { status: status.parse().ok()?, challenge, refusal })
    }
}

/// Byte for byte (CH1), with scopes and actions in the order of the request (CH5).
fn challenge(scope: Option<&str>, error: Option<&str>) -> String {
    let attribute = |name: &str, value: Option<&str>| {
        value.map(|value| format!(r#",{name}="{value}""#)).unwrap_or_default()
    };
    let (scope, error) = (attribute("scope", scope), attribute("error", error));
    format!(r#"Bearer realm="{REALM}",service="{SERVICE}"{scope}{error}"#)
}
