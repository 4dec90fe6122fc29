//! `WWW-Authenticate`: how a registry says what to come back with. Ours is [written](Challenge) in
//! the one form that every client reads; anybody's is [read](parse).

use std::{fmt, sync::Arc};

use crate::{
    access::{Access, AccessSet},
    origin::Origin,
    printable::excerpt,
};

pub mod oddity;
mod reader;

#[cfg(test)]
mod tests;

pub use oddity::{KnownClient, Oddity};
pub use reader::{Challenges, ReceivedChallenge, parse};

/// One challenge, as one header line.
///
/// Printed it is the header's value, printable ASCII: the parameters in a fixed order, all quoted,
/// with a comma and no space between (CH1, R2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// Come back with a token.
    Bearer(Bearer),
    /// Come back with a name and a password.
    Basic(Basic),
}

/// `Bearer realm="…",service="…"[,scope="…"][,error="…"]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer {
    realm: Quotable,
    service: Quotable,
    scope: String,
    error: Option<BearerError>,
}

impl Bearer {
    /// Names the token service and what it has to issue the token for. Both are always written,
    /// even if empty (CH2).
    pub fn new(realm: Quotable, service: Quotable) -> Self {
        Self { realm, service, scope: String::new(), error: None }
    }

    /// Says what the request needs: one attribute, entries of one resource merged, in the order given
    /// (CH3 to CH5). To need nothing leaves the attribute out.
    #[must_use]
    pub fn scope(mut self, needed: &[Access]) -> Self {
        let merged: AccessSet = needed.iter().filter(|access| fits(access)).cloned().collect();
        self.scope = merged.to_string();
        self
    }

    /// Says the same as distribution's `silly` controller does: one scope per action, nothing merged
    /// (CH14).
    #[must_use]
    pub fn scope_per_action(mut self, needed: &[Access]) -> Self {
        let scopes: Vec<String> = needed
            .iter()
            .filter(|access| fits(access))
            .flat_map(|access| {
                access.actions.iter().map(|action| format!("{}:{action}", access.resource))
            })
            .collect();
        self.scope = scopes.join(" ");
        self
    }

    /// Says what was wrong with the token that came (CH6).
    #[must_use]
    pub fn error(mut self, error: BearerError) -> Self {
        self.error = Some(error);
        self
    }
}

/// `Basic realm="…"[,charset="UTF-8"]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basic {
    realm: Quotable,
    charset: bool,
}

impl Basic {
    /// As distribution writes it (CH14).
    pub fn new(realm: Quotable) -> Self {
        Self { realm, charset: false }
    }

    /// Says that names and passwords are UTF-8 (RFC 7617 §2.1).
    #[must_use]
    pub fn utf8(self) -> Self {
        Self { charset: true, ..self }
    }
}

/// What was wrong with a token (RFC 6750 §3.1). Clients hear no more than this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BearerError {
    /// It grants less than the request needs.
    InsufficientScope,
    /// It is no token of ours, or no longer one.
    InvalidToken,
}

impl BearerError {
    /// As it stands in the header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InsufficientScope => "insufficient_scope",
            Self::InvalidToken => "invalid_token",
        }
    }
}

impl From<Bearer> for Challenge {
    fn from(bearer: Bearer) -> Self {
        Self::Bearer(bearer)
    }
}

impl From<Basic> for Challenge {
    fn from(basic: Basic) -> Self {
        Self::Basic(basic)
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer(bearer) => bearer.fmt(f),
            Self::Basic(basic) => basic.fmt(f),
        }
    }
}

impl fmt::Display for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Bearer realm={},service={}",
            Quoted(self.realm.as_str()),
            Quoted(self.service.as_str())
        )?;
        if !self.scope.is_empty() {
            write!(f, ",scope={}", Quoted(&self.scope))?;
        }
        match self.error {
            Some(error) => write!(f, ",error={}", Quoted(error.as_str())),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Basic realm={}", Quoted(self.realm.as_str()))?;
        if self.charset { f.write_str(",charset=\"UTF-8\"") } else { Ok(()) }
    }
}

/// Text that every client reads back from a quoted string: printable ASCII (CH11).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Quotable(Arc<str>);

impl Quotable {
    /// Checks a text. `what` names it in the error, as in `realm`.
    pub fn new(what: &'static str, text: &str) -> Result<Self, NotQuotable> {
        match text.chars().find(|c| !is_quotable(*c)) {
            None => Ok(Self(text.into())),
            Some(character) => Err(NotQuotable { what, text: excerpt(text), character }),
        }
    }

    /// The URL of a path at the address that the client used (CH13).
    pub fn at(origin: &Origin, path: &Self) -> Self {
        Self(origin.join(path.as_str()).into())
    }

    /// As it was given, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Quotable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A text with a character that some client reads as another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} {text:?} has the character {character:?}; a challenge carries printable ASCII alone"
)]
pub struct NotQuotable {
    what: &'static str,
    text: String,
    character: char,
}

/// Space to `~`.
fn is_quotable(c: char) -> bool {
    c == ' ' || c.is_ascii_graphic()
}

/// Whether a need can be said in a scope. One that cannot (a name with a space or beyond ASCII) is
/// left out: no token could grant it, and it must not smuggle in another entry (CH12).
fn fits(access: &Access) -> bool {
    let words = [&*access.resource.resource_type, &*access.resource.name];
    let actions = access.actions.iter().map(crate::access::Action::as_str);
    !access.actions.is_empty()
        && words.into_iter().chain(actions).all(|word| word.bytes().all(|b| b.is_ascii_graphic()))
}

/// Prints in quotes; only `"` and `\` are escaped (CH11).
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        let mut rest = self.0;
        while let Some(at) = rest.find(['"', '\\']) {
            let (plain, special) = rest.split_at(at);
            write!(f, "{plain}\\{}", &special[..1])?;
            rest = &special[1..];
        }
        write!(f, "{rest}\"")
    }
}
