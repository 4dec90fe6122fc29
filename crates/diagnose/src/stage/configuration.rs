//! What lies on this machine: files and helpers of credentials, proxies, certificates.

use std::time::Duration;

use portpass_client::credentials::{
    Credential, CredentialFiles, CredentialSource, CredentialStore as _, CredentialsError,
    FoundCredential, Owner, SourceReport, list_sources,
};
use portpass_protocol::challenge::KnownClient;
use reqwest::Url;

use crate::{Check, Finding, Needs, run::Run};

mod folders;
mod keys;

pub(crate) use keys::key_that_was_needed;

/// How long a helper may take. Whoever logs in waits for it as well, and so does every pull.
const HELPER_PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn check(run: &mut Run) {
    let surveyed = look_around(run).await;
    files(run, &surveyed);
    helper(run, &surveyed, HELPER_PATIENCE).await;
    keys::check(run, &surveyed);
    proxies(run);
    folders::check(run).await;
}

/// CFG-03 alone, with less patience.
#[cfg(test)]
pub(crate) async fn helper_within(run: &mut Run, patience: Duration) {
    let surveyed = look_around(run).await;
    helper(run, &surveyed, patience).await;
}

async fn look_around(run: &Run) -> Vec<SourceReport> {
    let places = run.inputs.local.places.clone();
    let host = run.target.host.clone();
    let repository = run.target.repository.as_ref().map(ToString::to_string);
    let looked =
        tokio::task::spawn_blocking(move || list_sources(&places, &host, repository.as_deref()))
            .await;
    looked.unwrap_or_default()
}

/// CFG-01
fn files(run: &mut Run, surveyed: &[SourceReport]) {
    let mut faults = Vec::new();
    let mut breaks = Vec::new();
    for one in surveyed {
        match &one.entries {
            Err(error) => {
                faults.push(error.to_string());
                breaks.extend_from_slice(readers(one.owner));
            }
            Ok(entries) => {
                for entry in entries {
                    // Docker gives up on the whole file; podman looks at its own entry alone.
                    let Some(fault) = entry.fault else { continue };
                    if entry.fit.is_some() || one.owner == Owner::Docker {
                        faults.push(format!("the entry {:?} of {} {fault}", entry.key, one.place));
                        breaks.push(match one.owner {
                            Owner::Docker => KnownClient::Docker,
                            Owner::Podman => KnownClient::Podman,
                        });
                    }
                }
            }
        }
    }
    let read: Vec<String> =
        surveyed.iter().filter(|one| one.exists).map(|one| one.place.to_string()).collect();
    let Some(first) = faults.first() else {
        let summary = if read.is_empty() {
            "there is no credential file on this machine; none is needed".to_owned()
        } else {
            format!("{} can be read", read.join(" and "))
        };
        run.record(Finding::pass(Check::Cfg01, summary));
        return;
    };
    let typed = run.inputs.password.is_some();
    let answer = if typed { Finding::warn } else { Finding::fail };
    let finding = answer(Check::Cfg01, first.clone())
        .breaks(&breaks)
        .fix("log out and log in again, which writes the entry again. Repair a file that is not JSON, or move it away")
        .rows(&["F143"]);
    let finding =
        faults[1..].iter().fold(finding, |finding, fault| finding.evidence(fault.clone()));
    run.record(finding);
}

/// The clients that read a file.
fn readers(owner: Owner) -> &'static [KnownClient] {
    match owner {
        Owner::Docker => &[
            KnownClient::Docker,
            KnownClient::Containerd,
            KnownClient::Crane,
            KnownClient::Oras,
            KnownClient::Regclient,
        ],
        Owner::Podman => &[KnownClient::Podman],
    }
}

/// CFG-03, and the credential that is used.
async fn helper(run: &mut Run, surveyed: &[SourceReport], patience: Duration) {
    if let Some((username, password)) = run.inputs.password.clone() {
        let credential = Credential::Password { username, password };
        run.observed.credential = Some(FoundCredential {
            credential,
            place: CredentialSource::Given("the login on the command line"),
        });
        let reason = "you gave a name and a password";
        run.skip(&[Check::Cfg03], &Needs::Nothing(reason));
        return;
    }
    let named = surveyed.iter().find_map(|one| Some((one, one.helper.as_ref()?)));
    let repository = run.target.repository.as_ref().map(ToString::to_string);
    let files = CredentialFiles::new(run.inputs.local.places.clone());
    let get = files.get(&run.target.host, repository.as_deref());
    let Some((file, (name, program))) = named else {
        run.observed.credential = get.await.ok().flatten();
        run.skip(
            &[Check::Cfg03],
            &Needs::Nothing("no credential helper is configured for this host"),
        );
        return;
    };
    let shown = program.as_ref().map_or_else(
        || format!("docker-credential-{name} (named by {})", file.place),
        |program| format!("{} (named by {})", program.display(), file.place),
    );
    let fail = |summary: String, fix: String| {
        Finding::fail(Check::Cfg03, summary)
            .evidence(shown.clone())
            .breaks(readers(file.owner))
            .fix(fix)
            .rows(&["F140"])
    };
    let drop_it = format!(
        "or remove \"credsStore\" or the line of \"credHelpers\" from {}, and log in again",
        file.place
    );
    let finding = match tokio::time::timeout(patience, get).await {
        Err(_) => fail(
            format!("docker-credential-{name} did not respond in {} s", patience.as_secs()),
            format!(
                "find out what it waits for (`docker-credential-{name} list`): a locked keychain, D-Bus, `pass` without a key; {drop_it}"
            ),
        ),
        Ok(Err(error @ CredentialsError::HelperMissing { .. })) => {
            fail(error.to_string(), format!("install docker-credential-{name}; {drop_it}"))
        }
        Ok(Err(error @ CredentialsError::Helper { .. })) => fail(
            error.to_string(),
            format!(
                "run it yourself: `echo {} | docker-credential-{name} get`; {drop_it}",
                run.target.host.credential_key()
            ),
        ),
        Ok(Err(_)) => Finding::skip(Check::Cfg03, Needs::Check(Check::Cfg01)),
        Ok(Ok(found)) => {
            let summary = match &found {
                Some(FoundCredential { place: CredentialSource::Helper(_), .. }) => {
                    format!("docker-credential-{name} has a credential for {}", run.target.host)
                }
                Some(found) => {
                    format!("docker-credential-{name} was not used: {} came first", found.place)
                }
                None => format!(
                    "docker-credential-{name} works, and has nothing for {}",
                    run.target.host
                ),
            };
            run.observed.credential = found;
            Finding::pass(Check::Cfg03, summary).evidence(shown)
        }
    };
    run.record(finding);
}

/// CFG-04
fn proxies(run: &mut Run) {
    let proxies = &run.probe.connection().proxies;
    let scheme = if run.inputs.plain_http { "http" } else { "https" };
    let url = Url::parse(&format!("{scheme}://{}/", run.target.host.api()));
    let through = url.ok().and_then(|url| proxies.of_url(&url).cloned());
    let finding = match through {
        None if proxies.is_empty() => Finding::pass(Check::Cfg04, "no proxy is set"),
        None => Finding::pass(
            Check::Cfg04,
            format!("proxies are set, but not for {}", run.target.host),
        )
        .evidence(format!("NO_PROXY={}", proxies.except())),
        Some(proxy) => Finding::warn(
            Check::Cfg04,
            format!("connections to {} go through {}, set by {}", run.target.host, proxy.shown(), proxy.variable),
        )
        .evidence(format!("NO_PROXY={}", proxies.except()))
        .fix(format!(
            "if the registry is inside your network, put {} into NO_PROXY. Docker's engine and containerd do not read this shell's variables: set theirs in their service's environment or daemon.json (\"proxies\"). The proxy must allow both the registry and the token service",
            run.target.host
        ))
        .rows(&["F05", "F06"]),
    };
    run.record(finding);
}
