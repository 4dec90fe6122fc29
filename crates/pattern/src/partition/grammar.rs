//! What the name of a repository can be in a token request: a path, or a path behind a host.

/// The beginning of a name, as far as what may follow depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Name {
    path: Option<Path>,
    host: Option<Host>,
}

/// Components of lower-case letters and digits, joined by `.`, `_`, `__` or dashes (OCI distribution specification,
/// "Pulling manifests").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Path {
    Start,
    Letter,
    Dot,
    Underscore,
    Underscores,
    Dash,
}

/// `hostcomponent *("." hostcomponent) [":" port]` (SC2)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Host {
    Start,
    Letter,
    Dash,
    Colon,
    Port,
}

impl Name {
    pub(super) fn start() -> Self {
        Self { path: Some(Path::Start), host: Some(Host::Start) }
    }

    pub(super) fn is_whole(self) -> bool {
        self.path == Some(Path::Letter)
    }

    /// The beginning with one more character; `None` where no name begins so.
    pub(super) fn followed_by(self, c: char) -> Option<Self> {
        let is_behind_host = c == '/' && matches!(self.host, Some(Host::Letter | Host::Port));
        let path = if is_behind_host {
            Some(Path::Start)
        } else {
            self.path.and_then(|path| path.followed_by(c))
        };
        let host = self.host.and_then(|host| host.followed_by(c));
        (path.is_some() || host.is_some()).then_some(Self { path, host })
    }
}

impl Path {
    fn followed_by(self, c: char) -> Option<Self> {
        match (self, c) {
            (_, 'a'..='z' | '0'..='9') => Some(Self::Letter),
            (Self::Letter, '/') => Some(Self::Start),
            (Self::Letter, '.') => Some(Self::Dot),
            (Self::Letter, '_') => Some(Self::Underscore),
            (Self::Underscore, '_') => Some(Self::Underscores),
            (Self::Letter | Self::Dash, '-') => Some(Self::Dash),
            _ => None,
        }
    }
}

impl Host {
    fn followed_by(self, c: char) -> Option<Self> {
        match (self, c) {
            (Self::Colon | Self::Port, '0'..='9') => Some(Self::Port),
            (Self::Colon | Self::Port, _) => None,
            (_, 'a'..='z' | 'A'..='Z' | '0'..='9') => Some(Self::Letter),
            (Self::Letter, '.') => Some(Self::Start),
            (Self::Letter, ':') => Some(Self::Colon),
            (Self::Letter | Self::Dash, '-') => Some(Self::Dash),
            _ => None,
        }
    }
}
