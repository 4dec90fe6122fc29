use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use portpass_federation::{
    issuer_keys::IssuerKeys,
    web::{Redirects, WebSettings},
    workload::{ClaimPath, Condition, Glob, LabelTemplate, Mapping, Rules, Uses},
};
use portpass_jose::Algorithm;
use portpass_password::{CredentialCache, HashPool, cost::Work, pool::PoolSettings};
use portpass_testkit::{WorkloadIssuer as Issuer, workload_issuer::Shape};
use serde_json::{Value, json};

use super::*;
use crate::{
    accounts::AuthenticatorChain, fixture::unproved, groups::Membership, subject::TokenLogin,
};

const AUDIENCE: &str = "registry.example.com";

struct Bench {
    issuer: Issuer,
    chain: AuthenticatorChain,
    pool: HashPool,
}

fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
}

impl Bench {
    async fn new() -> Self {
        Self::with(Uses::Many).await
    }

    async fn with(uses: Uses) -> Self {
        let issuer = Issuer::start(Algorithm::Es256);
        let pool = HashPool::new(PoolSettings { threads: NonZeroUsize::MIN, queue: 8 });
        let cache = CredentialCache::new([1; 32], NonZeroUsize::MIN, Duration::from_mins(5));
        let check = PasswordCheck::new(pool.clone(), Arc::new(cache));
        let condition = |claim: &str, glob: &str| Condition {
            claim: ClaimPath::new(claim).unwrap(),
            globs: vec![Glob::new(glob)],
        };
        let mapping = Mapping {
            when: vec![condition("repository", "acme/*"), condition("ref", "refs/heads/main")],
            name: "ci/${claim:repository}".parse().unwrap(),
            groups: ["ci", "${claim:environment}"].map(|text| text.parse().unwrap()).into(),
            labels: vec![LabelTemplate {
                name: "owner".into(),
                values: vec!["${claim:repository_owner}".parse().unwrap()],
            }],
        };
        let rules = Rules {
            issuer: issuer.url().parse().unwrap(),
            audiences: vec![AUDIENCE.to_owned()],
            mappings: vec![mapping],
            uses,
        };
        let web = WebSettings {
            authorities: Vec::new(),
            identity: None,
            timeout: Duration::from_secs(10),
            redirects: Redirects::Followed,
        };
        let keys = IssuerKeys::discovered(rules.issuer.clone(), web, Duration::from_hours(1));
        let verifier = WorkloadIssuer::new(rules, keys);
        let source = "workload".parse().unwrap();
        let db = Db::in_memory().await.unwrap();
        let accounts = Arc::new(WorkloadAccounts::new(source, verifier, check.clone(), db));
        let staff = Membership {
            group: "staff".parse().unwrap(),
            member: "workload/ci.*".parse().unwrap(),
        };
        let chain = AuthenticatorChain::new(vec![accounts.clone()], check);
        let chain = chain.with_workloads(vec![accounts]).with_groups([staff].into_iter().collect());
        Self { issuer, chain, pool }
    }

    fn token(&self, claims: &Value) -> String {
        self.issuer.token(Shape::GithubActions, AUDIENCE, noon(), claims)
    }

    /// The account, or why there is none, and what that has worked.
    async fn login(&self, name: &str, password: &str) -> (Result<Account, Option<Reason>>, Work) {
        let before = self.pool.work_done();
        let account = name.parse().unwrap();
        let at = unproved(noon());
        let decided = if let Some(token) = ClaimedToken::parse(password) {
            self.chain.by_token(&TokenLogin { account, token }, &at).await
        } else {
            let login = Login { account, password: password.into() };
            self.chain.authenticate(&login, &at).await
        };
        let decided = decided.unwrap();
        let worked = self.pool.work_done().since(before);
        (decided.map_err(|rejection| rejection.reason().cloned()), worked)
    }
}

#[tokio::test]
async fn a_token_is_an_account_whatever_the_name_beside_it_and_nothing_is_hashed() {
    let bench = Bench::new().await;
    let token = bench.token(&json!({ "environment": "prod" }));
    for name in ["oidc", "ann", "ci.acme.other"] {
        let (account, worked) = bench.login(name, &token).await;
        let account = account.unwrap();
        assert_eq!((account.name.as_str(), account.source.as_str()), ("ci.acme.app", "workload"));
        assert!(account.groups.iter().map(Group::as_str).eq(["ci", "prod", "staff"]));
        assert!(account.labels.values("owner").eq(["acme"]));
        assert!(!account.kind.has_sessions() && account.ceiling.is_none());
        assert_eq!(account.valid_until, Some(noon() + Duration::from_mins(5)));
        assert_eq!(worked, Work::default());
    }
}

/// T8
#[tokio::test]
async fn a_refusal_costs_what_every_refusal_costs_and_says_why_to_the_log() {
    let bench = Bench::new().await;
    let (_, unknown) = bench.login("nobody", "wrong").await;
    let other = Issuer::start(Algorithm::Es256);
    let forged =
        other.token(Shape::GithubActions, AUDIENCE, noon(), &json!({ "iss": bench.issuer.url() }));
    let stranger = other.token(Shape::GithubActions, AUDIENCE, noon(), &json!({}));
    for (password, id, is_guess) in [
        (bench.token(&json!({ "ref": "refs/heads/dev" })), "workload-claims", false),
        (bench.token(&json!({ "aud": "x" })), "workload-audience", false),
        (bench.token(&json!({ "exp": 1 })), "workload-expired", false),
        (
            bench.token(&json!({ "repository": format!("acme/{}", "a".repeat(130)) })),
            "workload-unnamed",
            false,
        ),
        (forged, "workload-key-unknown", true),
        (stranger, "workload-issuer-unknown", true),
    ] {
        let (decided, worked) = bench.login("oidc", &password).await;
        let reason = decided.unwrap_err().unwrap();
        assert_eq!((reason.id, reason.is_guess), (id, is_guess), "{}", reason.text);
        let (_, secret) = password.rsplit_once('.').unwrap();
        assert!(!reason.text.contains(secret), "{}", reason.text);
        assert_eq!(worked, unknown, "{id}");
    }
}

#[tokio::test]
async fn an_issuer_that_is_down_is_neither_a_yes_nor_a_no() {
    let bench = Bench::new().await;
    bench.issuer.stop();
    let token = ClaimedToken::parse(&bench.token(&json!({}))).unwrap();
    let decided = bench.chain.exchange(&token, &unproved(noon())).await;
    assert!(matches!(decided, Err(Unavailable::Source { .. })), "{decided:?}");
    // Whoever brings no token of its does not notice.
    assert_eq!(bench.login("ann", "wrong").await.0, Err(None));
}

#[tokio::test]
async fn an_account_is_known_by_its_name_for_explaining_and_has_no_sessions() {
    let bench = Bench::new().await;
    let name = "ci.acme.app".parse().unwrap();
    let known = bench.chain.by_name(None, &name, noon()).await.unwrap().unwrap();
    assert!(known.groups.iter().map(Group::as_str).eq(["ci", "staff"]));
    assert_eq!(bench.chain.by_name(None, &"ci.evil.app".parse().unwrap(), noon()).await, Ok(None));
    assert_eq!(bench.chain.by_id("workload", &known.id, noon()).await, Ok(None));
}

#[tokio::test]
async fn a_token_that_counts_once_counts_once() {
    let bench = Bench::with(Uses::Once).await;
    let wrong = bench.token(&json!({ "ref": "refs/heads/dev" }));
    assert_eq!(bench.login("oidc", &wrong).await.0.unwrap_err().unwrap().id, "workload-claims");
    // What was refused was not used.
    let token = bench.token(&json!({}));
    assert!(bench.login("oidc", &token).await.0.is_ok());
    let again = bench.login("oidc", &token).await.0.unwrap_err().unwrap();
    assert_eq!((again.id, again.is_guess), ("workload-used", false));
    let another = bench.token(&json!({ "jti": "another" }));
    assert!(bench.login("oidc", &another).await.0.is_ok());
    let without = bench.token(&json!({ "jti": null }));
    assert_eq!(bench.login("oidc", &without).await.0.unwrap_err().unwrap().id, "workload-used");
}
