//! The process environment, as a value.

use std::{collections::BTreeMap, path::PathBuf};

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
}

impl FromIterator<(String, String)> for Environment {
    /// For tests: not root.
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self { variables: variables.into_iter().collect(), root: false }
    }
}
