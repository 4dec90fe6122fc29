use std::sync::Arc;

use portpass_jose::Algorithm;
use portpass_testkit::workload_issuer::{Shape, WorkloadIssuer as Issuer};
use serde_json::{Value as Json, json};

use super::*;
use crate::web::{Redirects, WebSettings};

const AUDIENCE: &str = "registry.example.com";

fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
}

fn mapping(name: &str, when: &[(&str, &str)], groups: &[&str]) -> Mapping {
    let condition = |(claim, glob): &(&str, &str)| Condition {
        claim: ClaimPath::new(claim).unwrap(),
        globs: vec![Glob::new(glob)],
    };
    Mapping {
        when: when.iter().map(condition).collect(),
        name: name.parse().unwrap(),
        groups: groups.iter().map(|group| group.parse().unwrap()).collect(),
        labels: vec![LabelTemplate {
            name: "from".into(),
            values: vec!["${claim:sub}".parse().unwrap()],
        }],
    }
}

fn rules(issuer: &str, mappings: Vec<Mapping>) -> Rules {
    let audiences = vec!["other".to_owned(), AUDIENCE.to_owned()];
    Rules { issuer: issuer.parse().unwrap(), audiences, mappings, uses: Uses::Many }
}

fn asked(issuer: &Issuer, mappings: Vec<Mapping>) -> WorkloadIssuer {
    let web = WebSettings {
        authorities: Vec::new(),
        identity: None,
        timeout: Duration::from_secs(10),
        redirects: Redirects::Followed,
    };
    let rules = rules(issuer.url(), mappings);
    let keys = IssuerKeys::discovered(rules.issuer.clone(), web, Duration::from_hours(1));
    WorkloadIssuer::new(rules, keys)
}

fn app() -> Vec<Mapping> {
    vec![mapping(
        "ci/${claim:repository}",
        &[("repository", "acme/*"), ("ref", "refs/heads/main")],
        &["ci"],
    )]
}

#[tokio::test]
async fn a_token_of_every_issuer_is_an_account() {
    let issuer = Issuer::start(Algorithm::Es256);
    let cases = [
        (
            Shape::GithubActions,
            mapping(
                "ci/${claim:repository}",
                &[("repository", "acme/*"), ("ref", "refs/heads/main")],
                &["ci", "${claim:environment}"],
            ),
            "ci.acme.app",
            &["ci"][..],
        ),
        (
            Shape::GitlabCi,
            mapping(
                "ci/${claim:project_path}@${claim:environment}",
                &[("project_path", "acme/**"), ("ref_protected", "true")],
                &["${claim:groups_direct}"],
            ),
            "ci.acme.app@production",
            &["acme", "acme/developers"],
        ),
        (
            Shape::Kubernetes,
            mapping(
                "k8s/${claim:kubernetes.io/namespace}@${claim:kubernetes.io/serviceaccount/name}",
                &[("sub", "system:serviceaccount:build:*")],
                &[],
            ),
            "k8s.build@pusher",
            &[],
        ),
        (
            Shape::Buildkite,
            mapping(
                "ci/${claim:pipeline_slug}",
                &[("organization_slug", "acme"), ("build_number", "*")],
                &[],
            ),
            "ci.app",
            &[],
        ),
        (
            Shape::CircleCi,
            mapping(
                "ci/${claim:oidc.circleci.com/vcs-origin}",
                &[("oidc.circleci.com/vcs-origin", "github.com/acme/*")],
                &[],
            ),
            "ci.github+.com.acme.app",
            &[],
        ),
    ];
    for (shape, mapping, name, groups) in cases {
        let verifier = asked(&issuer, vec![mapping]);
        let token = issuer.token(shape, AUDIENCE, noon(), &json!({}));
        let workload = verifier.verify(&token, noon()).await.unwrap();
        assert_eq!(workload.name, name);
        assert!(workload.groups.iter().eq(groups), "{shape:?}: {:?}", workload.groups);
        let subject = workload.subject.unwrap();
        assert_eq!(workload.labels["from"], [subject].into());
        assert!(workload.until > noon() && workload.use_once.is_none());
    }
}

#[tokio::test]
async fn every_algorithm_of_public_keys_counts() {
    for algorithm in Algorithms::PUBLIC_KEY.iter() {
        let issuer = Issuer::start(algorithm);
        let token = issuer.token(Shape::GithubActions, AUDIENCE, noon(), &json!({}));
        let verified = asked(&issuer, app()).verify(&token, noon()).await;
        assert_eq!(verified.unwrap().name, "ci.acme.app", "{algorithm}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let issuer = Issuer::start(Algorithm::Es256);
    let verifier = asked(&issuer, app());
    let now = noon().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    for (claims, id, said) in [
        (
            json!({ "aud": "other.example" }),
            "workload-audience",
            r#"its `aud` is "other.example"; expected "other" or "registry.example.com""#,
        ),
        (json!({ "aud": [] }), "workload-audience", "its `aud` is []"),
        (json!({ "aud": null }), "workload-audience", "its `aud` is missing"),
        (json!({ "iss": "https://evil.example" }), "workload-issuer", "byte for byte"),
        (json!({ "iss": format!("{}/", issuer.url()) }), "workload-issuer", "byte for byte"),
        (json!({ "exp": now - 1 }), "workload-expired", "the token expired 1 s ago"),
        (json!({ "exp": now }), "workload-expired", "the token expired 0 s ago"),
        (json!({ "exp": null }), "workload-malformed", "has no `exp`"),
        (json!({ "exp": "soon" }), "workload-malformed", "`exp` is a string"),
        (json!({ "exp": 1e300 }), "workload-malformed", "`exp` is a number"),
        (json!({ "nbf": now + 61 }), "workload-not-yet", "`nbf` is 61 s ahead"),
        (json!({ "iat": now + 3600 }), "workload-not-yet", "`iat` is 3600 s ahead"),
        (
            json!({ "ref": "refs/heads/dev" }),
            "workload-claims",
            r#"its claim `ref` is "refs/heads/dev"; expected "refs/heads/main""#,
        ),
        (
            json!({ "repository": "evil/app" }),
            "workload-claims",
            r#"its claim `repository` is "evil/app"; expected "acme/*""#,
        ),
        (json!({ "repository": "acme/a b" }), "workload-unnamed", "' '"),
        (
            json!({ "event_name": "pull_request_target" }),
            "workload-trigger",
            "write `event_name: pull_request_target` under `when`",
        ),
    ] {
        let token = issuer.token(Shape::GithubActions, AUDIENCE, noon(), &claims);
        let Err(Failure::Refused(refusal)) = verifier.verify(&token, noon()).await else {
            panic!("{claims}")
        };
        assert_eq!(refusal.id(), id, "{claims}: {refusal}");
        assert!(refusal.to_string().contains(said), "{claims}: {refusal}");
    }
    for claims in [
        json!({ "nbf": now + 60, "iat": now + 60 }),
        json!({ "exp": now + 1 }),
        json!({ "nbf": null, "iat": null }),
    ] {
        let token = issuer.token(Shape::GithubActions, AUDIENCE, noon(), &claims);
        verifier.verify(&token, noon()).await.unwrap();
    }
}

#[tokio::test]
async fn nobody_else_signs_for_an_issuer() {
    let (issuer, other) = (Issuer::start(Algorithm::Es256), Issuer::start(Algorithm::Es256));
    let verifier = asked(&issuer, app());
    let id = async |token: &str| match verifier.verify(token, noon()).await {
        Err(Failure::Refused(refusal)) => refusal.id(),
        other => panic!("{other:?}"),
    };
    let own = json!({ "iss": issuer.url(), "actor": "eve" });
    let forged = other.token(Shape::GithubActions, AUDIENCE, noon(), &own);
    assert_eq!(id(&forged).await, "workload-key-unknown");
    let good = issuer.token(Shape::GithubActions, AUDIENCE, noon(), &json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let foreign: Vec<&str> = forged.split('.').collect();
    assert_eq!(
        id(&format!("{}.{}.{}", parts[0], foreign[1], parts[2])).await,
        "workload-signature"
    );
    assert_eq!(id(&format!("{}.{}.", parts[0], parts[1])).await, "workload-signature");
    assert_eq!(id("eyJhbGciOiJub25lIn0.e30.").await, "workload-malformed");
    assert_eq!(id("opaque").await, "workload-malformed");
}

#[tokio::test]
async fn keys_are_fetched_once_and_again_for_an_unknown_one_at_most_once_a_minute() {
    let issuer = Issuer::start(Algorithm::Es256);
    let verifier = asked(&issuer, app());
    let minute = Duration::from_mins(1);
    assert_eq!(issuer.fetched(), 0, "an issuer is not asked before it is needed");
    let token = |at| issuer.token(Shape::GithubActions, AUDIENCE, at, &json!({}));
    for _ in 0..3 {
        verifier.verify(&token(noon()), noon()).await.unwrap();
    }
    assert_eq!(issuer.fetched(), 1);
    issuer.rotate();
    let refused = verifier.verify(&token(noon()), noon()).await;
    assert!(
        matches!(refused, Err(Failure::Refused(_))),
        "the last minute's keys are kept: {refused:?}"
    );
    assert_eq!(issuer.fetched(), 1);
    verifier.verify(&token(noon() + minute), noon() + minute).await.unwrap();
    assert_eq!(issuer.fetched(), 2);
}

#[tokio::test]
async fn while_the_issuer_is_down_its_keys_are_believed_for_a_day() {
    let issuer = Issuer::start(Algorithm::Es256);
    let verifier = asked(&issuer, app());
    let token = |at| issuer.token(Shape::GithubActions, AUDIENCE, at, &json!({}));
    issuer.stop();
    let down = verifier.verify(&token(noon()), noon()).await;
    let Err(Failure::Unavailable(why)) = down else { panic!("{down:?}") };
    assert!(why.to_string().contains(issuer.url()), "{why}");
    issuer.start_again();
    let soon = noon() + Duration::from_secs(1);
    assert!(verifier.verify(&token(soon), soon).await.is_err(), "it is not asked each time");
    let later = noon() + Duration::from_secs(5);
    verifier.verify(&token(later), later).await.unwrap();
    issuer.stop();
    let last = later + Duration::from_hours(24) - Duration::from_secs(1);
    verifier.verify(&token(last), last).await.unwrap();
    let over = later + Duration::from_hours(24);
    assert!(matches!(verifier.verify(&token(over), over).await, Err(Failure::Unavailable(_))));
    issuer.start_again();
    let back = over + Duration::from_mins(1);
    verifier.verify(&token(back), back).await.unwrap();
}

#[tokio::test]
async fn an_issuer_that_answers_nonsense_is_unavailable() {
    let issuer = Issuer::start(Algorithm::Es256);
    let verifier = asked(&issuer, app());
    let token = issuer.token(Shape::GithubActions, AUDIENCE, noon(), &json!({}));
    issuer.answer(Some(500));
    let Err(Failure::Unavailable(why)) = verifier.verify(&token, noon()).await else {
        panic!("it answered 500")
    };
    assert!(why.to_string().contains("answered 500"), "{why}");
}

#[tokio::test]
async fn of_many_who_come_at_once_one_fetches() {
    let issuer = Issuer::start(Algorithm::Es256);
    let verifier = Arc::new(asked(&issuer, app()));
    let token: Arc<str> = issuer.token(Shape::GithubActions, AUDIENCE, noon(), &json!({})).into();
    let all = (0..16).map(|_| {
        let (verifier, token) = (Arc::clone(&verifier), Arc::clone(&token));
        tokio::spawn(async move { verifier.verify(&token, noon()).await })
    });
    for one in all.collect::<Vec<_>>() {
        one.await.unwrap().unwrap();
    }
    assert_eq!(issuer.fetched(), 1);
}

fn judged(rules: &Rules, claims: &Json) -> Result<Workload, Refusal> {
    let mut all = Shape::GithubActions.claims(rules.issuer.as_str(), AUDIENCE, 1_800_000_000);
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    rules.judge(
        &json::parse_object(all.to_string().as_bytes()).unwrap(),
        SystemTime::UNIX_EPOCH + Duration::from_hours(500_000),
    )
}

#[test]
fn a_token_that_may_be_used_once_has_an_id() {
    let once = Rules { uses: Uses::Once, ..rules("https://a.example", app()) };
    assert!(judged(&once, &json!({})).unwrap().use_once.is_some());
    assert_eq!(judged(&once, &json!({ "jti": null })).unwrap_err(), Refusal::NoTokenId);
}

#[test]
fn accounts_of_one_name_add_up_and_of_two_are_refused() {
    let both = |second: &str| {
        let mappings = vec![
            mapping("ci/${claim:repository}", &[("repository", "acme/*")], &["ci"]),
            mapping(second, &[("repository", "acme/app")], &["release"]),
        ];
        judged(&rules("https://a.example", mappings), &json!({}))
    };
    let workload = both("ci/${claim:repository}").unwrap();
    assert!(workload.groups.iter().eq(["ci", "release"]));
    assert_eq!(both("release-bot").unwrap_err().id(), "workload-ambiguous");
}

#[test]
fn an_account_is_known_by_its_name_as_far_as_that_tells() {
    let rules = rules(
        "https://a.example",
        vec![
            mapping(
                "ci/${claim:repository}",
                &[("repository", "acme/*"), ("ref", "refs/heads/main")],
                &["ci", "repo:${claim:repository}", "${claim:environment}"],
            ),
            mapping("deploy/bot", &[("repository", "acme/deploy")], &["ops"]),
        ],
    );
    let groups = |name: &str| {
        rules
            .by_name(name, noon())
            .map(|workload| workload.groups.into_iter().collect::<Vec<_>>().join(" "))
    };
    assert_eq!(groups("ci.acme.app").as_deref(), Some("ci repo:acme/app"));
    assert_eq!(groups("deploy.bot").as_deref(), Some("ops"));
    for nobody in ["ci.evil.app", "ci.acme", "ann", "deploy.bot.x", "ci.acme.app+"] {
        assert_eq!(groups(nobody), None, "{nobody}");
    }
}
