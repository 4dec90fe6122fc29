//! What the commands that speak with a registry have in common.

use std::{path::PathBuf, sync::Arc};

use clap::{ArgAction, Args};
use portpass_client::{
    Host, Registry, Session, SystemClock, Transport,
    credentials::{CredentialFiles, CredentialPaths},
    registry, session,
    tokens::IssuedToken,
    transport::{CertificatePaths, Settings, danger::Verification},
};

use super::Context;
use crate::{failure::Failure, printer::Printer};

/// How to speak with a registry.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    /// Use plain HTTP with a registry on another machine; credentials are not encrypted
    #[arg(long)]
    pub(super) plain_http: bool,
    /// A file of certificates (PEM) to trust beside the system's
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// Check the registry's certificate; with `false`, an attacker on the network can read passwords and tokens
    #[arg(
        long,
        value_name = "BOOL",
        default_value_t = true,
        action = ArgAction::Set,
        hide_default_value = true
    )]
    pub(super) tls_verify: bool,
}

impl Connection {
    /// The registry, with the credentials that docker and podman keep.
    pub(crate) fn registry(
        &self,
        host: Host,
        context: &Context,
    ) -> Result<(Registry, Arc<CredentialFiles>), Failure> {
        self.warn(&host, context)?;
        let environment = |name: &str| context.environment.get(name).map(str::to_owned);
        let settings = self.settings(&host, environment)?;
        for fault in &settings.passed_over {
            context.printer.warning(format_args!("{fault}"));
        }
        let places = CredentialPaths::from_environment(environment);
        let files = Arc::new(CredentialFiles::new(places));
        let transport = Arc::new(Transport::new(settings));
        let registry =
            Registry::new(host, transport, Arc::clone(&files) as _, Arc::new(SystemClock));
        Ok((registry, files))
    }

    /// Refuses what contradicts itself, and says what is dangerous.
    pub(super) fn warn(&self, host: &Host, context: &Context) -> Result<(), Failure> {
        if self.plain_http && host.demands_tls() {
            return Err(Failure::usage(format!(
                "https://{host} means TLS and --plain-http means none; leave one of them out"
            )));
        }
        if self.verification() == Verification::None {
            context.printer.warning(format_args!(
                "the certificate of {host} is not checked: an attacker on the network can read passwords and tokens"
            ));
        }
        Ok(())
    }

    /// Whether certificates are checked.
    pub(super) fn verification(&self) -> Verification {
        if self.tls_verify { Verification::Full } else { Verification::None }
    }

    /// The same to work with: its repositories, tags and content.
    pub(crate) fn session(&self, host: Host, context: &Context) -> Result<Arc<Session>, Failure> {
        let (registry, _) = self.registry(host, context)?;
        Ok(Arc::new(Session::new(registry)))
    }

    fn settings(
        &self,
        host: &Host,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Settings, Failure> {
        let verification = self.verification();
        let plain_http = self.plain_http;
        let mut settings = Settings { plain_http, verification, ..Settings::default() };
        if let Some(file) = &self.ca {
            settings.trust_file(file)?;
        }
        settings.trust_certs_d(host, &CertificatePaths::from_environment(environment))?;
        Ok(settings)
    }
}

/// A failure with what may help against it.
pub(crate) fn explained(error: impl Into<registry::Error>) -> Failure {
    explained_operation(session::Error::from(error.into()))
}

/// The same, for what was asked of a registry beyond logging in.
#[expect(clippy::needless_pass_by_value, reason = "it is the end of the error, as for `map_err`")]
pub(crate) fn explained_operation(error: session::Error) -> Failure {
    error.hints().into_iter().fold(Failure::new(error.to_string()), Failure::hint)
}

/// Warns of what is odd about a token service's answer and whom it locks out.
pub(crate) fn warn_of_oddities(printer: &Printer, issued: &IssuedToken) {
    for oddity in &issued.oddities {
        let breaks: Vec<&str> = oddity.breaks().iter().map(|peer| peer.as_str()).collect();
        if !breaks.is_empty() {
            printer.warning(format_args!(
                "the token service's answer: {oddity}; that breaks {}",
                breaks.join(", ")
            ));
        }
    }
}
