//! A secret that was just made, in the form in which a client takes it. It is shown once.

use clap::{Args, ValueEnum};
use portpass_admin::{Authority, Issued};
use secrecy::ExposeSecret as _;

use super::Context;

/// How to print it.
#[derive(Args, Debug)]
pub(crate) struct Printed {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print what to paste: a pull secret, docker's config.json, or variables
    #[arg(long, value_name = "FORM", conflicts_with = "json")]
    output: Option<Form>,
    /// The registry's host and port, as clients write it
    #[arg(long, value_name = "HOST", requires = "output", required_if_eq_any = [
        ("output", "kubernetes"), ("output", "docker-config"),
    ])]
    registry: Option<Authority>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A Secret for `imagePullSecrets`; feed it to `kubectl apply -f -`
    Kubernetes,
    /// The file `config.json` of docker, which podman, skopeo, helm, crane and oras read too
    DockerConfig,
    /// `REGISTRY_USERNAME` and `REGISTRY_PASSWORD`, for `--env-file` and CI
    Env,
}

impl Printed {
    /// Prints it on stdout, and nothing of the secret anywhere else.
    pub(crate) fn print(&self, issued: &Issued, context: &Context) {
        let printer = &context.printer;
        match (self.output, &self.registry) {
            (None, _) if self.json => printer.json(&issued.to_json()),
            (Some(Form::DockerConfig), Some(host)) => printer.json(&issued.to_docker_config(host)),
            (Some(Form::Kubernetes), Some(host)) => printer.text(&issued.to_kubernetes(host)),
            (Some(Form::Env), host) => printer.text(&issued.to_env(host.as_ref())),
            // clap asks for the registry where it is needed.
            (None | Some(Form::DockerConfig | Form::Kubernetes), _) => {
                printer.line(format_args!("user name: {}", issued.username));
                printer.line(format_args!("password:  {}", issued.secret.expose_secret()));
                printer.note("the password is shown once and kept nowhere");
            }
        }
    }
}
