//! An image's name, as people type it.

use std::{fmt, str::FromStr};

use portpass_protocol::{
    Digest, Reference, RepositoryName, Tag, digest::DigestError, name::NameError,
    printable::on_one_line,
};

use crate::host::{Host, HostError};

/// `HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]`, with docker's short forms for Docker Hub: `alpine` is
/// `docker.io/library/alpine`.
///
/// With a tag and a digest, the digest decides what is meant; the tag is for people.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageReference {
    host: Host,
    repository: RepositoryName,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl ImageReference {
    /// A repository of a registry, without a tag or digest.
    pub fn new(host: Host, repository: RepositoryName) -> Self {
        Self { host, repository, tag: None, digest: None }
    }

    /// The registry.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The name within the registry.
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// The tag, where one was typed.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest, where one was typed.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What to ask the registry for: the digest, else the tag; `None` if neither was typed.
    pub fn reference(&self) -> Option<Reference> {
        let tag = || self.tag.clone().map(Reference::Tag);
        self.digest.map(Reference::Digest).or_else(tag)
    }

    /// What to ask the registry for: the digest, else the tag, else the tag `latest`, as docker.
    pub fn reference_or_latest(&self) -> Reference {
        self.reference().unwrap_or_else(|| Reference::Tag(latest()))
    }

    /// The same repository under another tag or digest.
    #[must_use]
    pub fn with(&self, reference: Reference) -> Self {
        let (tag, digest) = match reference {
            Reference::Tag(tag) => (Some(tag), None),
            Reference::Digest(digest) => (None, Some(digest)),
        };
        Self { tag, digest, ..self.clone() }
    }
}

impl FromStr for ImageReference {
    type Err = ImageReferenceError;

    fn from_str(text: &str) -> Result<Self, ImageReferenceError> {
        // As skopeo and regctl write it.
        let text = ["docker://", "reg://"]
            .iter()
            .find_map(|transport| text.strip_prefix(transport))
            .unwrap_or(text);
        if let Some(transport) = transport(text) {
            return Err(ImageReferenceError::Transport { transport });
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(ImageReferenceError::Scheme { scheme: on_one_line(scheme, 32) });
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse()?)),
            None => (text, None),
        };
        // A colon behind the last slash begins a tag; one before it, a port.
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        // Docker Hub has no image with a dot in its name: what stands alone is a registry then.
        if !name.contains('/') && (name.contains('.') || name == "localhost") {
            let host = match tag {
                Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => format!("{name}:{port}"),
                _ => name.to_owned(),
            };
            return Err(ImageReferenceError::NoRepository { host: on_one_line(&host, 64) });
        }
        let tag = match tag {
            Some("") if !name.is_empty() => {
                return Err(ImageReferenceError::NoTag { image: on_one_line(name, 128) });
            }
            tag => tag.map(str::parse).transpose()?,
        };
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if is_host(host) => (host.parse()?, path.to_owned()),
            _ if name.is_empty() => return Err(ImageReferenceError::Empty),
            _ => (docker_hub()?, name.to_owned()),
        };
        if path.is_empty() {
            return Err(ImageReferenceError::NoRepository { host: host.to_string() });
        }
        let short = host.is_docker_hub() && !path.contains('/');
        let repository = if short { format!("library/{path}").parse() } else { path.parse() }?;
        let host = if host.is_docker_hub() { docker_hub()? } else { host };
        Ok(Self { host, repository, tag, digest })
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Why a text names no image. Every variant is a sentence of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageReferenceError {
    /// Behind the `@`.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// Nothing before the tag or digest.
    #[error("an image needs a name, as in `registry.example.com/team/app:1.0`")]
    Empty,
    /// Before the first slash.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The repository or the tag.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A registry alone.
    #[error("{host} is a registry; an image also needs a repository, as in `{host}/team/app`")]
    NoRepository {
        /// As typed.
        host: String,
    },
    /// A colon without a tag behind it.
    #[error("the tag after the colon of `{image}:` is missing")]
    NoTag {
        /// The part before the colon.
        image: String,
    },
    /// A place that is not in a registry, by the word that skopeo and regctl have for it.
    #[error("`{}:` is not an image in a registry{}", transport.0, transport.1)]
    Transport {
        /// The word, and what to do about it.
        transport: (&'static str, &'static str),
    },
    /// A URL.
    #[error("write an image without {scheme}://, as in `registry.example.com/team/app:1.0`")]
    Scheme {
        /// The part before `://`.
        scheme: String,
    },
}

/// Whether the first component is a registry, as docker decides it: it has a dot, a port or upper
/// case, or is `localhost`.
fn is_host(first: &str) -> bool {
    first == "localhost"
        || first.contains(['.', ':', '['])
        || first.contains(|c: char| c.is_ascii_uppercase())
}

/// A word before the first colon that means no registry, and what to do about it.
fn transport(text: &str) -> Option<(&'static str, &'static str)> {
    let (word, _) = text.split_once(':')?;
    TRANSPORTS.iter().find(|(transport, _)| *transport == word).copied()
}

/// The transports of skopeo and regctl that lead to no registry.
const TRANSPORTS: &[(&str, &str)] = &[
    (
        "containers-storage",
        "; `podman save --format docker-archive -o FILE IMAGE` writes an archive for `docker-archive:FILE`",
    ),
    ("dir", ", but a folder on this machine"),
    ("docker-archive", ", but a file on this machine"),
    ("docker-daemon", "; `docker save -o FILE IMAGE` writes an archive for `docker-archive:FILE`"),
    ("oci", ", but a folder on this machine"),
    ("oci-archive", ", but a file on this machine"),
    ("ocidir", ", but a folder on this machine, `oci:FOLDER`"),
    ("ostree", "; `skopeo copy` can write it to a folder for `oci:FOLDER`"),
    ("sif", "; `skopeo copy` can write it to a folder for `oci:FOLDER`"),
    ("tarball", "; `skopeo copy` can write it to a folder for `oci:FOLDER`"),
];

fn docker_hub() -> Result<Host, HostError> {
    "docker.io".parse()
}

fn latest() -> Tag {
    "latest".parse().unwrap_or_else(|_| unreachable!("`latest` is a tag"))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn images_are_named_as_docker_names_them() {
        for (typed, meant) in [
            ("alpine", "docker.io/library/alpine"),
            ("alpine:3.20", "docker.io/library/alpine:3.20"),
            ("docker.io/alpine", "docker.io/library/alpine"),
            ("index.docker.io/alpine", "docker.io/library/alpine"),
            ("team/app", "docker.io/team/app"),
            ("localhost/app", "localhost/app"),
            ("localhost:5000/app:v1", "localhost:5000/app:v1"),
            ("[::1]:5000/app:v1", "[::1]:5000/app:v1"),
            ("registry.example.com/a/b/c", "registry.example.com/a/b/c"),
            ("127.0.0.1:5000/team/app:v1", "127.0.0.1:5000/team/app:v1"),
            ("MyRegistry/app", "MyRegistry/app"),
        ] {
            let image: ImageReference = typed.parse().unwrap_or_else(|e| panic!("{typed}: {e}"));
            assert_eq!(image.to_string(), meant, "{typed}");
            assert_eq!(meant.parse::<ImageReference>().unwrap(), image);
            let pinned = format!("{typed}@{DIGEST}");
            let pinned: ImageReference = pinned.parse().unwrap();
            assert_eq!(pinned.reference().unwrap().to_string(), DIGEST);
            assert_eq!(pinned.tag(), image.tag());
        }
    }

    #[test]
    fn what_is_asked_for_is_the_digest_then_the_tag_then_latest() {
        let image: ImageReference = "team/app".parse().unwrap();
        assert_eq!(image.reference(), None);
        assert_eq!(image.reference_or_latest().to_string(), "latest");
        let tagged = image.with("v1".parse().unwrap());
        assert_eq!(tagged.reference_or_latest().to_string(), "v1");
        assert_eq!(
            tagged.with(DIGEST.parse().unwrap()).to_string(),
            format!("docker.io/team/app@{DIGEST}")
        );
    }

    #[test]
    fn what_is_typed_moves_no_cursor_when_it_is_refused() {
        for typed in
            ["\u{1b}[2Jhttps://r.example/app", "a\rb://", "r.example/a\u{7}pp", "a:\u{8}", "a\n@x"]
        {
            let said = typed.parse::<ImageReference>().unwrap_err().to_string();
            assert!(!said.contains(char::is_control), "{said:?}");
        }
    }

    #[test]
    fn what_names_no_image_is_told_why() {
        let said: Vec<String> = [
            "",
            ":v1",
            "registry.example.com/",
            "registry.example.com:5000/:v1",
            "https://registry.example.com/team/app",
            "registry.example.com/Team/app",
            "registry.example.com/team/app:-1",
            "registry.example.com/team/app:",
            "registry.example.com/team/app@sha256:abc",
            "registry.example.com/team/app@md5:abc",
            "registry.example.com/../../etc/passwd",
            "registry.example.com/team//app",
            "user@registry.example.com/app",
            "registry.example.com:99999999/app",
        ]
        .into_iter()
        .map(|typed| match typed.parse::<ImageReference>() {
            Ok(image) => panic!("{typed} is {image:?}"),
            Err(error) => error.to_string(),
        })
        .collect();
        assert_snapshot!(said.join("\n"), @r#"
        an image needs a name, as in `registry.example.com/team/app:1.0`
        an image needs a name, as in `registry.example.com/team/app:1.0`
        registry.example.com is a registry; an image also needs a repository, as in `registry.example.com/team/app`
        registry.example.com:5000 is a registry; an image also needs a repository, as in `registry.example.com:5000/team/app`
        write an image without https://, as in `registry.example.com/team/app:1.0`
        repository name component "Team" must be lower-case letters and digits, joined by `.`, `_`, `__` or dashes
        tag "-1" must be 1 to 128 letters, digits, `_`, `.` and `-`, and begin with none of the last two
        the tag after the colon of `registry.example.com/team/app:` is missing
        "sha256:abc" is not a digest; a digest is `sha256:` and 64 lower-case hex digits, or `sha512:` and 128
        digest algorithm "md5" is not supported; `sha256` and `sha512` are
        repository name component ".." must be lower-case letters and digits, joined by `.`, `_`, `__` or dashes
        repository name component "" must be lower-case letters and digits, joined by `.`, `_`, `__` or dashes
        "registry.example.com/app" is not a digest; a digest is `sha256:` and 64 lower-case hex digits, or `sha512:` and 128
        "registry.example.com:99999999" is not a registry; write its host and port, as in `registry.example.com:5000`
        "#);
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_written_as_it_was_read(
            text in "(\\PC|docker\\.io|index\\.docker\\.io|localhost|:5000|/|:|@|sha256:|\\.\\.|[a-z]{1,4}){0,12}",
        ) {
            if let Ok(image) = text.parse::<ImageReference>() {
                prop_assert_eq!(image.to_string().parse::<ImageReference>(), Ok(image));
            }
        }

        #[test]
        fn a_legal_name_is_taken_word_for_word(
            host in "(localhost|[a-z]{1,6}\\.[a-z]{1,6}|\\[::1\\])(:[1-9][0-9]{0,3})?",
            repository in "[a-z0-9]{1,6}([._-][a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,6}){1,2}",
            tag in "(:[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,10})?",
        ) {
            let text = format!("{host}/{repository}{tag}");
            let image: ImageReference = text.parse().unwrap();
            prop_assert_eq!(image.to_string(), text);
            prop_assert_eq!(image.repository().as_str(), repository);
        }
    }
}
