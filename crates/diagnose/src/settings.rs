//! What the registry is set up with, as far as somebody has given it: single values, or the `auth.token`
//! of its configuration file, distribution's or ours.

use std::{io, path::Path};

use portpass_client::trust::read_limited;
use portpass_jose::json::Value;
use serde_saphyr::Error as YamlError;

use super::{InputFile, Inputs};

/// What a registry compares tokens with.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    /// Must be `iss`.
    pub(super) issuer: Option<String>,
    /// Must be `aud`.
    pub(super) service: Option<String>,
    /// Certificates that it trusts.
    pub(super) bundle: Option<InputFile>,
    /// Keys that it trusts.
    pub(super) jwks: Option<InputFile>,
    /// `signingalgorithms`, as it stands there.
    pub(super) algorithms: Option<Value>,
    /// What the configuration does not tell, and why.
    pub(super) doubts: Vec<String>,
}

impl Settings {
    /// Takes what was given by itself; what was not, from the configuration file.
    pub(super) async fn of(inputs: Inputs) -> Self {
        let read = tokio::task::spawn_blocking(move || Self::read(&inputs));
        read.await.unwrap_or_default()
    }

    fn read(inputs: &Inputs) -> Self {
        let mut settings = Self::default();
        if let Some(file) = &inputs.registry_config {
            settings.configure(file);
        }
        let Inputs { issuer, service, bundle, jwks, .. } = inputs.clone();
        settings.issuer = issuer.or(settings.issuer);
        settings.service = service.or(settings.service);
        settings.bundle = bundle.or(settings.bundle);
        settings.jwks = jwks.or(settings.jwks);
        settings
    }

    fn configure(&mut self, file: &InputFile) {
        let name = file.path.display();
        let root = match &file.content {
            Ok(bytes) => serde_saphyr::from_slice::<Value>(bytes).map_err(|error| in_words(&error)),
            Err(error) => Err(error.clone()),
        };
        let root = match root {
            Ok(root) => root,
            Err(error) => {
                let error: String = error.lines().take(1).collect();
                return self.doubts.push(format!("{name} cannot be read: {error}"));
            }
        };
        // Distribution's stands at the top, ours below `registry`.
        let places = ["/auth/token", "/registry/auth/token"];
        let Some(token) = places.iter().find_map(|place| root.pointer(place)) else {
            self.issuer = root.pointer("/token_service/issuer").and_then(text);
            return self.doubts.push(format!("{name} has no `auth: token:`"));
        };
        let member = |key: &str| token.get(key).and_then(text);
        (self.issuer, self.service) = (member("issuer"), member("service"));
        self.algorithms = token.get("signingalgorithms").cloned();
        self.bundle = member("rootcertbundle").and_then(|path| self.beside(&file.path, &path));
        self.jwks = member("jwks").and_then(|path| self.beside(&file.path, &path));
    }

    /// A file that a configuration names. One that is not here may well be where the registry runs.
    fn beside(&mut self, file: &Path, path: &str) -> Option<InputFile> {
        let path = file.parent().unwrap_or(Path::new("")).join(path);
        // Nobody has typed this path: a pipe would be waited for, and a device may do what it likes.
        let is_file = std::fs::metadata(&path).map(|metadata| metadata.is_file());
        let read = is_file.and_then(|is_file| {
            if is_file { read_limited(&path) } else { Err(io::Error::other("it is not a file")) }
        });
        match read {
            Ok(bytes) => Some(InputFile { path, content: Ok(bytes.into()) }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let path = path.display();
                self.doubts.push(format!(
                    "{path} is not on this machine; copy it here and give it with --bundle or --jwks"
                ));
                None
            }
            Err(error) => Some(InputFile { path, content: Err(error.to_string()) }),
        }
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The reader's own words for it name functions of its library.
fn in_words(error: &YamlError) -> String {
    match error.without_snippet() {
        YamlError::MultipleDocuments { .. } => "it has more than one YAML document".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LocalInputs;

    fn read(yaml: &str, files: &[&str]) -> Settings {
        let folder = tempfile::tempdir().unwrap();
        for name in files {
            std::fs::write(folder.path().join(name), *name).unwrap();
        }
        let path = folder.path().join("config.yml");
        std::fs::write(&path, yaml).unwrap();
        let mut inputs = Inputs::none(LocalInputs::default());
        inputs.registry_config = Some(InputFile::read(path));
        Settings::read(&inputs)
    }

    #[test]
    fn both_registries_configurations_are_read_and_paths_are_beside_them() {
        let token =
            "token: { realm: r, service: s, issuer: i, rootcertbundle: b.pem, jwks: k.json }";
        for yaml in [format!("auth:\n  {token}\n"), format!("registry:\n  auth:\n    {token}\n")] {
            let settings = read(&yaml, &["b.pem"]);
            assert_eq!(settings.issuer.as_deref(), Some("i"), "{yaml}");
            assert_eq!(settings.service.as_deref(), Some("s"));
            assert_eq!(&*settings.bundle.unwrap().content.unwrap(), b"b.pem");
            assert!(settings.jwks.is_none());
            assert!(settings.doubts[0].contains("k.json is not on this machine"), "{yaml}");
        }
        assert!(read("a: [", &[]).doubts[0].contains("cannot be read"));
        assert!(read("auth: { htpasswd: {} }", &[]).doubts[0].contains("has no `auth: token:`"));
    }

    #[test]
    fn no_device_is_read_for_a_configuration() {
        let settings = read("auth: { token: { rootcertbundle: /dev/zero } }", &[]);
        assert_eq!(settings.bundle.unwrap().content.unwrap_err(), "it is not a file");
    }

    #[test]
    fn what_is_given_by_itself_wins() {
        let mut inputs = Inputs::none(LocalInputs::default());
        inputs.issuer = Some("given".to_owned());
        inputs.registry_config = Some(InputFile {
            path: "config.yml".into(),
            content: Ok(b"auth: { token: { issuer: written, service: s } }".as_slice().into()),
        });
        let settings = Settings::read(&inputs);
        assert_eq!(settings.issuer.as_deref(), Some("given"));
        assert_eq!(settings.service.as_deref(), Some("s"));
    }

    #[test]
    fn two_documents_in_one_file_are_called_so() {
        let settings = read("auth: { token: { issuer: i } }\n---\nauth: {}\n", &[]);
        assert_eq!(settings.doubts.len(), 1);
        assert!(
            settings.doubts[0].ends_with("cannot be read: it has more than one YAML document"),
            "{:?}",
            settings.doubts
        );
    }
}
