//! Whether each server of a directory works, step by step: for whoever sets it up.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, SystemTime},
};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::{net::TcpStream, time::Instant};

use super::{
    Directory, Fault, Login, Person, Refusal,
    connection::Connection,
    entry::Entry,
    fault::name,
    settings::{AccountLookup, Identity, Security, Server, Settings},
};

/// What came of the steps with one server. After one that fails there is no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examination {
    /// Which server.
    pub server: String,
    /// In the order of a login.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was tried.
    pub what: String,
    /// How long it took.
    pub took: Duration,
    /// What came of it, or why it failed.
    pub outcome: Result<String, String>,
}

/// Whose login is tried.
#[derive(Debug, Clone)]
pub struct Examinee {
    /// As it would be typed.
    pub account: String,
    /// Without it, the account is only looked for.
    pub password: Option<SecretString>,
}

/// Does one step after the other with one server.
struct Examiner {
    /// With that server alone.
    directory: Arc<Directory>,
    server: Server,
    steps: Vec<Step>,
}

/// What a step found, and what is told of it; or why the account cannot log in.
type Found<T> = Result<(T, String), String>;

impl Directory {
    /// Tries what a login needs with each server, one after the other.
    pub async fn examine(&self, who: Option<&Examinee>, now: SystemTime) -> Vec<Examination> {
        let mut all = Vec::new();
        for server in &self.settings.servers {
            let alone = Settings { servers: vec![server.clone()], ..self.settings.clone() };
            let directory = Arc::new(Self::new(alone));
            let mut examiner = Examiner { directory, server: server.clone(), steps: Vec::new() };
            let _ = examiner.run(who, now).await;
            all.push(Examination { server: server.to_string(), steps: examiner.steps });
        }
        all
    }
}

impl Examiner {
    /// Nothing where a step fails.
    async fn run(&mut self, who: Option<&Examinee>, now: SystemTime) -> Option<()> {
        self.connect().await?;
        let settings = &self.directory.settings;
        match &settings.accounts {
            AccountLookup::Search { identity, base, .. } => {
                let (identity, base) = (identity.clone(), base.clone());
                self.let_in(&identity).await?;
                let Some(who) = who else { return self.sees(&base).await };
                let entry = self.find(who, &base).await?;
                self.read(&entry, now).await?;
                match &who.password {
                    Some(password) => self.bind(&entry, password).await,
                    None => Some(()),
                }
            }
            AccountLookup::Direct { .. } => match who {
                Some(Examinee { account, password: Some(password) }) => {
                    self.log_in(account, password, now).await
                }
                Some(_) | None => Some(()),
            },
        }
    }

    async fn connect(&mut self) -> Option<()> {
        let (server, limit) = (self.server.clone(), self.directory.settings.timeout);
        self.step("connection", async move {
            let port = match server.security() {
                Security::Tls => 636,
                Security::StartTls | Security::Plaintext => 389,
            };
            let host = server.url().host_str().unwrap_or_default().trim_matches(['[', ']']);
            let address = (host, server.url().port().unwrap_or(port));
            let opened = tokio::time::timeout(limit, TcpStream::connect(address)).await;
            let name = name(&server);
            let Ok(opened) = opened else {
                return Err(Fault::TimedOut { server: name, after: limit });
            };
            let stream = opened
                .map_err(|error| Fault::Unreachable { server: name, reason: error.to_string() })?;
            let peer = stream.peer_addr().map(|address| address.to_string());
            Ok(Ok(((), peer.unwrap_or_default())))
        })
        .await?;
        if self.server.security() == Security::Plaintext {
            return Some(());
        }
        let (server, tls) = (self.server.clone(), Arc::clone(&self.directory.settings.tls));
        self.step("TLS", async move {
            Connection::open(&server, &tls, limit).await?;
            Ok(Ok(((), "the certificate is good".to_owned())))
        })
        .await
    }

    /// The account that searches.
    async fn let_in(&mut self, identity: &Identity) -> Option<()> {
        let Identity::Account { dn, .. } = identity else { return Some(()) };
        let directory = Arc::clone(&self.directory);
        self.step(&format!("bind of {dn}"), async move {
            directory.pool.open_first().await?;
            Ok(Ok(((), "result 0".to_owned())))
        })
        .await
    }

    async fn sees(&mut self, base: &str) -> Option<()> {
        let directory = Arc::clone(&self.directory);
        self.step(&format!("search below {base}"), async move {
            directory.sees_anything(directory.asker()).await?;
            Ok(Ok(((), "there are entries".to_owned())))
        })
        .await
    }

    async fn find(&mut self, who: &Examinee, base: &str) -> Option<Entry> {
        let (directory, account) = (Arc::clone(&self.directory), who.account.clone());
        let base = base.to_owned();
        self.step(&format!("search for {account}"), async move {
            let mut entries = directory.find(&account, directory.asker()).await?;
            Ok(match (entries.pop(), entries.pop()) {
                (None, _) => Err(format!("`filter` finds no entry below {base}")),
                (Some(entry), None) => {
                    let dn = entry.dn.clone();
                    Ok((entry, dn))
                }
                (Some(second), Some(first)) => {
                    let (first, second) = (first.dn, second.dn);
                    Err(Refusal::Ambiguous { first, second }.to_string())
                }
            })
        })
        .await
    }

    /// Its name, its groups and its state.
    async fn read(&mut self, entry: &Entry, now: SystemTime) -> Option<()> {
        let (directory, entry) = (Arc::clone(&self.directory), entry.clone());
        let person = self
            .step("groups", async move {
                let person = directory.read(&entry, directory.asker(), now).await?;
                let told = person.map(|person| {
                    let groups = groups(&person);
                    (person, groups)
                });
                Ok(told.ok_or_else(|| {
                    let attribute = directory.attribute().to_owned();
                    Refusal::Nameless { dn: entry.dn, attribute }.to_string()
                }))
            })
            .await?;
        let name = person.name.clone();
        self.step("account", async move {
            Ok(match person.obstacle {
                Some(obstacle) => Err(obstacle.to_string()),
                None => Ok(((), format!("`{name}`, which may log in"))),
            })
        })
        .await
    }

    async fn bind(&mut self, entry: &Entry, password: &SecretString) -> Option<()> {
        let (directory, dn) = (Arc::clone(&self.directory), entry.dn.clone());
        let password = password.clone();
        self.step("password", async move {
            if password.expose_secret().is_empty() {
                return Ok(Err(Refusal::EmptyPassword.to_string()));
            }
            let (result, _) = directory.asker().bind(&dn, &password).await?;
            let refusal = match result.rc {
                0 => Refusal::beside_success(&result),
                _ => Some(Refusal::of_bind(&result)),
            };
            Ok(match refusal {
                Some(refusal) => Err(refusal.to_string()),
                None => Ok(((), "right".to_owned())),
            })
        })
        .await
    }

    /// Where nobody searches, one step is all.
    async fn log_in(
        &mut self,
        account: &str,
        password: &SecretString,
        now: SystemTime,
    ) -> Option<()> {
        let (directory, typed) = (Arc::clone(&self.directory), account.to_owned());
        let password = password.clone();
        self.step(&format!("login of {account}"), async move {
            Ok(match directory.login(&typed, &password, now).await? {
                Login::Proved(person) => {
                    Ok(((), format!("`{}`, groups: {}", person.name, groups(&person))))
                }
                Login::Refused(refusal) => Err(refusal.to_string()),
                Login::Unknown => Err("nobody has the name".to_owned()),
            })
        })
        .await
    }

    /// Each has the time of a login.
    async fn step<T: Send + 'static>(
        &mut self,
        what: &str,
        asking: impl Future<Output = Result<Found<T>, Fault>> + Send + 'static,
    ) -> Option<T> {
        let began = Instant::now();
        let found = self.directory.in_time(asking).await;
        let took = began.elapsed();
        let (value, outcome) = match found.map_err(|fault| fault.to_string()).flatten() {
            Ok((value, told)) => (Some(value), Ok(told)),
            Err(why) => (None, Err(why)),
        };
        self.steps.push(Step { what: what.to_owned(), took, outcome });
        value
    }
}

fn groups(person: &Person) -> String {
    let names: Vec<_> = person.groups.iter().map(|group| group.name.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
