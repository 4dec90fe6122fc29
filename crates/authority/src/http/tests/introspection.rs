//! Questions about tokens, and where the endpoints are.

use portpass_token::Revocations;

use super::*;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

async fn ask(fixture: &Fixture, who: Option<&str>, form: &str) -> Answer {
    let mut request = with_form(request("POST", ""), form);
    *request.uri_mut() = INTROSPECT_PATH.parse().unwrap();
    let request = match who {
        Some(pair) => with_basic(request, pair),
        None => request,
    };
    send(fixture, request).await
}

/// What `admin` is told of a token.
async fn told(fixture: &Fixture, token: &str) -> Value {
    let answer = ask(fixture, Some("admin:secret"), &format!("token={token}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.json()
}

pub(super) async fn is_active(fixture: &Fixture, token: &str) -> bool {
    let answer = told(fixture, token).await;
    if answer != json!({ "active": false }) {
        assert_eq!(answer["active"], true, "nothing else is told of what is not active: {answer}");
    }
    answer["active"] == true
}

/// IM1, IM3
#[tokio::test]
async fn of_a_token_that_counts_its_claims_are_told() {
    let fixture = Fixture::new().await;
    let query = "service=other&scope=repository:ann/app:pull,push&scope=repository:bob/app:pull";
    let token = get_as(&fixture, "ann:secret", query).await.token();
    let id = fixture.verify(&token, "other").id.clone();
    let expected = json!({
        "active": true,
        "scope": "repository:ann/app:pull,push",
        "username": "ann",
        "token_type": "Bearer",
        "exp": NOW + 300,
        "iat": NOW,
        "nbf": NOW - 60,
        "sub": "ann",
        "aud": "other",
        "iss": "dtest",
        "jti": id,
    });
    assert_eq!(told(&fixture, &token).await, expected);
    let anonymous = get(&fixture, "scope=repository:public/a:pull").await.token();
    let answer = told(&fixture, &anonymous).await;
    assert_eq!(
        (&answer["sub"], &answer["scope"]),
        (&json!(""), &json!("repository:public/a:pull"))
    );
    assert!(answer.get("username").is_none(), "{answer}");

    let refresh = log_in(&fixture).await;
    let answer = told(&fixture, &refresh).await;
    for (name, value) in [
        ("active", json!(true)),
        ("username", json!("ann")),
        ("client_id", json!("docker")),
        ("aud", json!("registry")),
        ("token_type", json!("refresh_token")),
    ] {
        assert_eq!(answer[name], value, "{answer}");
    }
    assert!(answer.get("scope").is_none(), "{answer}");
}

/// IM3: whatever was wrong, the answer is the same.
#[tokio::test]
async fn of_a_token_that_does_not_count_nothing_is_told() {
    let fixture = Fixture::new().await;
    let token = get_as(&fixture, "ann:secret", "scope=repository:ann/app:pull").await.token();
    let (head, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    let stranger = Fixture::new().await;
    let foreign = get_as(&stranger, "ann:secret", "").await.token();
    let unknown = RefreshSecret::generate(&crate::fixture::Counter::default());
    for text in ["nonsense", "", "ppr_00", &forged, &foreign, unknown.expose()] {
        assert!(!is_active(&fixture, text).await, "{text}");
    }
    assert!(is_active(&fixture, &token).await);

    // The moment it ends, though registries forgive a minute.
    fixture.clock.advance(300);
    assert!(is_active(&fixture, &token).await);
    fixture.clock.advance(1);
    assert!(!is_active(&fixture, &token).await);

    let refresh = log_in(&fixture).await;
    fixture.accounts.change("ann", |ann| ann.enabled = false);
    assert!(!is_active(&fixture, &refresh).await, "its account is disabled");
    fixture.accounts.change("ann", |ann| (ann.enabled, ann.version) = (true, 2));
    assert!(!is_active(&fixture, &refresh).await, "its account has another password");
    fixture.accounts.change("ann", |ann| ann.version = 1);
    assert!(is_active(&fixture, &refresh).await, "asking ends nothing");
}

/// IM3, VO14: registries elsewhere learn by this what ours knows by itself.
#[tokio::test]
async fn a_revoked_token_is_not_active() {
    let fixture = Fixture::new().await;
    let token = get_as(&fixture, "ann:secret", "service=other").await.token();
    assert!(is_active(&fixture, &token).await);
    for verifier in fixture.service.verifiers() {
        let from = portpass_token::NumericDate(i64::try_from(NOW).unwrap() + 1);
        verifier.replace_revocations(Revocations::from_iter([("ann", from)]));
    }
    assert!(!is_active(&fixture, &token).await);
}

/// IM2
#[tokio::test]
async fn only_who_may_ask_is_told_and_everybody_needs_an_account() {
    let fixture = Fixture::new().await;
    let token = get_as(&fixture, "ann:secret", "").await.token();
    let form = format!("token={token}&token_type_hint=refresh_token");
    let refused = ask(&fixture, None, &form).await;
    assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("invalid_client")));
    assert!(refused.header("www-authenticate").starts_with("Basic realm="));
    let refused = ask(&fixture, Some("admin:guess"), &form).await;
    assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("invalid_client")));
    let refused = ask(&fixture, Some("ann:secret"), &form).await;
    assert_eq!((refused.status, &refused.json()["error"]), (403, &json!("unauthorized_client")));
    assert_eq!(refused.handled.unwrap().refusal.unwrap().id, "introspection-denied");
    fixture.accounts.change("bob", |bob| bob.groups = vec!["registries"]);
    let answer = ask(&fixture, Some("bob:secret"), &form).await;
    assert_eq!(answer.json()["active"], true, "a hint is no more than that");

    // ann may now; a key of hers reaches repositories alone.
    fixture.accounts.change("ann", |ann| ann.groups = vec!["registries"]);
    let key = format!("ann:{}", machines::key(&fixture).await);
    assert_eq!(ask(&fixture, Some("ann:secret"), &form).await.status, 200);
    let refused = ask(&fixture, Some(&key), &form).await;
    assert_eq!((refused.status, &refused.json()["error"]), (403, &json!("unauthorized_client")));

    let bearer = |token: &str| {
        let mut request = with_form(request("POST", ""), &form);
        *request.uri_mut() = INTROSPECT_PATH.parse().unwrap();
        let value = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, value);
        request
    };
    assert_eq!(send(&fixture, bearer(&token)).await.status, 401);
    for (method, status) in [("GET", 405), ("PUT", 405), ("OPTIONS", 204)] {
        let request = Request::builder().method(method).uri(INTROSPECT_PATH);
        assert_eq!(send(&fixture, request.body(Body::empty()).unwrap()).await.status, status);
    }
    for form in ["", "nothing=here", "token=a&token=b"] {
        assert_eq!(ask(&fixture, Some("admin:secret"), form).await.status, 400, "{form}");
    }
}

#[tokio::test]
async fn who_guesses_here_guesses_at_the_token_endpoint() {
    let fixture = with_limits().await;
    let guess = async |number| {
        let mut request = with_form(request("POST", ""), "token=x");
        *request.uri_mut() = INTROSPECT_PATH.parse().unwrap();
        request.extensions_mut().insert(ClientAddress([192, 0, 2, 1].into()));
        send(&fixture, with_basic(request, &format!("ann:guess{number}"))).await
    };
    let mut number = 0;
    while guess(number).await.status == 401 {
        number += 1;
        assert!(number < 200, "nothing limits it");
    }
    assert_eq!(attempt(&fixture, "another guess").await.status, 429);
}

/// IM4, IM5
#[tokio::test]
async fn the_metadata_says_what_is_there() {
    let fixture = Fixture::new().await;
    let path: TokenPath = "/registry/v1/token".parse().unwrap();
    let endpoints =
        Endpoints { url: None, token: &path, introspection: true, token_exchange: false };
    let metadata = Metadata::new(&"https://auth.example.com/a".into(), &endpoints).unwrap();
    let at = metadata.path().to_owned();
    assert_eq!(at, "/.well-known/oauth-authorization-server/a");
    let ask = |method: &str| {
        let service = Arc::clone(&fixture.service);
        let request = Request::builder().method(method).uri(&at).body(Body::empty()).unwrap();
        answer(router(service, &path, Some(metadata.clone())), request)
    };
    let answer = ask("GET").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    insta::assert_snapshot!(serde_json::to_string_pretty(&answer.json()).unwrap());
    assert_eq!(ask("HEAD").await.status, 200);
    assert_eq!(ask("OPTIONS").await.header("allow"), "GET, HEAD");
    assert_eq!(ask("POST").await.status, 405);

    let url = portpass_protocol::Origin {
        scheme: "https".parse().unwrap(),
        authority: "10.0.0.1:5000".parse().unwrap(),
    };
    let endpoints =
        Endpoints { url: Some(&url), token: &path, introspection: false, token_exchange: true };
    let metadata = Metadata::new(&"https://auth.example.com/a".into(), &endpoints).unwrap();
    let service = Arc::clone(&fixture.service);
    let request = Request::builder().uri(&at).body(Body::empty()).unwrap();
    let document = super::answer(router(service, &path, Some(metadata)), request).await.json();
    assert_eq!(document["token_endpoint"], "https://10.0.0.1:5000/registry/v1/token");
    assert!(document.get("introspection_endpoint").is_none(), "{document}");
    // RFC 8693 §2.1: where there are issuers whose tokens can be exchanged, and nowhere else.
    let grants = document["grant_types_supported"].as_array().unwrap();
    assert!(grants.contains(&Value::from(EXCHANGE)), "{document}");
}
