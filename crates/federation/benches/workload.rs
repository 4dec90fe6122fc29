//! What it costs to know a workload by its token: keys known, a token as GitHub Actions signs it. By hand, on an idle
//! machine: `cargo bench -p portpass-federation --bench workload`.
//!
//! One thread and no I/O: the time that passes is the time of the processor. The best of several rounds counts.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot run says why"
)]

use std::time::{Duration, SystemTime};

use portpass_federation::{
    issuer_keys::IssuerKeys,
    workload::{ClaimPath, Condition, Glob, Mapping, Rules, Uses, WorkloadIssuer},
};
use portpass_jose::{Algorithm, KeySet};
use portpass_testkit::workload_issuer::{Shape, WorkloadIssuer as Issuer};
use serde_json::json;
use tokio::time::Instant;

const AUDIENCE: &str = "registry.example.com";
const ROUNDS: u32 = 5;
const TOKENS: u32 = 2_000;
/// What an RS256 token may cost at most.
const TARGET: Duration = Duration::from_micros(250);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa] {
        let issuer = Issuer::start(algorithm);
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        let verifier = verifier(&issuer);
        let token = issuer.token(Shape::GithubActions, AUDIENCE, now, &json!({}));
        let mut best = Duration::MAX;
        for _ in 0..ROUNDS {
            let began = Instant::now();
            for _ in 0..TOKENS {
                assert_eq!(verifier.verify(&token, now).await.unwrap().name, "ci.acme.app");
            }
            best = best.min(began.elapsed() / TOKENS);
        }
        let micros = best.as_secs_f64() * 1e6;
        println!("{algorithm}: {micros:.1} µs for a token of {} bytes", token.len());
        if algorithm == Algorithm::Rs256 {
            assert!(best <= TARGET, "it takes longer than {} µs", TARGET.as_micros());
        }
    }
}

/// With 21 repositories, of which the last is meant.
fn verifier(issuer: &Issuer) -> WorkloadIssuer {
    let others = (0..20).map(|number| mapping(&format!("other-{number}")));
    let rules = Rules {
        issuer: issuer.url().parse().unwrap(),
        audiences: vec![AUDIENCE.to_owned()],
        mappings: others.chain([mapping("app")]).collect(),
        uses: Uses::Many,
    };
    let keys = IssuerKeys::fixed(KeySet::from_jwks(&issuer.key_set()).unwrap());
    WorkloadIssuer::new(rules, keys)
}

fn mapping(repository: &str) -> Mapping {
    let condition = |claim: &str, glob: &str| Condition {
        claim: ClaimPath::new(claim).unwrap(),
        globs: vec![Glob::new(glob)],
    };
    let repository = format!("acme/{repository}");
    Mapping {
        when: vec![condition("repository", &repository), condition("ref", "refs/heads/*")],
        name: "ci/${claim:repository}".parse().unwrap(),
        groups: vec!["ci".parse().unwrap(), "${claim:environment}".parse().unwrap()],
        labels: Vec::new(),
    }
}
