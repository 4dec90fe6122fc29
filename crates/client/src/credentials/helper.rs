//! Docker's credential helpers: programs that keep secrets in a keychain.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use portpass_protocol::error::reported::Reported;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
};

use super::{Credential, CredentialsError, document::quoted};

/// How long a helper may take: it may ask its user to unlock something.
const PATIENCE: Duration = Duration::from_mins(2);
/// More than any answer, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;
/// What stands for the name where the secret is an identity token.
const TOKEN_NAME: &str = "<token>";
/// What every helper says if it has nothing.
const NOT_FOUND: &str = "credentials not found";

/// A helper that is there.
#[derive(Debug)]
pub(super) struct Helper {
    name: String,
    program: PathBuf,
}

impl Helper {
    /// Looks for `docker-credential-NAME`; `named_by` is the file that wants it.
    pub(super) fn find(
        name: &str,
        folders: &[PathBuf],
        named_by: &Path,
    ) -> Result<Self, CredentialsError> {
        let missing = || CredentialsError::HelperMissing {
            helper: name.to_owned(),
            path: named_by.to_owned(),
        };
        // A name with a path in it would start some other program.
        if name.contains(['/', '\0']) {
            return Err(missing());
        }
        let candidates =
            folders.iter().map(|folder| folder.join(format!("docker-credential-{name}")));
        let program =
            candidates.into_iter().find(|program| program.is_file()).ok_or_else(missing)?;
        Ok(Self { name: name.to_owned(), program })
    }

    /// Its name after `docker-credential-`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// What it keeps for a server.
    pub(super) async fn get(&self, server: &str) -> Result<Option<Credential>, CredentialsError> {
        let answer = match self.run("get", &SecretString::from(server)).await? {
            Ok(answer) => answer,
            Err(said) if said.contains(NOT_FOUND) => return Ok(None),
            Err(said) => return Err(self.failed("get", said)),
        };
        let kept: Kept = serde_json::from_str(answer.expose_secret())
            .map_err(|_| self.failed("get", "its response is not the expected JSON".to_owned()))?;
        if kept.secret.expose_secret().is_empty() {
            return Ok(None);
        }
        Ok(Some(if kept.username == TOKEN_NAME {
            Credential::IdentityToken { username: None, token: kept.secret }
        } else {
            Credential::Password { username: kept.username, password: kept.secret }
        }))
    }

    /// Has it keep a credential.
    pub(super) async fn store(
        &self,
        server: &str,
        credential: &Credential,
    ) -> Result<(), CredentialsError> {
        let (name, secret) = match credential {
            Credential::Password { username, password } => (username.as_str(), password),
            Credential::IdentityToken { token, .. } | Credential::RegistryToken(token) => {
                (TOKEN_NAME, token)
            }
        };
        let wanted = format!(
            "{{\"ServerURL\":{},\"Username\":{},\"Secret\":{}}}",
            quoted(server),
            quoted(name),
            quoted(secret.expose_secret())
        );
        self.run("store", &wanted.into())
            .await?
            .map(drop)
            .map_err(|said| self.failed("store", said))
    }

    /// Has it forget; that it never had anything is no failure. Says whether it had.
    pub(super) async fn erase(&self, server: &str) -> Result<bool, CredentialsError> {
        match self.run("erase", &SecretString::from(server)).await? {
            Ok(_) => Ok(true),
            Err(said) if said.contains(NOT_FOUND) => Ok(false),
            Err(said) => Err(self.failed("erase", said)),
        }
    }

    /// Runs it with something on its standard input. What it says on standard output is its answer,
    /// or if it fails the reason.
    async fn run(
        &self,
        action: &'static str,
        input: &SecretString,
    ) -> Result<Result<SecretString, String>, CredentialsError> {
        let exchange = async {
            let mut child = Command::new(&self.program)
                .arg(action)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()?;
            if let Some(mut stdin) = child.stdin.take() {
                // A helper that does not read its input fails by itself, and says why.
                let _ = stdin.write_all(input.expose_secret().as_bytes()).await;
            }
            let mut answer = Vec::new();
            if let Some(stdout) = child.stdout.take() {
                stdout.take(MAX_ANSWER).read_to_end(&mut answer).await?;
            }
            Ok::<_, std::io::Error>((child.wait().await?, answer))
        };
        let (status, answer) = match tokio::time::timeout(PATIENCE, exchange).await {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => return Err(self.failed(action, error.to_string())),
            Err(_) => {
                return Err(self.failed(action, format!("no response in {} s", PATIENCE.as_secs())));
            }
        };
        if !status.success() {
            return Ok(Err(Reported::read(&answer).to_string()));
        }
        match String::from_utf8(answer) {
            Ok(answer) => Ok(Ok(answer.into())),
            Err(_) => Err(self.failed(action, "its response is not text".to_owned())),
        }
    }

    fn failed(&self, action: &'static str, said: String) -> CredentialsError {
        CredentialsError::Helper { helper: self.name.clone(), action, said }
    }
}

/// What a helper answers to `get`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    username: String,
    secret: SecretString,
}
