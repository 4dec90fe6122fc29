//! The two ends of `copy`: an image, or every repository below a name.

use std::{fmt, str::FromStr};

use portpass_client::{
    Host, ImageReference, Location, NameError, RepositoryName, host::HostError,
    location::LocationError, reference::ImageReferenceError,
};

/// One end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// An image, or a repository or folder of images.
    Image(Location),
    /// `HOST[:PORT][/PREFIX]/`: repositories of a registry.
    Registry(Prefix),
}

/// All repositories of a registry, or those that are called so and those below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prefix {
    pub(super) host: Host,
    pub(super) path: Option<RepositoryName>,
}

impl Prefix {
    /// What is left of a repository's name below this one; `None` if it is elsewhere.
    pub(super) fn rest<'a>(&self, repository: &'a RepositoryName) -> Option<&'a str> {
        let name = repository.as_str();
        match &self.path {
            None => Some(name),
            Some(path) => {
                let rest = name.strip_prefix(path.as_str())?;
                if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
            }
        }
    }

    /// The repository of that name below this one; `None` if that is no name.
    pub(super) fn join(&self, rest: &str) -> Option<RepositoryName> {
        match (&self.path, rest) {
            (None, "") => None,
            (None, rest) => rest.parse().ok(),
            (Some(path), "") => Some(path.clone()),
            (Some(path), rest) => format!("{path}/{rest}").parse().ok(),
        }
    }

    /// A repository as people write it.
    pub(super) fn image(&self, repository: RepositoryName) -> ImageReference {
        ImageReference::new(self.host.clone(), repository)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.host)?;
        self.path.as_ref().map_or(Ok(()), |path| write!(f, "{path}/"))
    }
}

impl Place {
    /// The same end as the repositories of a registry: who says `--recursive` need not write the slash.
    pub(super) fn into_prefix(self) -> Result<Prefix, String> {
        match self {
            Self::Registry(prefix) => Ok(prefix),
            Self::Image(Location::Registry(image)) if image.reference().is_none() => {
                let path = Some(image.repository().clone());
                Ok(Prefix { host: image.host().clone(), path })
            }
            Self::Image(other) => Err(other.to_string()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(location) => location.fmt(f),
            Self::Registry(prefix) => prefix.fmt(f),
        }
    }
}

impl FromStr for Place {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let image = |error: HostError| LocationError::Image(error.into());
        let typed = text.strip_prefix("docker://").unwrap_or(text);
        let is_local = typed.starts_with(['.', '/', '~']) || typed.contains("://");
        if let Some(below) = typed.strip_suffix('/').filter(|_| !is_local) {
            let Some((host, path)) = below.split_once('/') else {
                return Ok(Self::Registry(Prefix {
                    host: below.parse().map_err(image)?,
                    path: None,
                }));
            };
            let path =
                path.parse().map_err(|error: NameError| LocationError::Image(error.into()))?;
            let host = host.parse().map_err(image)?;
            return Ok(Self::Registry(Prefix { host, path: Some(path) }));
        }
        match text.parse() {
            Ok(location) => Ok(Self::Image(location)),
            // A registry alone is all that it has.
            Err(LocationError::Image(ImageReferenceError::NoRepository { .. })) => {
                Ok(Self::Registry(Prefix { host: typed.parse().map_err(image)?, path: None }))
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_at_the_end_means_all_below() {
        for (typed, host, path) in [
            ("127.0.0.1:5000/", "127.0.0.1:5000", None),
            ("127.0.0.1:5000", "127.0.0.1:5000", None),
            ("docker://127.0.0.1:5000/", "127.0.0.1:5000", None),
            ("r.example.com/team/", "r.example.com", Some("team")),
            ("r.example.com/team/sub/", "r.example.com", Some("team/sub")),
        ] {
            let Ok(Place::Registry(prefix)) = typed.parse() else { panic!("{typed}") };
            assert_eq!(prefix.host.to_string(), host);
            assert_eq!(prefix.path.as_ref().map(RepositoryName::as_str), path);
        }
        assert!(matches!("r.example.com/team".parse(), Ok(Place::Image(_))));
        for wrong in ["./folder/", "r.example.com/Team/", "r.example.com/../", "/"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_move_from_one_prefix_to_the_other() {
        let prefix = |text: &str| match text.parse() {
            Ok(Place::Registry(prefix)) => prefix,
            other => panic!("{text}: {other:?}"),
        };
        for (from, name, to, there) in [
            ("a.example/", "team/app", "b.example/", Some("team/app")),
            ("a.example/", "app", "b.example/mirror/", Some("mirror/app")),
            ("a.example/team/", "team/app", "b.example/", Some("app")),
            ("a.example/team/", "team", "b.example/", None),
            ("a.example/team/", "team", "b.example/other/", Some("other")),
            ("a.example/team/", "teams/app", "b.example/", None),
        ] {
            let name = name.parse().unwrap();
            let moved = prefix(from).rest(&name).and_then(|rest| prefix(to).join(rest));
            assert_eq!(moved.as_ref().map(RepositoryName::as_str), there, "{from} {name} {to}");
        }
    }
}
