//! Registries that want the password itself.

use portpass_client::credentials::Credential;
use portpass_protocol::challenge::KnownClient;

use super::words;
use crate::{Check, Finding, Needs, outcome::Outcome, run::Run};

const OF_TOKENS: &[Check] = &[Check::Use01, Check::Use05, Check::Use06];
const NO_TOKENS: Needs = Needs::Nothing("this registry requires the password itself, not a token");

/// USE-02 and USE-03 with the password.
pub(super) fn check(run: &mut Run) {
    run.skip(OF_TOKENS, &NO_TOKENS);
    run.record(Finding::pass(
        Check::Use04,
        "it asks for name and password themselves, like a registry's `auth: htpasswd` or a proxy's `auth_basic`: there is no token service and no token",
    ));
    let Some(response) = &run.observed.replies.real else {
        let needs = match &run.observed.credential {
            Some(found) if !matches!(found.credential, Credential::Password { .. }) => {
                Needs::Nothing(
                    "this registry requires a password, and an identity token is not one",
                )
            }
            _ => Needs::Input("--username and --password-stdin"),
        };
        return run.skip(&[Check::Use02, Check::Use03], &needs);
    };
    let said = format!("to the password on /v2/: {}", words(response));
    let finding = match Outcome::of(response) {
        Outcome::Accepted => Finding::pass(Check::Use02, "the registry accepts the password"),
        Outcome::InvalidToken | Outcome::Unauthorized => {
            Finding::fail(Check::Use02, "the registry refuses the password")
                .breaks(&KnownClient::ALL)
                .fix("check that the password is right, then check the registry's htpasswd file. Distribution and nginx's registry guides accept only bcrypt (`htpasswd -Bbn NAME PASSWORD`). The name must match exactly, and a `$` in a compose file must be `$$`. Distribution reads a changed file again, but a file mounted alone stays the old one until the container restarts")
                .rows(&["F144", "F40", "F41"])
        }
        _ => Finding::fail(
            Check::Use02,
            format!("the registry responds to the password with {}", response.status.as_u16()),
        )
        .breaks(&KnownClient::ALL)
        .fix("look into the log of the registry, or of the proxy that checks its passwords. Nginx says `crypt_r() failed` for a hash that its system does not support")
        .rows(&["F144"]),
    };
    let refused = finding.failed();
    let place =
        run.observed.credential.as_ref().map(|found| format!("credential: {}", found.place));
    run.record(place.into_iter().fold(finding.evidence(said), Finding::evidence));
    on_repository(run, refused);
}

fn on_repository(run: &mut Run, refused: bool) {
    if refused {
        return run.skip(&[Check::Use03], &Needs::Check(Check::Use02));
    }
    let Some(response) = &run.observed.replies.repository else { return };
    let said = format!("to the password on the repository: {}", words(response));
    let finding = match Outcome::of(response) {
        Outcome::Accepted => Finding::pass(Check::Use03, "the registry accepts the password for the repository"),
        _ => Finding::fail(
            Check::Use03,
            "the registry accepts the password for /v2/, but not for the repository",
        )
        .fix(
            "check the account's rights in the proxy in front of the registry: htpasswd itself has no rights",
        ),
    };
    run.record(finding.evidence(said));
}
