//! The paths of credential files.

use std::path::PathBuf;

use secrecy::SecretString;

/// The paths of credential files and helpers.
#[derive(Debug, Clone, Default)]
pub struct CredentialPaths {
    /// Docker's file, which is also written to: `$DOCKER_CONFIG/config.json`, else
    /// `~/.docker/config.json`.
    pub docker: Option<PathBuf>,
    /// A docker file's text from the environment, before all files.
    pub docker_auth_config: Option<SecretString>,
    /// Podman's files, in the order in which it reads them.
    pub podman: Vec<PathBuf>,
    /// Folders that credential helpers are looked for in.
    pub helpers: Vec<PathBuf>,
}

impl CredentialPaths {
    /// Reads the environment variables that docker and podman read, through `get`. Empty ones count as unset. Without a
    /// runtime directory, as root and in containers, podman has one by the user's number.
    pub fn from_environment(get: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| get(name).filter(|value| !value.is_empty());
        let path = |name: &str| get(name).map(PathBuf::from);
        let home = path("HOME");
        let in_home = |rest: &str| home.as_ref().map(|home| home.join(rest));
        let docker = path("DOCKER_CONFIG").or_else(|| in_home(".docker"));
        let running = match path("XDG_RUNTIME_DIR") {
            Some(folder) => folder.join("containers"),
            None => PathBuf::from(format!("/run/containers/{}", rustix::process::getuid())),
        };
        let config = path("XDG_CONFIG_HOME").or_else(|| in_home(".config"));
        let podman = match path("REGISTRY_AUTH_FILE") {
            Some(only) => vec![only],
            None => [Some(running), config.map(|folder| folder.join("containers"))]
                .into_iter()
                .flatten()
                .map(|folder| folder.join("auth.json"))
                .collect(),
        };
        let helpers = get("PATH").map(|path| std::env::split_paths(&path).collect());
        Self {
            docker: docker.map(|folder| folder.join("config.json")),
            docker_auth_config: get("DOCKER_AUTH_CONFIG").map(SecretString::from),
            podman,
            helpers: helpers.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(variables: &[(&str, &str)]) -> CredentialPaths {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        CredentialPaths::from_environment(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn files_lie_where_docker_and_podman_put_them() {
        let usual = places(&[
            ("HOME", "/home/ann"),
            ("XDG_RUNTIME_DIR", "/run/user/1000"),
            ("PATH", "/bin:/usr/bin"),
        ]);
        assert_eq!(usual.docker, Some("/home/ann/.docker/config.json".into()));
        let podman =
            ["/run/user/1000/containers/auth.json", "/home/ann/.config/containers/auth.json"];
        assert_eq!(usual.podman, podman.map(PathBuf::from));
        assert_eq!(usual.helpers.len(), 2);

        let moved = places(&[
            ("HOME", "/home/ann"),
            ("DOCKER_CONFIG", "/etc/ci"),
            ("REGISTRY_AUTH_FILE", "/ci/auth.json"),
        ]);
        assert_eq!(moved.docker, Some("/etc/ci/config.json".into()));
        assert_eq!(moved.podman, [PathBuf::from("/ci/auth.json")]);

        let bare = places(&[("HOME", "")]);
        let running = format!("/run/containers/{}/auth.json", rustix::process::getuid());
        assert_eq!((bare.docker, bare.podman), (None, vec![PathBuf::from(running)]));
    }
}
