use insta::assert_snapshot;
use portpass_testkit::http::{Reply, Seen, Served, challenge, redirect, reply};

use super::*;
use crate::{
    fixture::{MEMORY, MemoryStore, StoppedClock},
    transport::Settings,
};

/// A registry and the client's view of it.
struct Set {
    server: Served,
    memory: Arc<MemoryStore>,
    registry: Registry,
}

impl Set {
    fn of(server: Served) -> Self {
        let memory = Arc::new(MemoryStore::default());
        let host = server.address.to_string().parse().unwrap();
        let credentials = Arc::clone(&memory) as Arc<dyn CredentialStore>;
        let registry = Registry::new(host, Arc::default(), credentials, StoppedClock::new());
        Self { server, memory, registry }
    }

    /// A registry that takes one token and sends everybody else to a token service.
    async fn with_tokens(service: &Served) -> Self {
        let wanted = format!(r#"Bearer realm="{}",service="registry""#, service.url("/token"));
        Self::of(Served::start(move |seen| registry(seen, &wanted)).await)
    }

    fn keep(&self, credential: Credential) {
        self.memory.keep(credential);
    }

    /// An error without the ports that the kernel picked.
    fn said(&self, error: &Error) -> String {
        error.to_string().replace(&self.server.address.to_string(), "REGISTRY")
    }
}

const GOOD: &str = r#"{"token":"good","access_token":"good","expires_in":300}"#;

fn registry(seen: &Seen, wanted: &str) -> Reply {
    match (seen.path.as_str(), seen.authorization.as_deref()) {
        (_, Some("Bearer good")) => reply(200, "{}"),
        ("/v2/", None) => challenge(wanted),
        (_, Some(_)) => challenge(format!("{wanted},error=\"invalid_token\"")),
        _ => challenge(format!("{wanted},scope=\"repository:extra:pull\"")),
    }
}

fn identity_token(token: &str) -> Credential {
    Credential::IdentityToken { username: Some("ann".into()), token: token.into() }
}

fn password() -> Credential {
    Credential::Password { username: "ann".into(), password: "secret".into() }
}

/// CL12
#[tokio::test]
async fn logging_in_keeps_the_identity_token_and_not_the_password() {
    let body =
        r#"{"token":"good","access_token":"good","expires_in":300,"refresh_token":"refresh"}"#;
    let service = Served::always(reply(200, body)).await;
    let set = Set::with_tokens(&service).await;
    let done = set.registry.log_in("ann", "secret".into()).await.unwrap();
    assert!(done.identity_token);
    assert_eq!(done.kept, Some(MEMORY));
    let Some(Credential::IdentityToken { username, token }) = set.memory.kept() else {
        panic!("no identity token")
    };
    assert_eq!((username.as_deref(), token.expose_secret()), (Some("ann"), "refresh"));
    let asked = service.only();
    assert_eq!(asked.basic().as_deref(), Some("ann:secret"));
    assert_eq!((asked.one("offline_token"), asked.all("scope").len()), (Some("true"), 0));
    // The password went to the token service alone.
    for seen in set.server.seen() {
        assert!(matches!(seen.authorization.as_deref(), None | Some("Bearer good")), "{seen:?}");
    }
}

#[tokio::test]
async fn without_a_refresh_token_the_password_is_kept() {
    let service = Served::always(reply(200, GOOD)).await;
    let set = Set::with_tokens(&service).await;
    assert!(!set.registry.log_in("ann", "secret".into()).await.unwrap().identity_token);
    assert!(matches!(set.memory.kept(), Some(Credential::Password { .. })));
}

#[tokio::test]
async fn what_is_not_accepted_is_not_kept() {
    let wrong = Served::always(reply(401, r#"{"details":"incorrect username or password"}"#)).await;
    let foreign = Served::always(reply(200, r#"{"jwt":"good"}"#)).await;
    let opaque =
        Served::always(reply(200, r#"{"token":"0123456789abcdef","expires_in":300}"#)).await;
    // A JWT whose `exp` is a text: {"alg":"ES256"} . {"iss":"a","exp":"soon"} . a signature
    let odd = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJhIiwiZXhwIjoic29vbiJ9.c2ln";
    let odd = Served::always(reply(200, format!(r#"{{"token":"{odd}"}}"#))).await;
    let mut said = Vec::new();
    for service in [&wrong, &foreign, &opaque, &odd] {
        let set = Set::with_tokens(service).await;
        let error = set.registry.log_in("ann", "secret".into()).await.unwrap_err();
        said.push(set.said(&error).replace(&service.address.to_string(), "SERVICE"));
        assert!(set.memory.kept().is_none());
    }
    assert_snapshot!(said.join("\n"), @r#"
    the token service http://SERVICE/token refuses the name or the password: incorrect username or password
    the token service's response has no token; its keys are "jwt" (http://SERVICE/token)
    REGISTRY refuses the token of its token service (invalid_token): token has 1 part, expected 3: it is not a JWT
    REGISTRY refuses the token of its token service (invalid_token): the token's claim `exp` is a string, expected whole seconds since 1970
    "#);
}

#[tokio::test]
async fn a_registry_may_check_the_password_itself() {
    let answer = |seen: &Seen| match seen.basic().as_deref() {
        Some("ann:secret") => reply(200, "{}"),
        _ => challenge(r#"Basic realm="registry""#),
    };
    let set = Set::of(Served::start(answer).await);
    let error = set.registry.log_in("ann", "wrong".into()).await.unwrap_err();
    assert_snapshot!(set.said(&error), @"REGISTRY refuses the name or the password: authentication required (UNAUTHORIZED)");
    assert!(set.memory.kept().is_none());
    set.registry.log_in("ann", "secret".into()).await.unwrap();
    assert!(matches!(set.memory.kept(), Some(Credential::Password { .. })));
    let error = set.registry.token(&Scopes::none()).await.unwrap_err();
    assert_snapshot!(set.said(&error), @"REGISTRY uses no tokens: it requires the password itself");
}

#[tokio::test]
async fn a_registry_that_asks_for_nothing_gets_nothing() {
    let set = Set::of(Served::always(reply(200, "{}")).await);
    let done = set.registry.log_in("ann", "secret".into()).await.unwrap();
    assert!(done.kept.is_none() && set.memory.kept().is_none());
    assert!(set.server.seen().iter().all(|seen| seen.authorization.is_none()));
}

/// CL8
#[tokio::test]
async fn names_that_basic_cannot_carry_are_refused_before_anything_is_sent() {
    let set = Set::of(Served::always(reply(200, "{}")).await);
    for name in ["", "a:b"] {
        assert!(set.registry.log_in(name, "secret".into()).await.is_err());
    }
    assert_eq!(set.server.seen().len(), 0);
}

/// CL5
#[tokio::test]
async fn a_token_is_got_with_what_is_kept() {
    let service = Served::always(reply(200, GOOD)).await;
    for (credential, method) in
        [(None, "GET"), (Some(password()), "GET"), (Some(identity_token("refresh")), "POST")]
    {
        let set = Set::with_tokens(&service).await;
        if let Some(credential) = credential {
            set.keep(credential);
        }
        let granted = set.registry.token(&Scopes::parse("repository:a/b:pull,push")).await.unwrap();
        assert_eq!(granted.issued.token.expose_secret(), "good");
        assert_eq!(granted.service.as_deref(), Some("registry"));
        let asked = service.seen().pop().unwrap();
        assert_eq!(
            (asked.method.as_str(), asked.one("scope")),
            (method, Some("repository:a/b:pull,push"))
        );
    }
}

/// TG4
#[tokio::test]
async fn what_was_not_granted_can_be_told() {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let claims = r#"{"iss":"a","exp":1700000300,"access":[
        {"type":"repository","name":"a","actions":["pull"]},
        {"type":"repository","name":"all","actions":["pull","push","delete"]},
        {"type":"repository","name":"denied","actions":[]}
    ]}"#;
    let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
    let service = Served::always(reply(200, format!(r#"{{"token":"{token}"}}"#))).await;
    let set = Set::with_tokens(&service).await;
    let asked =
        "repository:a:pull,push repository:all:* repository:denied:pull repository:unknown:*";
    let granted = set.registry.token(&Scopes::parse(asked)).await.unwrap();
    let missing: Vec<String> = granted.missing().iter().map(ToString::to_string).collect();
    assert_eq!(missing, ["repository:a:push", "repository:denied:pull", "repository:unknown:*"]);
    // Of a token that cannot be read, nothing is known to be missing.
    let opaque = Served::always(reply(200, GOOD)).await;
    let granted =
        Set::with_tokens(&opaque).await.registry.token(&Scopes::parse(asked)).await.unwrap();
    assert_eq!(granted.missing(), []);
}

/// CL6: docker ignores a new one and is locked out (T9); we are not.
#[tokio::test]
async fn a_refresh_token_that_was_replaced_is_kept() {
    let body = r#"{"access_token":"good","expires_in":300,"refresh_token":"second"}"#;
    let service = Served::always(reply(200, body)).await;
    let set = Set::with_tokens(&service).await;
    set.keep(identity_token("first"));
    set.registry.token(&Scopes::none()).await.unwrap();
    let Some(Credential::IdentityToken { username, token }) = set.memory.kept() else {
        panic!("no identity token")
    };
    assert_eq!((username.as_deref(), token.expose_secret()), (Some("ann"), "second"));
}

/// R1: there are registries that serve `/v2/` to everybody and ask later.
#[tokio::test]
async fn a_registry_that_asks_only_at_a_repository_is_asked_there() {
    let service = Served::always(reply(200, GOOD)).await;
    let wanted = format!(r#"Bearer realm="{}",service="registry""#, service.url("/token"));
    let answer = move |seen: &Seen| {
        if seen.path == "/v2/" { reply(200, "{}") } else { registry(seen, &wanted) }
    };
    let set = Set::of(Served::start(answer).await);
    let granted = set.registry.token(&Scopes::parse("repository:a/b:pull")).await.unwrap();
    assert_eq!(granted.scopes.to_string(), "repository:a/b:pull repository:extra:pull");
    assert_eq!(set.server.seen()[1].path, "/v2/a/b/tags/list");
    let error = set.registry.token(&Scopes::none()).await.unwrap_err();
    assert_snapshot!(set.said(&error), @"REGISTRY uses no tokens: it requires none");
}

/// CL7
#[tokio::test]
async fn challenges_that_lead_nowhere_are_named() {
    let mut said = Vec::new();
    for reply in [
        challenge(r#"Bearer service="registry""#),
        challenge("Negotiate"),
        challenge(r#"Bearer realm="/token""#),
        challenge(r#"Bearer realm="http://auth.example.com/token""#),
        reply(401, ""),
        reply(404, "404 page not found"),
        reply(503, "<html><title>Bad Gateway</title>"),
    ] {
        let set = Set::of(Served::always(reply).await);
        let error = set.registry.token(&Scopes::none()).await.unwrap_err();
        said.push(set.said(&error));
    }
    assert_snapshot!(said.join("\n"), @r#"
    http://REGISTRY/v2/ asks for a token, but its challenge has no realm
    http://REGISTRY/v2/ requires credentials, but accepts neither a token nor a password (it offers negotiate)
    the registry's realm "/token" is not an absolute URL
    the registry's realm http://auth.example.com/token is plain HTTP on another machine
    http://REGISTRY/v2/ requires credentials, but accepts neither a token nor a password (it offers nothing)
    http://REGISTRY/v2/ responds with 404 Not Found: "404 page not found"
    http://REGISTRY/v2/ responds with 503 Service Unavailable: a page for browsers, titled "Bad Gateway"
    "#);
}

/// R9, and who would get the credentials: another host is another registry.
#[tokio::test]
async fn a_ping_that_leads_to_another_host_is_not_followed_with_credentials() {
    let other = Served::always(challenge(r#"Basic realm="mine now""#)).await;
    let set = Set::of(Served::always(redirect(302, other.url("/v2/"))).await);
    let error = set.registry.log_in("ann", "secret".into()).await.unwrap_err();
    assert!(matches!(error, Error::Transport(TransportError::Redirect { .. })), "{error}");
    assert!(other.seen().iter().all(|seen| seen.authorization.is_none()));
}

/// Plain HTTP is for loopback, and for those who ask for it.
#[test]
fn other_machines_are_not_spoken_to_in_plain_http() {
    let tried = |plain_http, host: &str| {
        let Schemes { first, then } = schemes(plain_http, &host.parse().unwrap());
        [Some(first), then]
    };
    assert_eq!(tried(false, "registry.example.com:5000"), [Some("https"), None]);
    assert_eq!(tried(false, "10.0.0.5"), [Some("https"), None]);
    assert_eq!(tried(false, "127.0.0.1:5000"), [Some("https"), Some("http")]);
    assert_eq!(tried(true, "registry.example.com:5000"), [Some("http"), None]);
}

#[tokio::test]
async fn plain_http_that_was_asked_for_is_the_only_thing_tried() {
    let server = Served::always(reply(200, "{}")).await;
    let transport = Arc::new(Transport::new(Settings { plain_http: true, ..Settings::default() }));
    let host = server.address.to_string().parse().unwrap();
    let registry =
        Registry::new(host, transport, Arc::new(MemoryStore::default()), StoppedClock::new());
    registry.log_in("ann", "secret".into()).await.unwrap();
    assert_eq!(server.only().path, "/v2/");
}

#[tokio::test]
async fn logging_out_gives_the_identity_token_back() {
    let answer =
        |seen: &Seen| if seen.path == "/oauth/revoke" { reply(200, "") } else { reply(404, "") };
    let service = Served::start(answer).await;
    let set = Set::with_tokens(&service).await;
    set.keep(identity_token("refresh"));
    let done = set.registry.log_out().await.unwrap();
    assert_eq!((done.erased, done.identity_token), (vec![MEMORY], Some(Revocation::Revoked)));
    let revoked = service.only();
    assert_eq!((revoked.method.as_str(), revoked.one("token")), ("POST", Some("refresh")));
    assert!(set.memory.kept().is_none());
}

#[tokio::test]
async fn logging_out_forgets_even_if_nobody_listens() {
    let elsewhere = Served::always(reply(404, "")).await;
    let set = Set::with_tokens(&elsewhere).await;
    set.keep(identity_token("refresh"));
    assert_eq!(set.registry.log_out().await.unwrap().identity_token, Some(Revocation::Unsupported));

    let set = Set::of(Served::always(reply(503, "")).await);
    set.keep(identity_token("refresh"));
    let done = set.registry.log_out().await.unwrap();
    assert!(matches!(done.identity_token, Some(Revocation::Failed(_))), "{done:?}");
    assert!(set.memory.kept().is_none());

    let set = Set::of(Served::always(reply(200, "")).await);
    set.keep(password());
    let done = set.registry.log_out().await.unwrap();
    assert_eq!((done.erased.len(), done.identity_token), (1, None));
    assert_eq!(set.server.seen().len(), 0, "a password is given back to nobody");
    assert_eq!(set.registry.log_out().await.unwrap().erased, []);
}
