//! The rules of one file beside those of another.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use portpass_authority::policy::{RuleContext, RuleSet};
use portpass_token::ServiceName;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{
    ConfigError, ConfigFile, Environment, Files, Located, Location, PolicySource, RuleFile,
    RuleFileContent, files::read_limited, policy::PolicySection,
};

/// The rules that a file says or names, and where each stands.
#[derive(Debug)]
pub struct RulesOfFile {
    /// The rules.
    pub rules: Arc<RuleSet>,
    /// The file that they stand in; `None` where nobody wrote them.
    pub file: Option<PathBuf>,
    /// The line of each.
    pub lines: Vec<Option<u64>>,
    /// The services that tokens are for.
    pub services: Vec<ServiceName>,
    /// Whether anybody may ask without credentials.
    pub anonymous: bool,
    /// What does not keep the rules from being used but should be seen.
    pub warnings: Vec<String>,
}

impl RulesOfFile {
    /// Reads a configuration, or a list of rules alone that may refer to what is in `context`. Blocks.
    pub fn read(
        path: &Path,
        context: &RuleContext,
        environment: &Environment,
    ) -> Result<Self, ConfigError> {
        let bytes = read_limited(path).map_err(|error| {
            ConfigError::at(path.display().to_string(), format!("cannot read the file: {error}"))
        })?;
        if is_list(&bytes) {
            let file = RuleFile::new(path.to_owned(), context.clone(), bytes);
            let RuleFileContent { rules, lines, warnings } = file.understand(file.first())?;
            return Ok(Self {
                rules: Arc::new(rules),
                file: Some(path.to_owned()),
                lines,
                services: context.services.clone(),
                anonymous: context.anonymous,
                warnings,
            });
        }
        Self::of_configuration(path, environment)
    }

    fn of_configuration(path: &Path, environment: &Environment) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let mut typed = ConfigFile::read(path)?;
        let mut warnings = typed.apply_environment(environment)?;
        let section = typed.token_service.as_ref().and_then(|typed| typed.value.policy.as_ref());
        let places: Vec<Location> = match section.map(|typed| &typed.value) {
            Some(PolicySection::Rules(rules)) => {
                rules.iter().map(|rule| rule.place.clone()).collect()
            }
            Some(PolicySection::DockerAuth(_)) | None => Vec::new(),
        };
        // Nothing is looked for there.
        typed.data.get_or_insert_with(|| Located::default_value(PathBuf::from(".")));
        let files = Files::relative_to(path);
        let config = typed.build(&files, environment)?;
        let service = config.token_service.ok_or_else(|| {
            ConfigError::at(&name, "this configuration runs no token service, so it has no rules")
        })?;
        warnings.extend(files.into_warnings());
        warnings.extend(config.warnings);
        let (rules, file, lines) = match service.policy {
            PolicySource::Broken => return Err(ConfigError::at(name, "its rules are broken")),
            PolicySource::Rules(rules) => {
                let lines: Vec<Option<u64>> = places.iter().map(Location::line).collect();
                let file = (!lines.is_empty()).then(|| path.to_owned());
                (rules, file, lines)
            }
            PolicySource::RuleFile { file, .. } => {
                let RuleFileContent { rules, lines, .. } = file.understand(file.first())?;
                (Arc::new(rules), Some(file.path().to_owned()), lines)
            }
            PolicySource::DockerAuth { .. } => {
                let error = "its `policy` is an ACL of docker_auth, and only rules can be compared";
                return Err(ConfigError::at(name, error).hint(
                    "write what you expect into a file, and hold both against it with `portpass policy test`",
                ));
            }
        };
        let services = service.services.iter().map(|service| service.name.clone()).collect();
        Ok(Self { rules, file, lines, services, anonymous: service.anonymous, warnings })
    }
}

/// Whether a file is a list: of rules, since a configuration is none.
fn is_list(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    serde_saphyr::from_str::<Shape>(text).is_ok_and(|shape| shape == Shape::List)
}

#[derive(PartialEq, Eq)]
enum Shape {
    List,
    Other,
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list or keys")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Shape::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Shape::Other)
    }
}
