//! Diagnoses of real registries with the tokens of real token services: what works has no fault, and what does
//! not is named from the registry's answers alone.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

use std::{fmt::Display, fs, path::Path, sync::Arc};

use portpass_client::SystemClock;
use portpass_diagnose::{Check, InputFile, Inputs, LocalInputs, Report, diagnose};
use portpass_testkit::{Distribution, Portpass, PythonTokenService, TrustedTokens};

const ACCOUNT: &str = "ann";
const PASSWORD: &str = "correct:horse battery";
const SERVICE: &str = "registry";

/// What works has no fault.
#[tokio::test(flavor = "multi_thread")]
async fn registries_that_take_their_tokens_have_no_fault() {
    let both = with_account(serve("registry: {}\ntoken_service: {}\n"));
    has_no_fault("portpass", &report(both.address(), |_| {}).await);
    for key_id in ["libtrust", "x5c"] {
        let tokens = token_service(key_id);
        let registry = of_ours(&tokens, "portpass");
        let bundle = InputFile::read(tokens.folder().join("data/root.crt"));
        let found = report(registry.address(), |inputs| {
            inputs.bundle = Some(bundle);
            inputs.issuer = Some("portpass".to_owned());
        });
        has_no_fault(key_id, &found.await);
    }
    let written = PythonTokenService::start("somebody", ACCOUNT, PASSWORD);
    let registry = distribution(&written.realm(), "somebody", &written.bundle());
    let found = report(registry.address(), |_| {}).await;
    let taken = found.finding(Check::Use02).unwrap();
    assert_eq!(taken.verdict.as_str(), "pass", "{taken:#?}");
}

/// F82's mirror: distribution 2.8 with tokens for distribution 3.
#[tokio::test(flavor = "multi_thread")]
async fn key_ids_of_the_other_distribution_are_recognised_without_any_file() {
    let tokens = token_service("rfc7638");
    let registry = of_ours(&tokens, "portpass");
    is_for(&report(registry.address(), |_| {}).await, Check::Jwt05, "F82");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_issuer_is_one_of_few_things_left_until_the_configuration_is_given() {
    let tokens = token_service("libtrust");
    let registry = of_ours(&tokens, "https://tokens.example");
    is_for(&report(registry.address(), |_| {}).await, Check::Key06, "F75");
    let yaml = "auth: { token: { issuer: 'https://tokens.example', service: registry } }";
    let config = InputFile { path: "config.yml".into(), content: Ok(yaml.as_bytes().into()) };
    let found = report(registry.address(), |inputs| inputs.registry_config = Some(config));
    is_for(&found.await, Check::Clm02, "F75");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bundle_of_another_token_service_is_recognised_by_its_file() {
    let tokens = token_service("libtrust");
    let stranger = token_service("libtrust");
    let bundle = stranger.folder().join("data/root.crt");
    let registry = distribution(&format!("{}/token", tokens.url()), "portpass", &bundle);
    is_for(&report(registry.address(), |_| {}).await, Check::Key06, "F84");
    let found = report(registry.address(), |inputs| inputs.bundle = Some(InputFile::read(bundle)));
    is_for(&found.await, Check::Key02, "F84");
}

fn serve(sections: &str) -> Portpass {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let text = format!("data: {}\nhttp: {{ addr: 127.0.0.1:0 }}\n{sections}", data.display());
    fs::write(folder.path().join("portpass.yml"), text).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_portpass"));
    Portpass::serve_in(program, &["--config", "{folder}/portpass.yml"], folder)
}

fn with_account(portpass: Portpass) -> Portpass {
    let add = ["user", "add", ACCOUNT, "--password-stdin", "--config", "{folder}/portpass.yml"];
    portpass.command(&add, PASSWORD).expect_success();
    portpass
}

/// A token service of ours that names its key in this way.
fn token_service(key_id: &str) -> Portpass {
    let service = format!("{{ name: {SERVICE}, key_id: {key_id} }}");
    with_account(serve(&format!("token_service:\n  services: [ {service} ]\n")))
}

fn distribution(realm: &str, issuer: &str, bundle: &Path) -> Distribution {
    Distribution::start(&TrustedTokens { realm, service: SERVICE, issuer, bundle })
}

/// distribution 2.8 with the bundle of a token service of ours.
fn of_ours(tokens: &Portpass, issuer: &str) -> Distribution {
    let realm = format!("{}/token", tokens.url());
    distribution(&realm, issuer, &tokens.folder().join("data/root.crt"))
}

async fn report(host: impl Display, give: impl FnOnce(&mut Inputs)) -> Report {
    let mut inputs = Inputs::none(LocalInputs::default());
    inputs.password = Some((ACCOUNT.to_owned(), PASSWORD.into()));
    give(&mut inputs);
    let target = format!("{host}/{ACCOUNT}/app").parse().unwrap();
    diagnose(target, inputs, Arc::new(SystemClock)).await
}

#[track_caller]
fn has_no_fault(what: &str, report: &Report) {
    let failed: Vec<_> = report.findings.iter().filter(|finding| finding.failed()).collect();
    assert!(failed.is_empty(), "{what}: {failed:#?}");
    for check in [Check::Key06, Check::Acc01, Check::Use02, Check::Use03] {
        let finding = report.finding(check).unwrap();
        assert_eq!(finding.verdict.as_str(), "pass", "{what}: {finding:#?}");
    }
}

#[track_caller]
fn is_for(report: &Report, check: Check, row: &str) {
    let cause = report.cause().unwrap_or_else(|| panic!("nothing failed: {report:#?}"));
    assert_eq!(cause.check, check, "{cause:#?}");
    assert!(cause.rows.contains(&row), "{cause:#?}");
    let beside = report.findings.iter().filter(|finding| {
        finding.failed() && finding.check != check && finding.follows_from != Some(check)
    });
    assert_eq!(beside.count(), 0, "{:#?}", report.findings);
}
