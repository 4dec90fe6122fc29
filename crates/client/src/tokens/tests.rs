use insta::assert_snapshot;
use portpass_testkit::http::{Reply, Seen, Served, redirect, reply};

use super::*;
use crate::{fixture::StoppedClock, realm::RegistryEndpoint, transport::NetworkZone};

const TOKEN: &str = r#"{"token":"aaa.bbb.ccc","access_token":"aaa.bbb.ccc","expires_in":300}"#;

fn request(url: &str) -> TokenRequest {
    let endpoint = RegistryEndpoint {
        origin: "http://127.0.0.1:5000/".parse().unwrap(),
        zone: NetworkZone::Loopback,
        plain_http: false,
    };
    TokenRequest {
        realm: Realm::check(url, &endpoint).unwrap(),
        service: Some("registry".to_owned()),
        scopes: Scopes::parse("repository:a/b:pull,push repository:c/d:pull"),
        offline: false,
    }
}

fn password(password: &str) -> Credential {
    Credential::Password { username: "ann".to_owned(), password: password.into() }
}

fn identity_token() -> Credential {
    Credential::IdentityToken { username: Some("ann".to_owned()), token: "refresh me".into() }
}

fn tokens() -> (Tokens, Arc<StoppedClock>) {
    let clock = StoppedClock::new();
    (Tokens::new(Arc::default(), Arc::clone(&clock) as Arc<dyn Clock>), clock)
}

async fn fails(reply: Reply, credential: Option<Credential>) -> TokenError {
    let service = Served::always(reply).await;
    let request = request(&service.url("/token"));
    let error = tokens().0.get(&request, credential.as_ref()).await.unwrap_err();
    // Ports are the kernel's choice.
    let text = error.to_string();
    assert!(
        text.contains(&service.address.to_string()) || matches!(error, TokenError::ReadyMade),
        "{text}"
    );
    error
}

async fn says(reply: Reply, credential: Option<Credential>) -> String {
    let error = fails(reply, credential).await;
    let text = format!("{error}; {}", error.hints().join(", "));
    let start = text.find("127.0.0.1:").unwrap();
    let end = start + text[start..].find('/').unwrap();
    format!("{}HOST{}", &text[..start], &text[end..])
}

/// TG1, TG2, T6
#[tokio::test]
async fn a_password_goes_by_get_and_basic() {
    let service = Served::always(reply(200, TOKEN)).await;
    let mut request = request(&service.url("/token?tenant=x"));
    let issued = tokens().0.get(&request, Some(&password("sec:ret"))).await.unwrap();
    assert_eq!((issued.token.expose_secret(), issued.flow), ("aaa.bbb.ccc", TokenFlow::Basic));
    let seen = service.only();
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/token"));
    assert_eq!(seen.basic().as_deref(), Some("ann:sec:ret"));
    assert_eq!(seen.one("tenant"), Some("x"));
    assert_eq!(seen.one("service"), Some("registry"));
    assert_eq!(seen.all("scope"), ["repository:a/b:pull,push", "repository:c/d:pull"]);
    assert_eq!(seen.one("account"), Some("ann"));
    assert_eq!(seen.one("client_id"), Some("portpass"));
    assert_eq!(seen.one("offline_token"), None);

    // T10: what there is nothing to say about is left out; TG7: logging in wants a refresh token.
    (request.service, request.scopes, request.offline) = (None, Scopes::none(), true);
    tokens().0.get(&request, None).await.unwrap();
    let seen = service.seen().pop().unwrap();
    assert_eq!(
        (seen.one("service"), seen.one("account"), seen.all("scope").len()),
        (None, None, 0)
    );
    assert_eq!(seen.one("offline_token"), Some("true"));
    assert_eq!(seen.authorization, None);
}

/// TP1, TP4
#[tokio::test]
async fn an_identity_token_goes_by_post_and_nowhere_else() {
    let body = r#"{"access_token":"aaa.bbb.ccc","scope":"","expires_in":300,"refresh_token":"refresh me"}"#;
    let service = Served::always(reply(200, body)).await;
    let issued =
        tokens().0.get(&request(&service.url("/token")), Some(&identity_token())).await.unwrap();
    assert_eq!((issued.flow, issued.scope.as_deref()), (TokenFlow::Refresh, Some("")));
    assert_eq!(issued.refresh_token.as_ref().unwrap().expose_secret(), "refresh me");
    let seen = service.only();
    assert_eq!(
        (seen.method.as_str(), seen.query.len(), seen.authorization.as_ref()),
        ("POST", 0, None)
    );
    assert_eq!(seen.one("grant_type"), Some("refresh_token"));
    assert_eq!(seen.one("refresh_token"), Some("refresh me"));
    assert_eq!(seen.one("service"), Some("registry"));
    assert_eq!(seen.one("client_id"), Some("portpass"));
    assert_eq!(seen.one("scope"), Some("repository:a/b:pull,push repository:c/d:pull"));
}

/// CL5
#[tokio::test]
async fn a_service_without_get_is_asked_by_post() {
    for status in [404, 405] {
        let answer = move |seen: &Seen| {
            if seen.method == "POST" { reply(200, TOKEN) } else { reply(status, "") }
        };
        let service = Served::start(answer).await;
        let issued = tokens()
            .0
            .get(&request(&service.url("/token")), Some(&password("secret")))
            .await
            .unwrap();
        assert_eq!(issued.flow, TokenFlow::Password);
        let post = service.seen().pop().unwrap();
        assert_eq!((post.one("username"), post.one("password")), (Some("ann"), Some("secret")));
        assert_eq!((post.one("grant_type"), post.basic()), (Some("password"), None));
    }
}

/// T8: two failures for one wrong password lock accounts.
#[tokio::test]
async fn a_wrong_password_is_sent_once() {
    let service = Served::always(reply(401, r#"{"details":"no"}"#)).await;
    let (tokens, _) = tokens();
    let request = request(&service.url("/token"));
    assert!(matches!(
        tokens.get(&request, Some(&password("wrong"))).await,
        Err(TokenError::Refused { .. })
    ));
    assert_eq!(service.seen().len(), 1);
    // Whoever comes later may try again: somebody may have set the password meanwhile.
    assert!(tokens.get(&request, Some(&password("wrong"))).await.is_err());
    assert_eq!(service.seen().len(), 2);
}

/// CL4
#[tokio::test]
async fn a_token_is_kept_until_shortly_before_its_end() {
    let service = Served::always(reply(200, TOKEN)).await;
    let (tokens, clock) = tokens();
    let request = request(&service.url("/token"));
    for (advance, requests) in [(0, 1), (294, 1), (1, 2), (0, 2)] {
        clock.advance(advance);
        tokens.get(&request, None).await.unwrap();
        assert_eq!(service.seen().len(), requests, "after {advance} s more");
    }
    // CL11: a token that a registry refuses is not kept.
    let refused = tokens.get(&request, None).await.unwrap();
    tokens.forget(&request, None, &refused).await;
    tokens.get(&request, None).await.unwrap();
    tokens.forget(&request, None, &refused).await;
    tokens.get(&request, None).await.unwrap();
    assert_eq!(service.seen().len(), 3);
}

/// TG5, T4: what is not said is a minute; what is said is believed, even if it is less.
#[tokio::test]
async fn life_is_as_said_or_a_minute() {
    for (body, life) in [
        (r#"{"token":"t"}"#, 60),
        (r#"{"token":"t","expires_in":30}"#, 30),
        (r#"{"token":"t","expires_in":"300"}"#, 300),
    ] {
        let service = Served::always(reply(200, body)).await;
        let (tokens, clock) = tokens();
        let issued = tokens.get(&request(&service.url("/token")), None).await.unwrap();
        assert_eq!(issued.expires_in, life, "{body}");
        assert_eq!(issued.until, clock.now() + Duration::from_secs(life - 5), "{body}");
        assert!(!issued.oddities.is_empty(), "{body}");
    }
    let service =
        Served::always(reply(200, r#"{"token":"t","expires_in":18446744073709551615}"#)).await;
    let (tokens, clock) = tokens();
    assert_eq!(
        tokens.get(&request(&service.url("/token")), None).await.unwrap().until,
        clock.now()
    );
}

/// Whatever an answer depends on makes it another answer.
#[tokio::test]
async fn a_kept_token_is_for_the_same_question_of_the_same_person_only() {
    let service = Served::always(reply(200, TOKEN)).await;
    let (tokens, _) = tokens();
    let first = request(&service.url("/token"));
    let reordered = TokenRequest {
        scopes: Scopes::parse("repository:c/d:pull repository:a/b:push,pull"),
        ..first.clone()
    };
    let other_service = TokenRequest { service: None, ..first.clone() };
    let other_scopes = TokenRequest { scopes: Scopes::none(), ..first.clone() };
    let other_realm = request(&service.url("/other"));
    let offline = TokenRequest { offline: true, ..first.clone() };
    let (ann, changed, identity) = (password("secret"), password("changed"), identity_token());
    let table = [
        (&first, None, 1),
        (&reordered, None, 1),
        (&other_service, None, 2),
        (&other_scopes, None, 3),
        (&other_realm, None, 4),
        (&offline, None, 5),
        (&first, Some(&ann), 6),
        (&first, Some(&changed), 7),
        (&first, Some(&identity), 8),
        (&first, Some(&ann), 8),
        (&first, None, 8),
    ];
    for (request, credential, requests) in table {
        tokens.get(request, credential).await.unwrap();
        assert_eq!(service.seen().len(), requests, "{request:?}");
    }
}

/// CL4
#[tokio::test]
async fn those_who_ask_at_once_share_one_request() {
    let (good, bad) =
        (Served::always(reply(200, TOKEN)).await, Served::always(reply(401, "")).await);
    let (tokens, _) = tokens();
    for (service, succeeds) in [(&good, true), (&bad, false)] {
        let request = request(&service.url("/token"));
        let credential = password("secret");
        let get = || tokens.get(&request, Some(&credential));
        let all = tokio::join!(get(), get(), get(), get(), get());
        for result in [all.0, all.1, all.2, all.3, all.4] {
            assert_eq!(result.is_ok(), succeeds);
        }
        assert_eq!(service.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_the_way_free() {
    let service = Served::always(reply(200, TOKEN)).await;
    let (tokens, _) = tokens();
    let request = request(&service.url("/token"));
    {
        let given_up = tokens.get(&request, None);
        tokio::pin!(given_up);
        // Polled once and dropped: it holds the slot, and lets go of it.
        let once = std::future::poll_fn(|context| {
            std::task::Poll::Ready(given_up.as_mut().poll(context).is_pending())
        });
        assert!(once.await);
    }
    assert!(tokens.get(&request, None).await.is_ok());
}

/// The first story: what the operator saw was "authorization server did not include a token in the
/// response".
#[tokio::test]
async fn an_answer_without_a_token_says_what_is_there_instead() {
    let ok = |body: &str| says(reply(200, body.to_owned()), Some(password("secret")));
    assert_snapshot!(ok(r#"{"jwt":"aaa.bbb.ccc"}"#).await, @r#"the token service's response has no token; its keys are "jwt" (http://HOST/token); the response must be a JSON object with the token under "token" and "access_token", and "expires_in" in seconds"#);
    assert_snapshot!(ok(r#"{"data":{"token":"aaa.bbb.ccc"},"code":0}"#).await, @r#"the token service's response has no token; its keys are "data", "code" (http://HOST/token); the response must be a JSON object with the token under "token" and "access_token", and "expires_in" in seconds"#);
    assert_snapshot!(ok("{}").await, @r#"the token service's response has no token; it is an empty object (http://HOST/token); the response must be a JSON object with the token under "token" and "access_token", and "expires_in" in seconds"#);
    assert_snapshot!(ok(r#"{"token":""}"#).await, @r#"the token service's response has an empty "token" (http://HOST/token); the response must be a JSON object with the token under "token" and "access_token", and "expires_in" in seconds"#);
    assert_snapshot!(ok("aaa.bbb.ccc").await, @r#"the token service's response is a bare token; it must be a JSON object with the key "token" (http://HOST/token); the response must be a JSON object with the token under "token" and "access_token", and "expires_in" in seconds"#);
    assert_snapshot!(ok("<html><title>Sign in</title></html>").await, @r#"the token service's response is a page for browsers, titled "Sign in", not JSON (http://HOST/token); the response must be a JSON object with the token under "token" and "access_token", and "expires_in" in seconds"#);
    assert_snapshot!(ok(&format!("{{\"token\":\"{}\"}}", "a".repeat(70_000))).await, @r#"the response of the token service http://HOST/token is longer than 65536 bytes; the response must be a JSON object with the token under "token" and "access_token", and "expires_in" in seconds"#);
}

#[tokio::test]
async fn refusals_and_failures_are_told_apart() {
    let refused = || {
        reply(
            401,
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]}"#,
        )
    };
    assert_snapshot!(says(refused(), Some(password("secret"))).await, @"the token service http://HOST/token refuses the name or the password: incorrect username or password (UNAUTHORIZED);");
    assert_snapshot!(says(refused(), None).await, @"the token service http://HOST/token gives no token to anonymous users: incorrect username or password (UNAUTHORIZED); log in first");
    let grant = r#"{"error":"invalid_grant","error_description":"the refresh token was revoked"}"#;
    assert_snapshot!(says(reply(401, grant), Some(identity_token())).await, @"the token service http://HOST/token refuses the identity token: the refresh token was revoked (invalid_grant); log in again, with the password");
    assert_snapshot!(says(reply(400, grant), Some(identity_token())).await, @"the token service http://HOST/token refuses the identity token: the refresh token was revoked (invalid_grant); log in again, with the password");
    assert_snapshot!(says(reply(405, ""), Some(identity_token())).await, @"the token service http://HOST/token supports no identity token (POST fails with 405); log in again, with the password");
    assert_snapshot!(says(reply(404, "404 page not found"), Some(password("secret"))).await, @r#"the token service http://HOST/token responds with 404: "404 page not found"; the path of `realm` in the registry's `auth: token:` must be the one that the token service serves"#);
    assert_snapshot!(says(reply(429, r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"wait 3 s"}]}"#), None).await, @"the token service http://HOST/token responds with 429: wait 3 s (TOOMANYREQUESTS); wait a moment, then try again");
    assert_snapshot!(says(reply(503, "<html>"), None).await, @"the token service http://HOST/token responds with 503: a page for browsers;");
}

#[tokio::test]
async fn a_token_for_the_registry_itself_is_sent_to_no_token_service() {
    let service = Served::always(reply(200, TOKEN)).await;
    let credential = Credential::RegistryToken("ready".into());
    let error =
        tokens().0.get(&request(&service.url("/token")), Some(&credential)).await.unwrap_err();
    assert_eq!((error, service.seen().len()), (TokenError::ReadyMade, 0));
}

/// CH17
/// CVE-2020-15157 and its kin: what is for one origin goes to no other.
#[tokio::test]
async fn credentials_follow_no_redirect_to_another_origin() {
    let thief = Served::always(reply(200, TOKEN)).await;
    for status in [301, 302, 303, 307, 308] {
        let service = Served::always(redirect(status, thief.url("/token"))).await;
        for credential in [password("secret"), identity_token()] {
            let result = tokens().0.get(&request(&service.url("/token")), Some(&credential)).await;
            assert!(matches!(result, Err(TokenError::Transport { .. })), "{status}: {result:?}");
        }
    }
    assert_eq!(thief.seen().len(), 0);
    let service = Served::always(redirect(307, thief.url("/token"))).await;
    tokens().0.get(&request(&service.url("/token")), None).await.unwrap();
    assert_eq!(thief.only().authorization, None);
}

#[tokio::test]
async fn no_secret_is_in_what_can_be_printed() {
    let body = r#"{"token":"aaa.bbb.ccc","refresh_token":"refresh me"}"#;
    let service = Served::always(reply(200, body)).await;
    let (tokens, _) = tokens();
    let issued =
        tokens.get(&request(&service.url("/token")), Some(&password("secret"))).await.unwrap();
    let printed = format!("{issued:?} {tokens:?} {:?}", password("secret"));
    for secret in ["aaa.bbb", "refresh me", "secret\""] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
