//! The files that a configuration names.

use std::{
    cell::RefCell,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use portpass_password::{
    Formats, HtpasswdFile,
    htpasswd::{HtpasswdError, HtpasswdSettings},
};

use super::{
    ConfigError, Located, Location,
    unusable::{Part, Reading, Unusable},
};

/// Reads what a configuration names and says where it was named. Relative paths start at the
/// configuration file's own folder.
#[derive(Debug)]
pub struct Files {
    name: String,
    folder: PathBuf,
    warnings: RefCell<Vec<String>>,
    reading: Reading,
    unusable: RefCell<Vec<Unusable>>,
}

impl Files {
    /// The files of the configuration at `path`.
    pub(crate) fn relative_to(path: &Path) -> Self {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        Self::starting_at(path.display().to_string(), folder)
    }

    /// Without a configuration file, paths (which come from the environment) start here.
    pub(crate) fn without_file() -> Self {
        Self::starting_at("embedded configuration".to_owned(), PathBuf::from("."))
    }

    fn starting_at(name: String, folder: PathBuf) -> Self {
        let (warnings, unusable) = (RefCell::default(), RefCell::default());
        Self { name, folder, warnings, reading: Reading::Strict, unusable }
    }

    /// Says whether what is broken is an error.
    pub(crate) fn with_reading(self, reading: Reading) -> Self {
        Self { reading, ..self }
    }

    /// What could be made of this part; if nothing, and not everything has to be in order, what stands in its place.
    pub(crate) fn usable<T>(
        &self,
        part: Part,
        built: Result<T, ConfigError>,
        in_its_place: impl FnOnce() -> T,
    ) -> Result<T, ConfigError> {
        match (built, self.reading) {
            (Err(error), Reading::Forgiving) => {
                self.unusable.borrow_mut().push(Unusable { part, error });
                Ok(in_its_place())
            }
            (built, _) => built,
        }
    }

    /// Whether this part was found broken.
    pub(crate) fn is_broken(&self, part: Part) -> bool {
        self.unusable.borrow().iter().any(|unusable| unusable.part == part)
    }

    /// What was found broken.
    pub(crate) fn take_unusable(&self) -> Vec<Unusable> {
        self.unusable.take()
    }

    /// The configuration file's name, as it was given.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// An error about the value of `key`, which was given at `place`.
    pub(crate) fn error(
        &self,
        place: &Location,
        key: &str,
        message: impl AsRef<str>,
    ) -> ConfigError {
        let message = format!("{key}: {}", message.as_ref());
        match place {
            Location::Line(line) => ConfigError::at(format!("{}:{line}", self.name), message),
            Location::Variable(name) | Location::Flag(name) => ConfigError::at(name, message),
            Location::Default => ConfigError::at(&self.name, message),
        }
    }

    /// Remembers something about the value of `key` that does not stop the start.
    pub(crate) fn warn(&self, place: &Location, key: &str, message: impl AsRef<str>) {
        let warning = self.error(place, key, message).to_string();
        self.warnings.borrow_mut().push(warning);
    }

    /// What was remembered, in the order it was found.
    pub(crate) fn into_warnings(self) -> Vec<String> {
        self.warnings.into_inner()
    }

    /// Where a path that was given leads.
    pub(crate) fn resolve(&self, path: &Located<PathBuf>) -> PathBuf {
        match path.place {
            Location::Line(_) => self.folder.join(&path.value),
            // What was typed into a shell means what it means there.
            Location::Variable(_) | Location::Flag(_) | Location::Default => path.value.clone(),
        }
    }

    /// The bytes of a file that must be there.
    pub(crate) fn read(&self, key: &str, path: &Located<PathBuf>) -> Result<Vec<u8>, ConfigError> {
        let resolved = self.resolve(path);
        read_limited(&resolved).map_err(|error| {
            let message = format!("cannot read {}: {error}", resolved.display());
            self.with_start_of_paths(path, self.error(&path.place, key, message))
        })
    }

    /// Says where a relative path starts.
    fn with_start_of_paths(&self, path: &Located<PathBuf>, error: ConfigError) -> ConfigError {
        if path.value.is_relative() && matches!(path.place, Location::Line(_)) {
            error.hint(format!("a relative path starts at the folder of {}", self.name))
        } else {
            error
        }
    }

    /// A password file that must be there and make sense; it is opened again for good at the start.
    pub(crate) fn htpasswd(
        &self,
        key: &str,
        path: &Located<PathBuf>,
        formats: Formats,
        part: Part,
    ) -> Result<PathBuf, ConfigError> {
        let resolved = self.resolve(path);
        let settings = HtpasswdSettings { path: resolved.clone(), formats };
        let checked = HtpasswdFile::check(&settings).map_err(|error| {
            let missing = matches!(error, HtpasswdError::Missing { .. });
            let error = self.error(&path.place, key, error.to_string());
            if missing { self.with_start_of_paths(path, error) } else { error }
        });
        let warnings = self.usable(part, checked, Vec::new)?;
        for warning in warnings {
            self.warn(&path.place, key, format!("{}: {warning}", resolved.display()));
        }
        Ok(resolved)
    }

    /// The text of a file that must be there.
    pub(crate) fn read_text(
        &self,
        key: &str,
        path: &Located<PathBuf>,
    ) -> Result<String, ConfigError> {
        String::from_utf8(self.read(key, path)?).map_err(|_| {
            let message = format!("{} is not text", self.resolve(path).display());
            self.error(&path.place, key, message)
                .hint("certificates and keys are expected in PEM form")
        })
    }
}

/// Reads at most [`MAX_FILE`] bytes: what is longer is no key, certificate or configuration.
pub(crate) fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    Ok(bytes)
}

const MAX_FILE: u64 = 16 * 1024 * 1024;
