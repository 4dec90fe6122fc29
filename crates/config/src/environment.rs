//! The process environment, as a value.

use std::{collections::BTreeMap, path::PathBuf};

use super::{ConfigError, ConfigFile, error::nearest, foreign, variables::VARIABLES};

/// The environment: nothing below reads the process's own.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    root: bool,
}

impl Environment {
    /// The variables of this process; names and values that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { variables, root: rustix::process::geteuid().is_root() }
    }

    /// The value of a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Where data lies unless somebody says otherwise: /var/lib/portpass for root, else the XDG data home
    /// (XDG Base Directory Specification: relative values do not count).
    pub fn data_directory(&self) -> Option<PathBuf> {
        if self.root {
            return Some(PathBuf::from("/var/lib/portpass"));
        }
        let absolute =
            |name: &str| self.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home =
            absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))?;
        Some(home.join("portpass"))
    }

    /// Every variable.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Names that look like ours and are in no table: each with what it may have been meant for.
    fn misspelt(&self) -> impl Iterator<Item = String> {
        let known = || {
            VARIABLES.iter().map(|variable| variable.name).chain(BESIDE_THE_TABLE.iter().copied())
        };
        self.variables
            .keys()
            .filter(|name| name.starts_with("PORTPASS_"))
            .filter(move |name| !known().any(|known| known == name.as_str()))
            .filter_map(move |name| {
                let meant = nearest(name, known())?;
                Some(format!(
                    "the environment variable {name} means nothing here; did you mean {meant}?"
                ))
            })
    }
}

impl FromIterator<(String, String)> for Environment {
    /// For tests: not root.
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self { variables: variables.into_iter().collect(), root: false }
    }
}

impl ConfigFile {
    /// Sets every value that the table names and the environment has. Other variables never stop the start:
    /// Kubernetes injects `REGISTRY_PORT=tcp://…`. Gives warnings.
    pub(crate) fn overlay(
        &mut self,
        environment: &Environment,
    ) -> Result<Vec<String>, ConfigError> {
        let mut warnings = Vec::new();
        for variable in VARIABLES {
            // Our own name wins over distribution's.
            for name in variable.registry.into_iter().chain([variable.name]) {
                if let Some(text) = environment.get(name) {
                    let (text, warning) = foreign::as_ours(name, text);
                    warnings.extend(warning);
                    variable.set(self, name, text)?;
                }
            }
        }
        warnings.extend(environment.misspelt());
        let known = |name: &str| VARIABLES.iter().any(|variable| variable.registry == Some(name));
        warnings.extend(foreign::variables_of_distribution(environment, known));
        Ok(warnings)
    }
}

/// Ours too, but read elsewhere.
const BESIDE_THE_TABLE: &[&str] = &["PORTPASS_CONFIG", "PORTPASS_ADMIN_PASSWORD_FILE"];
