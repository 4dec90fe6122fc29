//! What the service says.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use portpass_jose::json::{self, Map, Value};
use secrecy::{ExposeSecret, SecretString};

/// What the service says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is this account.
    Yes(HookAccount),
    /// The account is the service's, and is not let in.
    No {
        /// Why, for the log and `explain`.
        reason: Option<String>,
        /// What it would be; for `policy explain`.
        account: Option<HookAccount>,
    },
    /// The service has no such account: somebody else may.
    Unknown,
    /// The service cannot say at the moment.
    Unavailable {
        /// Why, for the log.
        reason: Option<String>,
    },
}

/// An account as the service describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookAccount {
    /// What the service calls it for ever, also when it is renamed.
    pub id: Option<String>,
    /// Its name; absent: the name that was asked about.
    pub name: Option<String>,
    /// Changes whenever its password does.
    pub version: Option<String>,
    /// Its groups.
    pub groups: Vec<String>,
    /// Its labels.
    pub labels: BTreeMap<String, Vec<String>>,
    /// The most that it can ever reach; absent: no limit.
    pub ceiling: Option<HookCeiling>,
    /// Nothing that is issued for it outlives this.
    pub valid_until: Option<SystemTime>,
}

/// The most that an account can ever reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookCeiling {
    /// `pull`, `push`, `delete` or `*`; at least one.
    pub actions: Vec<String>,
    /// Patterns of repositories; at least one.
    pub repositories: Vec<String>,
}

/// Why bytes are no answer. It repeats none of them but names of members.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Garbled(String);

impl Answer {
    /// Reads an answer. Nothing is passed over: who writes `celing` means a limit, and would have none.
    pub fn parse(bytes: &[u8]) -> Result<Self, Garbled> {
        // What the reader of JSON says of the bytes may repeat them.
        let object = json::parse_object(bytes).map_err(|_| {
            Garbled("it is not one JSON object that says each thing once".to_owned())
        })?;
        let mut members = Members { path: "", object };
        let word = members.required("answer", text)?;
        let answer = match &*word {
            "yes" => Self::Yes(members.optional("account", account)?.unwrap_or_default()),
            "no" => Self::No {
                reason: members.optional("reason", text)?,
                account: members.optional("account", account)?,
            },
            "unknown" => Self::Unknown,
            "unavailable" => Self::Unavailable { reason: members.optional("reason", text)? },
            _ => return Err(Garbled(format!("`answer` is none of {ANSWERS}"))),
        };
        members.end()?;
        Ok(answer)
    }

    /// The same, fit for a log: a reason on one line, and none that repeats the password.
    pub(super) fn without(self, password: Option<&SecretString>) -> Self {
        let fit = |reason: Option<String>| reason.map(|reason| fit_for_log(&reason, password));
        match self {
            Self::No { reason, account } => Self::No { reason: fit(reason), account },
            Self::Unavailable { reason } => Self::Unavailable { reason: fit(reason) },
            Self::Yes(_) | Self::Unknown => self,
        }
    }
}

fn fit_for_log(reason: &str, password: Option<&SecretString>) -> String {
    if password.is_some_and(|password| reason.contains(password.expose_secret())) {
        return "its reason is not repeated, since the password is in it".to_owned();
    }
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    let mut kept: String = reason.chars().take(LONGEST_REASON).map(printable).collect();
    if reason.chars().nth(LONGEST_REASON).is_some() {
        kept.push('…');
    }
    kept
}

fn account(path: &'static str, value: Value) -> Result<HookAccount, Garbled> {
    let mut members = Members { path, object: object(path, value)? };
    let account = HookAccount {
        id: members.optional("id", word)?,
        name: members.optional("name", word)?,
        version: members.optional("version", text)?,
        groups: members.optional("groups", texts)?.unwrap_or_default(),
        labels: members.optional("labels", labels)?.unwrap_or_default(),
        ceiling: members.optional("ceiling", ceiling)?,
        valid_until: members.optional("valid_until", seconds)?,
    };
    members.end()?;
    Ok(account)
}

fn ceiling(path: &'static str, value: Value) -> Result<HookCeiling, Garbled> {
    let mut members = Members { path, object: object(path, value)? };
    let ceiling = HookCeiling {
        actions: members.required("actions", some)?,
        repositories: members.required("repositories", some)?,
    };
    if !ceiling.actions.iter().all(|action| ACTIONS.contains(&action.as_str())) {
        return Err(Garbled("`actions` has another word than pull, push, delete and *".to_owned()));
    }
    members.end()?;
    Ok(ceiling)
}

/// The members of an object that nobody has read yet.
struct Members {
    path: &'static str,
    object: Map<String, Value>,
}

impl Members {
    /// `null` is as good as nothing.
    fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&'static str, Value) -> Result<T, Garbled>,
    ) -> Result<Option<T>, Garbled> {
        match self.object.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(name, value).map(Some),
        }
    }

    fn required<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&'static str, Value) -> Result<T, Garbled>,
    ) -> Result<T, Garbled> {
        let missing = || Garbled(format!("`{name}` is missing{}", within(self.path)));
        match self.object.remove(name) {
            None => Err(missing()),
            Some(value) => read(name, value),
        }
    }

    fn end(self) -> Result<(), Garbled> {
        let Some(name) = self.object.keys().next() else { return Ok(()) };
        // What is no name may be anything, a password too.
        let plain = |b: u8| b.is_ascii_lowercase() || b == b'_';
        let named = name.len() <= LONGEST_NAME && name.bytes().all(plain);
        let member = if named { format!("the member `{name}`") } else { "a member".to_owned() };
        Err(Garbled(format!("it has {member}{} that does not belong there", within(self.path))))
    }
}

fn within(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" in `{path}`") }
}

fn object(path: &str, value: Value) -> Result<Map<String, Value>, Garbled> {
    match value {
        Value::Object(object) => Ok(object),
        other => Err(unexpected(path, &other, "an object")),
    }
}

fn text(path: &'static str, value: Value) -> Result<String, Garbled> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(unexpected(path, &other, "a string")),
    }
}

/// A text that is not empty.
fn word(path: &'static str, value: Value) -> Result<String, Garbled> {
    let text = text(path, value)?;
    if text.is_empty() { Err(Garbled(format!("`{path}` is empty"))) } else { Ok(text) }
}

fn texts(path: &'static str, value: Value) -> Result<Vec<String>, Garbled> {
    match value {
        Value::Array(list) => list.into_iter().map(|value| text(path, value)).collect(),
        other => Err(unexpected(path, &other, "a list of strings")),
    }
}

/// At least one text.
fn some(path: &'static str, value: Value) -> Result<Vec<String>, Garbled> {
    let texts = texts(path, value)?;
    if texts.is_empty() { Err(Garbled(format!("`{path}` is empty"))) } else { Ok(texts) }
}

fn labels(path: &'static str, value: Value) -> Result<BTreeMap<String, Vec<String>>, Garbled> {
    let labels = object(path, value)?.into_iter();
    labels.map(|(name, values)| Ok((name, texts(path, values)?))).collect()
}

/// Seconds since 1970, as `exp` of a token is; some languages write whole numbers as `1.0`.
fn seconds(path: &'static str, value: Value) -> Result<SystemTime, Garbled> {
    let number = match value {
        Value::Number(number) => number,
        other => return Err(unexpected(path, &other, "a number")),
    };
    let whole = number.as_f64().filter(|seconds| seconds.fract() == 0.0);
    let since = whole.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let since = since.filter(|since| *since <= LATEST).ok_or_else(|| {
        let latest = LATEST.as_secs();
        Garbled(format!("`{path}` is no whole number of seconds since 1970, up to {latest}"))
    })?;
    Ok(SystemTime::UNIX_EPOCH + since)
}

fn unexpected(path: &str, found: &Value, expected: &str) -> Garbled {
    Garbled(format!("`{path}` is {}, expected {expected}", json::kind(found)))
}

const ANSWERS: &str = "yes, no, unknown and unavailable";
const ACTIONS: &[&str] = &["pull", "push", "delete", "*"];
/// The end of the year 9999.
const LATEST: Duration = Duration::from_secs(253_402_300_799);
const LONGEST_REASON: usize = 200;
const LONGEST_NAME: usize = 32;
