//! What is odd about a challenge, and who stumbles over it. The table was measured by running the
//! clients' own parsers on 25 headers; the tests compare it with that record.

use std::fmt;

/// A family of clients that share a parser of challenges or token answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KnownClient {
    /// `docker login` and the classic docker engine (distribution's client).
    Docker,
    /// containerd, and with it Kubernetes, nerdctl, `BuildKit` and docker with its image store.
    Containerd,
    /// podman, skopeo, buildah (containers/image).
    Podman,
    /// crane, ko, kaniko, cosign (go-containerregistry).
    Crane,
    /// oras, helm.
    Oras,
    /// regctl, regsync (regclient).
    Regclient,
}

impl KnownClient {
    /// Every family there is a record of.
    pub const ALL: [Self; 6] =
        [Self::Docker, Self::Containerd, Self::Podman, Self::Crane, Self::Oras, Self::Regclient];

    /// The name its users know.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::Podman => "podman",
            Self::Crane => "crane",
            Self::Oras => "oras",
            Self::Regclient => "regclient",
        }
    }
}

impl fmt::Display for KnownClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something in a challenge that is not as all clients want it. We read it all the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Oddity {
    /// `Basic` on a line of its own beside `Bearer`; what comes first decides who is lost (R3).
    BasicBesideBearer {
        /// Whether `Basic` is the first of the two.
        basic_first: bool,
    },
    /// The parameter stands twice; the last counts, for everybody.
    DuplicateParameter(String),
    /// `service=""`
    EmptyValue {
        /// Its name.
        parameter: String,
        /// Whether other parameters follow, which distribution's parser then never sees.
        followed: bool,
    },
    /// Blanks before the scheme.
    LeadingSpace,
    /// No comma between two parameters or challenges.
    MissingComma,
    /// `Bearer` without a realm.
    MissingRealm,
    /// `\/`: an escape where none is needed.
    NeedlessEscape,
    /// Characters beyond ASCII.
    NonAscii,
    /// Another scheme, as `Negotiate`, on a line before `Bearer`.
    OtherSchemeFirst(String),
    /// `Realm=`
    ParameterCase(String),
    /// Several challenges on one line; what follows the first is lost to most.
    SharedLine {
        /// Whether `Bearer` is the first.
        bearer_first: bool,
    },
    /// `realm='…'`
    SingleQuotes(String),
    /// `realm = "…"`
    SpacesAroundEquals,
    /// Characters that belong to nothing.
    StrayText,
    /// A comma with nothing before or after it.
    StrayComma,
    /// A value that needs quotes and has none, as `realm=https://…`.
    UnquotedValue(String),
    /// A quoted value without an end.
    UnterminatedQuote(String),
}

impl Oddity {
    /// A stable word for it.
    pub fn id(&self) -> &'static str {
        match self {
            Self::BasicBesideBearer { .. } => "basic-beside-bearer",
            Self::DuplicateParameter(_) => "duplicate-parameter",
            Self::EmptyValue { .. } => "empty-value",
            Self::LeadingSpace => "leading-space",
            Self::MissingComma => "missing-comma",
            Self::MissingRealm => "missing-realm",
            Self::NeedlessEscape => "needless-escape",
            Self::NonAscii => "non-ascii",
            Self::OtherSchemeFirst(_) => "other-scheme-first",
            Self::ParameterCase(_) => "parameter-case",
            Self::SharedLine { .. } => "shared-line",
            Self::SingleQuotes(_) => "single-quotes",
            Self::SpacesAroundEquals => "spaces-around-equals",
            Self::StrayText => "stray-text",
            Self::StrayComma => "stray-comma",
            Self::UnquotedValue(_) => "unquoted-value",
            Self::UnterminatedQuote(_) => "unterminated-quote",
        }
    }

    /// The clients that read less than is meant, or something else.
    pub fn breaks(&self) -> &'static [KnownClient] {
        use KnownClient::{Containerd, Crane, Docker, Oras, Podman, Regclient};
        match self {
            Self::BasicBesideBearer { basic_first: false } => &[Docker],
            Self::BasicBesideBearer { basic_first: true } => &[Docker, Podman, Crane, Oras],
            Self::EmptyValue { followed: true, .. } => &[Docker, Podman, Crane],
            Self::LeadingSpace | Self::SharedLine { bearer_first: false } => {
                &[Docker, Containerd, Podman, Crane, Oras]
            }
            Self::SpacesAroundEquals => &[Docker, Containerd, Podman, Crane, Regclient],
            Self::NeedlessEscape | Self::OtherSchemeFirst(_) | Self::ParameterCase(_) => &[Oras],
            Self::MissingComma
            | Self::MissingRealm
            | Self::SingleQuotes(_)
            | Self::StrayText
            | Self::UnquotedValue(_)
            | Self::UnterminatedQuote(_) => &KnownClient::ALL,
            Self::DuplicateParameter(_)
            | Self::EmptyValue { followed: false, .. }
            | Self::NonAscii
            | Self::SharedLine { bearer_first: true }
            | Self::StrayComma => &[],
        }
    }
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BasicBesideBearer { basic_first: false } => f.write_str("basic beside bearer"),
            Self::BasicBesideBearer { basic_first: true } => f.write_str("basic before bearer"),
            Self::DuplicateParameter(name) => write!(f, "{name} twice"),
            Self::EmptyValue { parameter, .. } => write!(f, "empty value of {parameter}"),
            Self::LeadingSpace => f.write_str("space before the scheme"),
            Self::MissingComma => f.write_str("missing comma"),
            Self::MissingRealm => f.write_str("no realm"),
            Self::NeedlessEscape => f.write_str("needless escape"),
            Self::NonAscii => f.write_str("characters beyond ASCII"),
            Self::OtherSchemeFirst(scheme) => write!(f, "{scheme} before bearer"),
            Self::ParameterCase(name) => write!(f, "{name} not in lower case"),
            Self::SharedLine { .. } => f.write_str("several challenges on one line"),
            Self::SingleQuotes(name) => write!(f, "{name} in single quotes"),
            Self::SpacesAroundEquals => f.write_str("spaces around `=`"),
            Self::StrayText => f.write_str("text that belongs to no parameter"),
            Self::StrayComma => f.write_str("comma with nothing beside it"),
            Self::UnquotedValue(name) => write!(f, "unquoted {name}"),
            Self::UnterminatedQuote(name) => write!(f, "no closing quote of {name}"),
        }
    }
}
