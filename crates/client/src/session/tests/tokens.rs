//! Which token is shown, and what is done about a 401.

use insta::assert_snapshot;
use portpass_testkit::http::{Seen, Served, challenge, redirect, reply};
use secrecy::ExposeSecret as _;

use crate::{
    credentials::Credential,
    fixture::{Fixture, rights},
    repository::Mounted,
    session::Error,
};

const TAGS: &str = r#"{"name":"a","tags":["v1"]}"#;

fn password(text: &str) -> Credential {
    Credential::Password { username: "ann".into(), password: text.into() }
}

fn shown(seen: &[Seen]) -> Vec<Option<&str>> {
    seen.iter().map(|seen| seen.authorization.as_deref()).collect()
}

#[tokio::test]
async fn the_token_for_an_operation_is_got_before_it_and_once_for_many_at_a_time() {
    let stage = Fixture::start(|seen, gate| match gate.check(seen, "repository:a:pull") {
        Ok(()) => reply(200, TAGS),
        Err(refused) => refused,
    })
    .await;
    stage.memory.keep(password("secret"));
    let remote = stage.remote("a");
    let all = (0..8).map(|_| {
        let remote = remote.clone();
        tokio::spawn(async move { remote.tags().await })
    });
    for one in all.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap().unwrap(), ["v1".parse().unwrap()]);
    }
    assert_eq!(stage.service.only().one("scope"), Some("repository:a:pull"));
    assert_eq!(stage.service.only().basic().as_deref(), Some("ann:secret"));
    assert!(shown(&stage.seen()).iter().all(|shown| *shown == Some("Bearer 1|repository:a:pull")));
}

/// R6: what an operation needs is not always what we think it does; it is said once.
#[tokio::test]
async fn what_the_challenge_names_is_asked_for_too_and_remembered() {
    let stage = Fixture::start(|seen, gate| {
        let checked = gate.check(seen, "repository:a:pull repository:base:pull");
        checked.map_or_else(|refused| refused, |()| reply(200, TAGS))
    })
    .await;
    let remote = stage.remote("a");
    remote.tags().await.unwrap();
    remote.tags().await.unwrap();
    let both = "Bearer 2|repository:a:pull+repository:base:pull";
    let expected = [Some("Bearer 1|repository:a:pull"), Some(both), Some(both)];
    assert_eq!(shown(&stage.seen()), expected);
}

/// CL3: one token for both repositories.
#[tokio::test]
async fn a_mount_shows_one_token_for_both_repositories() {
    let stage = Fixture::start(|seen, gate| {
        let checked = gate.check(seen, "repository:a:pull,push repository:b:pull");
        checked.map_or_else(|refused| refused, |()| reply(201, ""))
    })
    .await;
    let digest = portpass_protocol::Digest::sha256(b"x");
    let mounted = stage.remote("a").mount_blob(&digest, &"b".parse().unwrap()).await;
    assert_eq!(mounted.unwrap(), Mounted::Yes);
    let seen = stage.seen();
    assert_eq!(rights(&seen[0]), ["repository:a:pull,push", "repository:b:pull"]);
    let asked = (seen[0].one("mount").unwrap(), seen[0].one("from").unwrap());
    assert_eq!(asked, (digest.to_string().as_str(), "b"));
}

/// CL11
#[tokio::test]
async fn a_kept_token_that_is_refused_is_got_anew_once() {
    let stage = Fixture::start(|seen, gate| {
        let shown = seen.authorization.as_deref().unwrap_or_default();
        let refused = challenge(format!("{},error=\"invalid_token\"", gate.wanted));
        // The first token ends at the second request.
        match (seen.path.as_str(), shown) {
            ("/v2/a/tags/list", _) => reply(200, TAGS),
            (_, shown) if shown.starts_with("Bearer 1|") => refused,
            _ => reply(404, ""),
        }
    })
    .await;
    let remote = stage.remote("a");
    remote.tags().await.unwrap();
    let digest = portpass_protocol::Digest::sha256(b"x");
    assert!(!remote.has_blob(&digest).await.unwrap());
    assert_eq!(stage.service.seen().len(), 2);
    assert!(!remote.has_blob(&digest).await.unwrap());
    assert_eq!((stage.seen().len(), stage.service.seen().len()), (4, 2), "and kept again");
}

/// CL11
#[tokio::test]
async fn a_new_token_that_is_refused_is_the_last_word() {
    let stage =
        Fixture::start(|_, gate| challenge(format!("{},error=\"invalid_token\"", gate.wanted)))
            .await;
    let error = stage.remote("a").tags().await.unwrap_err();
    assert_snapshot!(stage.said(&error), @"REGISTRY refuses the token of its token service (invalid_token): token has 1 part, expected 3: it is not a JWT");
    assert_eq!((stage.seen().len(), stage.service.seen().len()), (1, 1));
}

#[tokio::test]
async fn rights_that_are_not_granted_are_named() {
    let stage = Fixture::start(|_, gate| {
        let scope = r#"scope="repository:a:pull",error="insufficient_scope""#;
        challenge(format!("{},{scope}", gate.wanted))
    })
    .await;
    let error = stage.remote("a").tags().await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }));
    assert_snapshot!(stage.said(&error), @"REGISTRY does not allow it: repository:a:pull is not granted to anonymous users (authentication required (UNAUTHORIZED))");
    stage.memory.keep(password("secret"));
    let error = stage.remote("b").tags().await.unwrap_err();
    assert_snapshot!(stage.said(&error), @"REGISTRY does not allow it: repository:b:pull repository:a:pull is not granted to ann (authentication required (UNAUTHORIZED))");
}

/// A registry that always wants something else gets tired of it before we do.
#[tokio::test]
async fn ten_thousand_challenges_are_answered_a_few_times() {
    let number = std::sync::atomic::AtomicUsize::new(0);
    let stage = Fixture::start(move |_, gate| {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let scope = format!("repository:r{number}:pull");
        challenge(format!("{},scope=\"{scope}\",error=\"insufficient_scope\"", gate.wanted))
    })
    .await;
    assert!(stage.remote("a").tags().await.is_err());
    assert!(stage.seen().len() <= 3, "{}", stage.seen().len());
    assert!(stage.service.seen().len() <= 2);
}

/// One that asks for a token where a password comes, and for a password where a token comes.
#[tokio::test]
async fn a_registry_that_cannot_make_up_its_mind_is_left() {
    let number = std::sync::atomic::AtomicUsize::new(0);
    let stage = Fixture::start(move |seen, gate| {
        if number.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 100 {
            return reply(200, TAGS);
        }
        match seen.basic() {
            Some(_) => challenge(gate.wanted.clone()),
            None => challenge(r#"Basic realm="registry""#),
        }
    })
    .await;
    stage.memory.keep(password("secret"));
    let error = stage.remote("a").tags().await.unwrap_err();
    assert_snapshot!(stage.said(&error), @"http://REGISTRY/v2/a/tags/list responds with 401 Unauthorized: authentication required (UNAUTHORIZED)");
    assert!(stage.seen().len() <= 8, "{}", stage.seen().len());
}

#[tokio::test]
async fn ten_thousand_challenges_at_once_are_no_more_than_one() {
    let stage = Fixture::start(|seen, gate| match seen.authorization.as_deref() {
        Some("Bearer 2|repository:a:pull") => reply(200, TAGS),
        _ => challenge(format!("{}{}", gate.wanted, ", Basic realm=\"x\"".repeat(10_000))),
    })
    .await;
    assert!(stage.remote("a").tags().await.is_err());
    // Ten thousand scopes are not about this request, and none of them is asked for.
    let stage = Fixture::start(|_, gate| {
        let scopes: Vec<String> = (0..5_000).map(|n| format!("repository:r{n}:pull")).collect();
        challenge(format!("{},scope=\"{}\"", gate.wanted, scopes.join(" ")))
    })
    .await;
    assert!(stage.remote("a").tags().await.is_err());
    for asked in stage.service.seen() {
        assert_eq!(asked.all("scope"), ["repository:a:pull"]);
    }
}

#[tokio::test]
async fn a_registry_may_take_passwords_itself() {
    let answer = |seen: &Seen| match seen.basic().as_deref() {
        Some("ann:secret") if seen.path == "/v2/" => reply(200, "{}"),
        Some("ann:secret") => reply(200, TAGS),
        _ => challenge(r#"Basic realm="registry""#),
    };
    let service = Served::start(answer).await;
    let stage = Fixture::with_service(service, move |seen, _| answer(seen)).await;
    let session =
        crate::fixture::session(stage.service.address, &stage.memory, &stage.timer, false);
    let remote = crate::Repository::new(session, "a".parse().unwrap());
    let error = remote.tags().await.unwrap_err();
    assert_snapshot!(stage.said(&error), @"SERVICE does not allow it: repository:a:pull is not granted to anonymous users (authentication required (UNAUTHORIZED))");
    stage.memory.keep(password("wrong"));
    // Somebody who has logged in meanwhile need not begin a new session.
    let remote =
        crate::Repository::new(std::sync::Arc::clone(remote.session()), "b".parse().unwrap());
    let error = remote.tags().await.unwrap_err();
    assert_snapshot!(stage.said(&error), @"SERVICE refuses the name or the password: authentication required (UNAUTHORIZED)");
    let wrong = stage.service.seen().iter().filter(|seen| seen.basic().is_some()).count();
    assert_eq!(wrong, 1, "a wrong password is shown once (T8)");
    stage.memory.keep(password("secret"));
    assert_eq!(remote.tags().await.unwrap().len(), 1);
}

/// CL5, CL6
#[tokio::test]
async fn an_identity_token_is_posted_and_its_successor_kept() {
    let body =
        r#"{"access_token":"1|repository:a:pull","expires_in":300,"refresh_token":"second"}"#;
    let service = Served::always(reply(200, body)).await;
    let stage = Fixture::with_service(service, |_, _| reply(200, TAGS)).await;
    stage.memory.keep(Credential::IdentityToken { username: None, token: "first".into() });
    stage.remote("a").tags().await.unwrap();
    let asked = stage.service.only();
    assert_eq!((asked.method.as_str(), asked.one("refresh_token")), ("POST", Some("first")));
    let Some(Credential::IdentityToken { token, .. }) = stage.memory.kept() else { panic!() };
    assert_eq!(token.expose_secret(), "second");
    stage.remote("b").tags().await.unwrap();
    assert_eq!(stage.service.seen()[1].one("refresh_token"), Some("second"));
}

#[tokio::test]
async fn a_ready_made_token_goes_to_the_registry_and_nowhere_else() {
    let stage = Fixture::start(|seen, gate| match seen.authorization.as_deref() {
        Some("Bearer mine") => reply(200, TAGS),
        _ => challenge(gate.wanted.clone()),
    })
    .await;
    stage.memory.keep(Credential::RegistryToken("mine".into()));
    stage.remote("a").tags().await.unwrap();
    assert_eq!(stage.service.seen().len(), 0);
    stage.memory.keep(Credential::RegistryToken("old".into()));
    let error = stage.remote("b").tags().await.unwrap_err();
    assert_snapshot!(stage.said(&error), @"REGISTRY refuses the token of its token service: token has 1 part, expected 3: it is not a JWT");
    assert_eq!(stage.service.seen().len(), 0);
}

/// R1: there are registries that serve `/v2/` to everybody and ask later.
#[tokio::test]
async fn every_401_is_answered_and_not_only_that_of_the_ping() {
    let service = Served::always(reply(200, r#"{"token":"good"}"#)).await;
    let wanted = format!(r#"Bearer realm="{}",service="registry""#, service.url("/token"));
    let registry = Served::start(move |seen| match (seen.path.as_str(), &seen.authorization) {
        ("/v2/" | "/v2/public/tags/list", None) => reply(200, TAGS),
        (_, None) => challenge(format!("{wanted},scope=\"repository:private:pull\"")),
        _ => reply(200, TAGS),
    })
    .await;
    let stage = Fixture::with_service(service, |_, _| reply(500, "")).await;
    let session = crate::fixture::session(registry.address, &stage.memory, &stage.timer, false);
    let remote =
        |name: &str| crate::Repository::new(std::sync::Arc::clone(&session), name.parse().unwrap());
    remote("public").tags().await.unwrap();
    assert_eq!(stage.service.seen().len(), 0);
    remote("private").tags().await.unwrap();
    assert_eq!(stage.service.only().all("scope"), ["repository:private:pull"]);
}

/// CL10
/// CVE-2026-48978, CVE-2026-33540: credentials go to no realm that is nearer than the registry, or none.
#[tokio::test]
async fn realms_where_credentials_must_not_go_end_the_request() {
    let mut said = Vec::new();
    for realm in [
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://auth.example.com/token",
        "/token",
        "https://ann:secret@auth.example.com/token",
    ] {
        let challenge = challenge(format!(r#"Bearer realm="{realm}",service="registry""#));
        let stage = Fixture::start(move |_, _| challenge.clone()).await;
        stage.memory.keep(password("secret"));
        // The ping leads to the stage's own service; the 401 to the request elsewhere.
        let error = stage.remote("a").tags().await.unwrap_err();
        said.push(stage.said(&error));
        assert_eq!(stage.service.seen().len(), 1);
    }
    assert_snapshot!(said.join("\n"), @r#"
        the registry's realm http://169.254.169.254/latest/meta-data is plain HTTP on another machine
        the registry's realm "file:///etc/passwd" is not an absolute URL
        the registry's realm "gopher://127.0.0.1/" is neither http nor https
        the registry's realm http://auth.example.com/token is plain HTTP on another machine
        the registry's realm "/token" is not an absolute URL
        the registry's realm contains a user name or a password
        "#);
}

/// CH17, OC31
/// CVE-2020-15157 (`ContainerDrip`), GHSA-vh4v-2xq2-g5cg, CVE-2026-49349: where a redirect leads, no
/// credentials go and no challenge is answered.
#[tokio::test]
async fn a_redirect_target_gets_neither_credentials_nor_answers_to_its_challenges() {
    let content = portpass_protocol::Digest::sha256(b"x");
    let storage = Served::start(|seen| match seen.path.as_str() {
        "/open" => reply(200, "x"),
        _ => challenge(r#"Basic realm="give me your password""#),
    })
    .await;
    for (path, there) in [("/open", true), ("/asks", false)] {
        let to = storage.url(path);
        let stage = Fixture::start(move |_, _| redirect(307, to.clone())).await;
        stage.memory.keep(password("secret"));
        let found = stage.remote("a").has_blob(&content).await;
        assert_eq!(found.is_ok_and(|found| found), there);
        assert!(stage.seen()[0].authorization.is_some());
        assert_eq!(stage.seen().len(), 1);
    }
    assert_eq!(shown(&storage.seen()), [None, None]);
}

/// CVE-2021-41092, CVE-2021-32690: credentials are looked up by the registry's host alone, never by the
/// realm's or the redirect's.
#[tokio::test]
async fn a_session_looks_for_the_credentials_of_its_own_registry() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.json");
    let stage = Fixture::start(|_, _| reply(200, TAGS)).await;
    let auths = format!(
        r#"{{"auths":{{"{}":{{"auth":"YW5uOnNlY3JldA=="}},"https://index.docker.io/v1/":{{"auth":"YW5uOnNlY3JldA=="}}}}}}"#,
        stage.service.address
    );
    std::fs::write(&config, auths).unwrap();
    let places = crate::credentials::CredentialPaths { docker: Some(config), ..Default::default() };
    let registry = crate::Registry::new(
        stage.registry.address.to_string().parse().unwrap(),
        std::sync::Arc::default(),
        std::sync::Arc::new(crate::credentials::CredentialFiles::new(places)),
        std::sync::Arc::new(crate::SystemClock),
    );
    let session = std::sync::Arc::new(crate::Session::new(registry));
    crate::Repository::new(session, "a".parse().unwrap()).tags().await.unwrap();
    assert_eq!(stage.service.only().authorization, None);
}
