//! Variables of the environment, set over what the file says.

use super::{ConfigError, ConfigFile, Environment, error::nearest, foreign, variables};

impl ConfigFile {
    /// Sets every value that the table names and the environment has. Other variables never stop the start:
    /// Kubernetes injects `REGISTRY_PORT=tcp://…`. Gives warnings.
    pub(crate) fn apply_environment(
        &mut self,
        environment: &Environment,
    ) -> Result<Vec<String>, ConfigError> {
        let mut warnings = Vec::new();
        for variable in variables::all() {
            // Our own name wins over distribution's.
            for name in variable.registry.into_iter().chain([variable.name]) {
                if let Some(text) = environment.get(name) {
                    let (text, warning) = foreign::translated(name, text);
                    warnings.extend(warning);
                    variable.set(self, name, text)?;
                }
            }
        }
        warnings.extend(misspelled(environment));
        let known = |name: &str| variables::all().any(|variable| variable.registry == Some(name));
        warnings.extend(foreign::variables_of_distribution(environment, known));
        Ok(warnings)
    }
}

/// Names that look like ours and are in no table: each with what it may have been meant for.
fn misspelled(environment: &Environment) -> impl Iterator<Item = String> {
    let known =
        || variables::all().map(|variable| variable.name).chain(BESIDE_THE_TABLE.iter().copied());
    environment
        .iter()
        .map(|(name, _)| name)
        .filter(|name| name.starts_with("PORTPASS_"))
        .filter(move |name| !known().any(|known| known == *name))
        .filter_map(move |name| {
            let meant = nearest(name, known())?;
            Some(format!("the environment variable {name} is unknown; did you mean {meant}?"))
        })
}

/// Ours too, but read elsewhere.
const BESIDE_THE_TABLE: &[&str] = &["PORTPASS_CONFIG", "PORTPASS_ADMIN_PASSWORD_FILE"];
