//! Files that a policy stands in alone, and is read from again when they change: `token_service.policy_file` and
//! docker_auth's own.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use portpass_authority::policy::{Policy, RuleContext, RuleSet};

use super::{RuleSection, understand};
use crate::{
    AclFile, AclFileContent, ConfigError, Files, Located, files::read_limited, type_error::Key,
};

/// A file that holds nothing but rules, and what they may refer to.
#[derive(Clone, Debug)]
pub struct RuleFile {
    path: PathBuf,
    context: RuleContext,
    first: Arc<[u8]>,
}

/// What a rule file says.
#[derive(Debug)]
pub struct RuleFileContent {
    /// The rules.
    pub rules: RuleSet,
    /// The line of each.
    pub lines: Vec<Option<u64>>,
    /// What does not keep them from being used but should be seen.
    pub warnings: Vec<String>,
}

impl RuleFile {
    pub(crate) fn new(path: PathBuf, context: RuleContext, first: Vec<u8>) -> Self {
        Self { path, context, first: first.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it held when the configuration was read.
    pub fn first(&self) -> &[u8] {
        &self.first
    }

    /// What it holds now. Blocks.
    pub fn read(&self) -> Result<Vec<u8>, ConfigError> {
        read_limited(&self.path).map_err(|error| {
            ConfigError::at(
                self.path.display().to_string(),
                format!("cannot read the rules: {error}"),
            )
        })
    }

    /// Understands what was read from it: all of it, or the first mistake with its line.
    pub fn understand(&self, bytes: &[u8]) -> Result<RuleFileContent, ConfigError> {
        let name = self.path.display().to_string();
        let text = std::str::from_utf8(bytes)
            .map_err(|_| ConfigError::at(&name, "the file is not UTF-8 text"))?;
        let files = Files::relative_to(&self.path);
        let rules = parse(&name, text)?;
        let lines = rules.iter().map(|rule| rule.place.line()).collect();
        let rules = understand(rules, |rule| rule.to_string(), &self.context, &files)?;
        Ok(RuleFileContent { rules, lines, warnings: files.into_warnings() })
    }
}

/// A file that the policy stands in.
#[derive(Clone, Debug)]
pub enum PolicyFile {
    /// Rules.
    Rules(RuleFile),
    /// The ACL of docker_auth.
    DockerAuth(AclFile),
}

/// What such a file says.
#[derive(Debug)]
pub struct PolicyFileContent {
    /// What decides.
    pub policy: Arc<dyn Policy>,
    /// How many rules or entries there are.
    pub rules: usize,
    /// What does not keep it from being used but should be seen.
    pub warnings: Vec<String>,
}

impl PolicyFile {
    /// Where it is.
    pub fn path(&self) -> &Path {
        match self {
            Self::Rules(file) => file.path(),
            Self::DockerAuth(file) => file.path(),
        }
    }

    /// What it held when the configuration was read.
    pub fn first(&self) -> &[u8] {
        match self {
            Self::Rules(file) => file.first(),
            Self::DockerAuth(file) => file.first(),
        }
    }

    /// What it holds now. Blocks.
    pub fn read(&self) -> Result<Vec<u8>, ConfigError> {
        match self {
            Self::Rules(file) => file.read(),
            Self::DockerAuth(file) => file.read(),
        }
    }

    /// Understands what was read from it: all of it, or the first mistake with its line.
    pub fn understand(&self, bytes: &[u8]) -> Result<PolicyFileContent, ConfigError> {
        match self {
            Self::Rules(file) => {
                let RuleFileContent { rules, warnings, .. } = file.understand(bytes)?;
                let count = rules.rules().len();
                Ok(PolicyFileContent { policy: Arc::new(rules), rules: count, warnings })
            }
            Self::DockerAuth(file) => {
                let AclFileContent { acl, warnings } = file.understand(bytes)?;
                let count = acl.len();
                Ok(PolicyFileContent { policy: Arc::new(acl), rules: count, warnings })
            }
        }
    }
}

/// A list of rules, as below `token_service.policy`.
fn parse(name: &str, text: &str) -> Result<Vec<Located<RuleSection>>, ConfigError> {
    let mut key = Key::whole("the file");
    let typed = serde_saphyr::with_deserializer_from_str(text, |yaml| {
        serde_path_to_error::deserialize(yaml).map_err(|error| {
            key = Key::below("token_service.policy", error.path());
            error.into_inner()
        })
    });
    let typed: Option<Vec<Located<RuleSection>>> =
        typed.map_err(|error| ConfigError::from_yaml(name, &key, &error))?;
    // Half a file is no rules, and an empty one is the beginning of one.
    typed.ok_or_else(|| {
        ConfigError::at(name, "the file has no rules").hint("write `[]` if nobody may do anything")
    })
}
