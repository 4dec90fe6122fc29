//! The configuration: what was typed, and what it means.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

mod error;

pub use error::ConfigError;

/// What the command line says about where the configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config`: the configuration file; without one, the embedded default.
    pub config: Option<PathBuf>,
    /// `--data`: the data directory; wins over file and environment.
    pub data: Option<PathBuf>,
    /// `--addr`: `http.addr`; wins over file and environment.
    pub addr: Option<SocketAddr>,
}

/// The environment, as a value: nothing below reads the process's own.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// The variables of this process; names and values that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self { variables: variables.into_iter().collect() }
    }
}
