//! A secret that was just made, in the forms in which clients take it.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use portpass_protocol::Authority;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

/// A secret that was just made. It is told once and kept nowhere.
#[derive(Debug, Clone)]
pub struct Issued {
    /// What the client gives as user name.
    pub username: String,
    /// What it gives as password.
    pub secret: SecretString,
    /// What is known of its robot or key, without the secret.
    pub(crate) about: Value,
}

impl Issued {
    /// `{"name": …, "username": …, "secret": …}`
    pub fn to_json(&self) -> Value {
        let mut json = self.about.clone();
        json["username"] = self.username.as_str().into();
        json["secret"] = self.secret.expose_secret().into();
        json
    }

    /// The file `config.json` of docker, which podman, skopeo, helm, crane and oras read too.
    pub fn to_docker_config(&self, registry: &Authority) -> Value {
        let pair = format!("{}:{}", self.username, self.secret.expose_secret());
        json!({ "auths": { registry.as_str(): { "auth": BASE64_STANDARD.encode(pair) } } })
    }

    /// A Secret of Kubernetes for `imagePullSecrets`, in YAML.
    pub fn to_kubernetes(&self, registry: &Authority) -> String {
        let name = object_name(&self.username);
        let config = BASE64_STANDARD.encode(self.to_docker_config(registry).to_string());
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\ntype: kubernetes.io/dockerconfigjson\n\
             data:\n  .dockerconfigjson: {config}\n"
        )
    }

    /// Variables, as `--env-file` and CI take them.
    pub fn to_env(&self, registry: Option<&Authority>) -> String {
        let registry = registry.map_or_else(String::new, |host| format!("REGISTRY={host}\n"));
        let (username, secret) = (&self.username, self.secret.expose_secret());
        format!("{registry}REGISTRY_USERNAME={username}\nREGISTRY_PASSWORD={secret}\n")
    }
}

/// Names of accounts may have letters that names of Kubernetes' objects have not (RFC 1123).
fn object_name(username: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = username.chars().map(legal).collect();
    match name.trim_matches('-') {
        "" => "registry".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued(username: &str) -> Issued {
        Issued {
            username: username.to_owned(),
            secret: SecretString::from("ppb_07"),
            about: json!({ "name": "a" }),
        }
    }

    #[test]
    fn a_pull_secret_has_a_name_that_kubernetes_takes_and_a_config_that_docker_reads() {
        let host: Authority = "registry.example.com:5000".parse().unwrap();
        let issued = issued("robot-a.b_c");
        let secret = issued.to_kubernetes(&host);
        assert!(secret.contains("\n  name: robot-a-b-c\n"), "{secret}");
        let config = secret.lines().last().unwrap().rsplit(' ').next().unwrap();
        let config: Value =
            serde_json::from_slice(&BASE64_STANDARD.decode(config).unwrap()).unwrap();
        assert_eq!(config, issued.to_docker_config(&host));
        let auth = config["auths"]["registry.example.com:5000"]["auth"].as_str().unwrap();
        assert_eq!(BASE64_STANDARD.decode(auth).unwrap(), b"robot-a.b_c:ppb_07");
        for (username, name) in [("Ann@x.", "ann-x"), ("анна", "registry")] {
            assert_eq!(object_name(username), name);
        }
    }

    #[test]
    fn variables_need_no_quotes_and_json_has_all() {
        let issued = issued("robot-a");
        assert_eq!(issued.to_env(None), "REGISTRY_USERNAME=robot-a\nREGISTRY_PASSWORD=ppb_07\n");
        let host: Authority = "localhost:5000".parse().unwrap();
        assert!(issued.to_env(Some(&host)).starts_with("REGISTRY=localhost:5000\n"));
        let json = json!({ "name": "a", "username": "robot-a", "secret": "ppb_07" });
        assert_eq!(issued.to_json(), json);
        assert!(!format!("{issued:?}").contains("ppb_07"));
    }
}
