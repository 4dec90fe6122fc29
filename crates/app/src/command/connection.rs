//! What the commands that speak with a registry have in common.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use portpass_client::{
    Host, Registry, SystemClock, Transport,
    credentials::{Files, Places},
    registry::Error,
    tokens::Issued,
    transport::Settings,
};

use super::Context;
use crate::{failure::Failure, printer::Printer};

/// How to speak with a registry.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connection {
    /// Speak plain HTTP with a registry that is on another machine; credentials go in the clear
    #[arg(long)]
    pub(super) plain_http: bool,
    /// A file of certificates (PEM) to trust beside the system's
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
}

impl Connection {
    /// The registry, with the credentials that docker and podman keep.
    pub(crate) fn registry(
        &self,
        host: Host,
        context: &Context,
    ) -> Result<(Registry, Arc<Files>), Failure> {
        let mut settings = Settings { plain_http: self.plain_http, ..Settings::default() };
        if let Some(file) = &self.ca {
            settings.trust_file(file)?;
        }
        let places =
            Places::from_environment(|name| context.environment.get(name).map(str::to_owned));
        let files = Arc::new(Files::new(places));
        let transport = Arc::new(Transport::new(settings));
        let registry =
            Registry::new(host, transport, Arc::clone(&files) as _, Arc::new(SystemClock));
        Ok((registry, files))
    }
}

/// A failure with what may help against it.
pub(crate) fn explained(error: impl Into<Error>) -> Failure {
    let error = error.into();
    error.hints().into_iter().fold(Failure::new(error.to_string()), Failure::hint)
}

/// Warns of what is odd about a token service's answer and whom it locks out.
pub(crate) fn warn_of_oddities(printer: &Printer, issued: &Issued) {
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
