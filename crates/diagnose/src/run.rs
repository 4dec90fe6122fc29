//! One run of a diagnosis: its inputs, its observations, its findings.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use portpass_client::{transport::NetworkZone, trust::Fallback};
use portpass_protocol::Access;
use reqwest::Url;
use secrecy::ExposeSecret as _;

use super::{
    Check, Finding, Inputs, Needs, Observations, Provenance, Report, Target, Verdict, cause,
    inputs::Timer,
    outcome::TokenStatus,
    probe::{Connection, Probe, REQUESTS, REQUESTS_TO_WRITE},
    proxy::{Proxies, Proxy},
    redact,
};

/// What a stage reads and adds to.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) target: Target,
    pub(super) inputs: Inputs,
    pub(super) probe: Probe,
    pub(super) observed: Observations,
    pub(super) clock: Arc<dyn Timer>,
    findings: BTreeMap<Check, Finding>,
}

impl Run {
    pub(super) fn new(target: Target, inputs: Inputs, clock: Arc<dyn Timer>) -> Self {
        let limit = if inputs.write { REQUESTS + REQUESTS_TO_WRITE } else { REQUESTS };
        let connection = Connection {
            system: Arc::default(),
            authorities: inputs.authorities.clone(),
            verification: inputs.verification,
            fallback: Fallback::Named,
            proxies: Proxies::of(&inputs.local.proxies),
            reach: NetworkZone::Loopback,
        };
        let probe = Probe::new(connection, limit, Arc::clone(&clock) as _);
        if let Some((name, password)) = &inputs.password {
            probe.secrets.learn_login(name, password.expose_secret());
        }
        if let Some(token) = &inputs.token {
            probe.secrets.learn(token.expose_secret());
        }
        for (name, password) in probe.connection().proxies.all().map(Proxy::login) {
            if !password.is_empty() {
                probe.secrets.learn_login(&name, &password);
            }
        }
        let (observed, findings) = Default::default();
        Self { target, inputs, probe, observed, clock, findings }
    }

    /// Answers a check. The worse answer stays where it is answered twice.
    pub(super) fn record(&mut self, finding: Finding) {
        let rank = |finding: &Finding| match finding.verdict.as_str() {
            "fail" => 3,
            "warn" => 2,
            "pass" => 1,
            _ => 0,
        };
        let known = self.findings.get(&finding.check);
        if known.is_none_or(|known| rank(known) < rank(&finding)) {
            self.findings.insert(finding.check, finding);
        }
    }

    /// Makes a failure a warning, because of later evidence.
    pub(super) fn downgrade(&mut self, check: Check, seen: &str) {
        let failed = self.findings.get_mut(&check).filter(|finding| finding.failed());
        if let Some(finding) = failed {
            finding.verdict = Verdict::Warn;
            *finding = finding.clone().evidence(seen);
        }
    }

    /// Says which failure another one comes from.
    pub(super) fn follows_from(&mut self, check: Check, cause: Check) {
        let failed = self.findings.get_mut(&check).filter(|finding| finding.failed());
        if let Some(finding) = failed {
            finding.follows_from = Some(cause);
        }
    }

    /// Adds a line of evidence to what was found.
    pub(super) fn add_evidence(&mut self, check: Check, line: &str) {
        if let Some(finding) = self.findings.get_mut(&check) {
            *finding = finding.clone().evidence(line);
        }
    }

    /// Leaves checks out for one reason.
    pub(super) fn skip(&mut self, checks: &[Check], needs: &Needs) {
        for check in checks {
            self.record(Finding::skip(*check, needs.clone()));
        }
    }

    /// Whether a check has failed.
    pub(super) fn failed(&self, check: Check) -> bool {
        self.findings.get(&check).is_some_and(Finding::failed)
    }

    /// The answer to a check so far.
    pub(super) fn finding(&self, check: Check) -> Option<&Finding> {
        self.findings.get(&check)
    }

    /// Whether a check was answered with a warning.
    pub(super) fn warned(&self, check: Check) -> bool {
        self.findings.get(&check).is_some_and(|finding| finding.verdict == Verdict::Warn)
    }

    /// Whether a check holds.
    pub(super) fn has_passed(&self, check: Check) -> bool {
        self.findings.get(&check).is_some_and(|finding| finding.verdict == Verdict::Pass)
    }

    /// A fault of the token: a failure, unless the registry has taken that very token. Then it is one
    /// elsewhere.
    pub(super) fn token_fault(&self, check: Check, summary: impl Into<String>) -> Finding {
        match self.observed.token_status() {
            TokenStatus::Accepted => {
                let finding = Finding::warn(check, summary);
                finding.evidence("this registry accepts the token; others will not")
            }
            TokenStatus::Rejected | TokenStatus::Unknown => Finding::fail(check, summary),
        }
    }

    /// The time at the registry.
    pub(super) fn registry_time(&self) -> SystemTime {
        self.observed.registry_time(self.clock.now())
    }

    /// A path at the registry, once it is known how it is reached.
    pub(super) fn url(&self, path: &str) -> Option<Url> {
        let mut url = self.observed.origin.clone()?;
        url.set_path(path);
        Some(url)
    }

    /// What is asked for: pull on the repository, and push where something may be written.
    pub(super) fn wanted(&self) -> Vec<Access> {
        let name = self.target.repository.as_ref();
        let access =
            name.map(|name| if self.inputs.write { name.pull_push() } else { name.pull() });
        access.into_iter().collect()
    }

    /// Names the cause, and answers the checks that no stage has answered.
    pub(super) fn into_report(self) -> Report {
        let Self { target, inputs, probe, observed, findings, clock } = self;
        let secrets = &probe.secrets;
        observed.tell_secrets(secrets);
        let mut findings = cause::fold(findings);
        for finding in &mut findings {
            finding.hide(secrets);
        }
        let command = secrets.hide(&redact::command(&inputs.command));
        let provenance = Provenance { at: clock.now(), command };
        Report {
            target,
            provenance,
            wrote: inputs.write,
            findings,
            exchanges: probe.redacted_exchanges(),
        }
    }
}
