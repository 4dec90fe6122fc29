//! A registry as its clients are told of it, and images in it.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A registry's address, and what a client needs to speak with it.
#[derive(Debug, Clone)]
pub struct RegistryAddress {
    /// `HOST:PORT`
    pub host: String,
    /// How it is spoken with.
    pub transport: Transport,
}

/// How a registry is spoken with.
#[derive(Debug, Clone)]
pub enum Transport {
    /// HTTP as it is.
    Plain,
    /// HTTPS with a certificate of a private authority.
    Tls {
        /// The folder that has the authority's `ca.crt`.
        authorities: PathBuf,
    },
}

impl RegistryAddress {
    /// Plain HTTP at `HOST:PORT`.
    pub fn plain(host: impl fmt::Display) -> Self {
        Self { host: host.to_string(), transport: Transport::Plain }
    }

    /// HTTPS at `HOST:PORT`; `authorities` is the folder with `ca.crt`.
    pub fn tls(host: impl fmt::Display, authorities: &Path) -> Self {
        let transport = Transport::Tls { authorities: authorities.to_owned() };
        Self { host: host.to_string(), transport }
    }

    /// The image `REPOSITORY:TAG` here.
    pub fn image(&self, name: &str) -> Image {
        Image { place: self.clone(), name: name.to_owned() }
    }

    /// `http://HOST:PORT` or `https://HOST:PORT`
    pub fn url(&self) -> String {
        match self.transport {
            Transport::Plain => format!("http://{}", self.host),
            Transport::Tls { .. } => format!("https://{}", self.host),
        }
    }

    /// `ca.crt`, where there is one.
    pub fn authority(&self) -> Option<PathBuf> {
        match &self.transport {
            Transport::Plain => None,
            Transport::Tls { authorities } => Some(authorities.join("ca.crt")),
        }
    }
}

/// An image, or anything else with a manifest and a tag.
#[derive(Debug, Clone)]
pub struct Image {
    /// The registry that has it.
    pub place: RegistryAddress,
    name: String,
}

impl Image {
    /// The repository's name.
    pub fn repository(&self) -> &str {
        self.name.split_once(':').map_or(&self.name, |(repository, _)| repository)
    }

    /// The tag, `latest` where none was given.
    pub fn tag(&self) -> &str {
        self.name.split_once(':').map_or("latest", |(_, tag)| tag)
    }
}

/// `HOST:PORT/REPOSITORY:TAG`
impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.place.host, self.repository(), self.tag())
    }
}
