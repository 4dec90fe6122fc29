use base64::prelude::*;
use http::{HeaderMap, HeaderValue, header};
use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::*;
use crate::subject::Login;

mod exchange;

fn services() -> Services {
    let service = |name: &str| Service {
        name: ServiceName::new(name),
        signer: Signer::default(),
        key_id: KeyIdForm::X5c,
        refresh: RefreshIssuance::Given,
    };
    Services::new(service("registry"), vec![service("Other")])
}

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name: header::HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn basic(pair: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

fn get(query: &str) -> Result<TokenRequest, RequestError> {
    TokenRequest::from_query(query, &HeaderMap::new(), &services())
}

fn get_with(query: &str, authorization: &str) -> Result<TokenRequest, RequestError> {
    TokenRequest::from_query(query, &headers(&[("authorization", authorization)]), &services())
}

fn post(form: &str) -> Result<TokenRequest, RequestError> {
    post_with(form, "", &[])
}

fn post_with(
    form: &str,
    query: &str,
    extra: &[(&str, &str)],
) -> Result<TokenRequest, RequestError> {
    let mut headers = headers(&[("content-type", "application/x-www-form-urlencoded")]);
    headers.extend(self::headers(extra));
    TokenRequest::from_form(form.as_bytes(), query, &headers, &services())
}

/// `(account, password)` of a request.
fn password(request: &TokenRequest) -> (String, String) {
    let Credential::Password(login) = &request.credential else { panic!("{request:?}") };
    (login.account.to_string(), login.password.expose_secret().to_owned())
}

const REFRESH: &str =
    "ppr_5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a3f8b1c2d";

/// A secret whose checksum is right.
fn refresh() -> String {
    #[derive(Debug)]
    struct Fixed;
    impl portpass_token::Random for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0x5a);
        }
    }
    crate::refresh::RefreshSecret::generate(&Fixed).expose().to_owned()
}

/// TG1 to TG4, TP1: the requests that each client sends.
#[test]
fn real_clients_are_read() {
    let refresh = refresh();
    let alice = basic("alice:secret");
    let read = |request: Result<TokenRequest, RequestError>| {
        let request = request.unwrap();
        let who = match &request.credential {
            Credential::Anonymous => "nobody".to_owned(),
            Credential::Password(login) => login.account.to_string(),
            Credential::Machine(login) => format!("{} by a secret", login.account),
            Credential::Refresh(_) => "a refresh token".to_owned(),
            Credential::Token(_) | Credential::Exchange(_) => "a workload".to_owned(),
        };
        let client = request.client.id.unwrap_or_default();
        (who, request.requested.to_string(), request.wants_refresh, client)
    };
    let row = |who: &str, scope: &str, refresh, client: &str| {
        (who.to_owned(), scope.to_owned(), refresh, client.to_owned())
    };

    let docker_login = "account=alice&client_id=docker&offline_token=true&service=registry";
    assert_eq!(read(get_with(docker_login, &alice)), row("alice", "", true, "docker"));
    let docker_push = format!(
        "grant_type=refresh_token&client_id=docker&refresh_token={refresh}&scope=repository%3Afe%2Fdk%3Apush%2Cpull&service=registry"
    );
    let granted = row("a refresh token", "repository:fe/dk:push,pull", false, "docker");
    assert_eq!(read(post(&docker_push)), granted);
    let skopeo_login = "account=alice&service=registry";
    assert_eq!(read(get_with(skopeo_login, &alice)), row("alice", "", false, ""));
    let skopeo_mount =
        "scope=repository%3Aa%3Apull%2Cpush&scope=repository%3Ab%3Apull&service=registry";
    assert_eq!(
        read(get_with(skopeo_mount, &alice)),
        row("alice", "repository:a:pull,push repository:b:pull", false, "")
    );
    let skopeo_delete = "scope=repository:x:*&service=registry";
    assert_eq!(read(get_with(skopeo_delete, &alice)), row("alice", "repository:x:*", false, ""));
    let ctr = "client_id=containerd-client&grant_type=password&password=secret&scope=repository%3Aa%3Apull+repository%3Aa%3Apull%2Cpush+repository%3Ab%3Apull&service=registry&username=alice";
    assert_eq!(
        read(post(ctr)),
        row("alice", "repository:a:pull,push repository:b:pull", false, "containerd-client")
    );
    let helm_login = "grant_type=password&client_id=oras-go&service=registry&username=alice&password=secret&access_type=offline";
    assert_eq!(read(post(helm_login)), row("alice", "", true, "oras-go")); // TP5
    let oras_py = "service=registry&scope=repository:a:pull";
    assert_eq!(read(get(oras_py)), row("nobody", "repository:a:pull", false, ""));
    let podman_refresh = format!(
        "client_id=containers%2Fimage&grant_type=refresh_token&refresh_token={refresh}&scope=repository%3Aa%3Apull&scope=repository%3Ab%3Apull&service=registry"
    );
    assert_eq!(
        read(post(&podman_refresh)),
        row("a refresh token", "repository:a:pull repository:b:pull", false, "containers/image")
    );
}

/// The client of the notes that this project began with: POST, empty body, all in the query.
#[test]
fn an_empty_post_with_a_query_is_that_get() {
    let query = "service=registry&scope=repository:a/b:pull";
    let request = post_with("", query, &[]).unwrap();
    assert_eq!(request.leg, Leg::Get);
    assert_eq!(request.requested.to_string(), "repository:a/b:pull");
    let with_basic = post_with("", query, &[("authorization", &basic("ann:x"))]).unwrap();
    assert_eq!(password(&with_basic), ("ann".into(), "x".into()));
    assert!(post_with("", "scope=", &[]).is_ok());
    for query in ["", "account=ann", "client_id=x"] {
        assert_eq!(post_with("", query, &[]).unwrap_err(), RequestError::Empty, "{query}");
    }
}

#[test]
fn the_same_request_reads_the_same_from_query_and_form() {
    let fields =
        "client_id=me&scope=repository:a:pull&scope=repository:b:push+registry:catalog:*+junk";
    let from_query = get_with(&format!("{fields}&offline_token=true"), &basic("ann:pw")).unwrap();
    let from_form =
        post(&format!("{fields}&access_type=offline&grant_type=password&username=ann&password=pw"))
            .unwrap();
    assert_eq!(from_query.service, from_form.service);
    assert_eq!(from_query.requested, from_form.requested);
    assert_eq!(from_query.unread_scopes, from_form.unread_scopes);
    assert_eq!(password(&from_query), password(&from_form));
    assert_eq!(from_query.wants_refresh, from_form.wants_refresh);
    assert_eq!(from_query.client, from_form.client);
    assert_eq!((from_query.leg, from_form.leg), (Leg::Get, Leg::Post));
}

/// T6, SC8, SC9
#[test]
fn scopes_are_repeated_joined_doubled_and_partly_nonsense() {
    let table = [
        ("", ""),
        ("scope=", ""),
        ("scope=repository:a:pull&scope=repository:a:push", "repository:a:pull,push"),
        ("scope=repository:a:pull%20repository:b:pull", "repository:a:pull repository:b:pull"),
        ("scope=repository:a:pull++repository:b:pull+", "repository:a:pull repository:b:pull"),
        ("scope=repository:a:pull+repository:a:pull", "repository:a:pull"),
        ("scope=repository:a:pull,pull", "repository:a:pull"),
        ("scope=nonsense+repository:a:pull&scope=also:nonsense", "repository:a:pull"),
        ("scope=repository:host:5000/a:pull", "repository:host:5000/a:pull"), // SC2
        ("scope=repository(plugin):a:pull", "repository:a:pull"),             // SC6
        ("scope=repository:a:", "repository:a:"),
        ("scope=repository:../../x:pull&scope=repository:A%00:pull", ""),
        ("scope=%ff%fe:a:pull", ""),
        ("scope=repository:a:pull,Push,x_y,push", "repository:a:pull,push"), // SC4
        (
            "scope=elsewhere:a:pull+Else-Where:a:pull+repository:a:pull",
            "elsewhere:a:pull repository:a:pull",
        ),
        ("scope=repository:team/App:pull+repository:a:pull", "repository:a:pull"),
    ];
    for (query, expected) in table {
        assert_eq!(get(query).unwrap().requested.to_string(), expected, "{query}");
    }
    let left_out = get("scope=repository:a:pull,Push+repository:B:pull").unwrap().unread_scopes;
    let left_out: Vec<String> = left_out.iter().map(ToString::to_string).collect();
    assert!(left_out[0].contains("has an action"), "{left_out:?}");
    assert!(left_out[1].contains("as no registry can have it"), "{left_out:?}");
}

/// T10, TG10
#[test]
fn an_absent_service_is_the_first_and_an_unknown_one_is_refused() {
    for query in ["", "service=", "service=registry", "service=registry&service=registry"] {
        assert_eq!(get(query).unwrap().service.name.as_str(), "registry", "{query}");
    }
    assert_eq!(get("service=Other").unwrap().service.name.as_str(), "Other");
    let grant = "grant_type=password&username=a&password=b";
    for service in ["other", "registry%20", "evil", "*"] {
        let unknown = |result: Result<TokenRequest, RequestError>| {
            matches!(result, Err(RequestError::UnknownService { .. }))
        };
        assert!(unknown(get(&format!("service={service}"))), "{service}");
        assert!(unknown(post(&format!("service={service}&{grant}"))), "{service}");
    }
    let twice = get("service=registry&service=Other").unwrap_err();
    assert_eq!(twice, RequestError::Repeated { field: "service" });
}

/// TG2, T8
#[test]
fn basic_credentials_are_split_at_the_first_colon_and_are_utf8() {
    let table = [
        ("ann:secret", ("ann", "secret")),
        ("ann:a:b:c", ("ann", "a:b:c")),
        ("jürgen:grün", ("jürgen", "grün")),
        ("ann: leading and trailing ", ("ann", " leading and trailing ")),
    ];
    for (pair, (account, secret)) in table {
        let request = get_with("", &basic(pair)).unwrap();
        assert_eq!(password(&request), (account.into(), secret.into()), "{pair}");
    }
    for header in ["basic YW5uOng=", "BASIC YW5uOng=", "Basic  YW5uOng=", "Basic YW5uOng"] {
        assert_eq!(
            password(&get_with("", header).unwrap()),
            ("ann".into(), "x".into()),
            "{header}"
        );
    }
}

/// TG2: a header that cannot be used is 401, never anonymous.
#[test]
fn an_unusable_authorization_header_is_never_anonymous() {
    let latin1 = format!("Basic {}", BASE64_STANDARD.encode(b"j\xfcrgen:x"));
    let table = [
        "Bearer eyJhbGciOiJub25lIn0.e30.",
        "Bearer",
        "Basic",
        "Basic ",
        "basic",
        "",
        " ",
        "Basic !!!",
        "Basic YW5u",
        "Digest username=\"ann\"",
        "eyJhbGciOiJub25lIn0.e30.",
        &basic(":secret"),
        &basic("a/b:secret"),
        &basic("*:x"),
        &basic("<token>:x"),
        &basic("a b:x"),
        &latin1,
    ];
    for header in table {
        let error = get_with("service=registry", header).unwrap_err();
        assert!(matches!(error, RequestError::Credential(_)), "{header:?}: {error}");
        assert!(!error.to_string().contains("eyJ"), "{error}");
        let form = "grant_type=password&username=ann&password=x";
        let error = post_with(form, "", &[("authorization", header)]).unwrap_err();
        assert!(matches!(error, RequestError::Credential(_)), "POST {header:?}: {error}");
    }
    let twice = headers(&[("authorization", &basic("a:x")), ("authorization", &basic("a:x"))]);
    let error = TokenRequest::from_query("", &twice, &services()).unwrap_err();
    assert_eq!(error, RequestError::Credential(CredentialError::Several)); // AR14
}

/// TG3
#[test]
fn an_account_that_contradicts_the_credentials_is_refused() {
    assert!(get_with("account=ann", &basic("ann:x")).is_ok());
    assert!(get_with("account=", &basic("ann:x")).is_ok());
    let error = get_with("account=bob", &basic("ann:x")).unwrap_err();
    assert!(matches!(error, RequestError::OtherAccount { .. }));
    // Without credentials it selects nobody: docker_auth let `?account=name` be that account.
    let request = get("account=ann").unwrap();
    assert!(matches!(request.credential, Credential::Anonymous));
}

/// TP1, TP6
#[test]
fn a_form_needs_a_grant_that_exists_and_what_belongs_to_it() {
    let missing = |field| RequestError::Missing { field };
    let unsupported = |grant: &str| RequestError::UnsupportedGrant { grant: grant.into() };
    let table = [
        ("service=registry", missing("grant_type")),
        ("grant_type=&service=registry", missing("grant_type")),
        ("grant_type=password", missing("username")),
        ("grant_type=password&username=ann", missing("password")),
        ("grant_type=refresh_token", missing("refresh_token")),
        ("grant_type=authorization_code&code=x", unsupported("authorization_code")),
        ("grant_type=Password&username=a&password=b", unsupported("Password")),
        (
            "grant_type=password&username=ann&password=%ff",
            RequestError::NotText { field: "password" },
        ),
        (
            "grant_type=password&grant_type=refresh_token",
            RequestError::Repeated { field: "grant_type" },
        ),
        (
            "grant_type=password&username=ann&username=bob&password=x",
            RequestError::Repeated { field: "username" },
        ),
    ];
    for (form, expected) in table {
        assert_eq!(post(form).unwrap_err(), expected, "{form}");
    }
    for form in [
        "grant_type=password&username=&password=x",
        "grant_type=password&username=a/b&password=x",
        "grant_type=refresh_token&refresh_token=",
        "grant_type=refresh_token&refresh_token=eyJ.e30.",
        &format!("grant_type=refresh_token&refresh_token={REFRESH}"),
    ] {
        assert!(matches!(post(form), Err(RequestError::Credential(_))), "{form}");
    }
}

#[test]
fn a_header_beside_a_form_must_say_the_same() {
    let form = "grant_type=password&username=ann&password=x";
    assert!(post_with(form, "", &[("authorization", &basic("ann:x"))]).is_ok());
    let refresh = format!("grant_type=refresh_token&refresh_token={}", refresh());
    for (form, pair) in [(form, "ann:y"), (form, "bob:x"), (&*refresh, "ann:x")] {
        let error = post_with(form, "", &[("authorization", &basic(pair))]).unwrap_err();
        assert_eq!(error, RequestError::TwoCredentials, "{form} {pair}");
    }
}

/// T8: whoever sends a secret must not be taken for somebody who sent none.
#[test]
fn credentials_in_the_url_are_refused_not_ignored() {
    for query in ["password=x&username=ann", "refresh_token=ppr_1", "grant_type=password"] {
        let query = format!("service=registry&{query}");
        assert!(matches!(get(&query), Err(RequestError::InUrl { .. })), "{query}");
        let posted = post_with("", &query, &[]);
        assert!(matches!(posted, Err(RequestError::InUrl { .. })), "{query}");
        assert!(get_with(&query, &basic("ann:x")).is_ok(), "{query}"); // unknown beside Basic (T1)
    }
}

/// TP1
#[test]
fn the_content_type_may_have_parameters_or_be_missing_but_not_be_another() {
    let form = b"grant_type=password&username=ann&password=x";
    let read = |content_type: Option<&str>| {
        let headers = content_type.map_or_else(HeaderMap::new, |t| headers(&[("content-type", t)]));
        TokenRequest::from_form(form, "", &headers, &services())
    };
    for content_type in [
        None,
        Some("application/x-www-form-urlencoded; charset=utf-8"),
        Some("Application/X-WWW-Form-Urlencoded"),
    ] {
        assert!(read(content_type).is_ok(), "{content_type:?}");
    }
    for content_type in ["application/json", "multipart/form-data; boundary=x", ""] {
        let error = read(Some(content_type)).unwrap_err();
        assert!(matches!(error, RequestError::NotAForm { .. }), "{content_type}");
    }
}

#[test]
fn requests_have_limits_that_are_named() {
    let scopes = |count: usize| {
        (0..count).map(|n| format!("scope=repository:a{n}:pull")).collect::<Vec<_>>().join("&")
    };
    assert_eq!(get(&scopes(256)).unwrap().requested.len(), 256);
    assert_eq!(get(&scopes(257)).unwrap_err(), RequestError::TooManyResources);
    let doubled = format!("{}&{}", scopes(256), scopes(256));
    assert_eq!(get(&doubled).unwrap().requested.len(), 256);
    let actions: Vec<String> = (b'a'..=b'z').map(|c| char::from(c).to_string()).collect();
    let many = format!("scope=repository:a:{}", actions.join(","));
    assert_eq!(get(&many).unwrap_err(), RequestError::TooManyActions);
    let long = format!("scope=repository:{}:pull", "a/".repeat(600));
    assert_eq!(get(&long).unwrap_err(), RequestError::ScopeTooLong);
    let form = format!("grant_type=password&username=ann&password={}", "x".repeat(MAX_FORM));
    assert_eq!(post(&form).unwrap_err(), RequestError::FormTooLong);
    assert_eq!(get(&"scope=x&".repeat(4000)).unwrap().unread_scopes.len(), 16);
}

/// TG8
#[test]
fn a_client_id_is_kept_only_if_it_can_be_printed() {
    for (query, expected) in [
        ("client_id=docker", Some("docker")),
        ("client_id=", None),
        ("client_id=a%0Ab", None),
        ("client_id=%C3%A4", None),
    ] {
        assert_eq!(get(query).unwrap().client.id.as_deref(), expected, "{query}");
    }
    assert_eq!(get(&format!("client_id={}", "a".repeat(129))).unwrap().client.id, None);
}

#[test]
fn only_true_asks_for_a_refresh_token() {
    for (query, expected) in [
        ("", false),
        ("offline_token=true", true),
        ("offline_token=1", true),
        ("offline_token=false", false),
        ("offline_token=", false),
        ("access_type=offline", false),
    ] {
        assert_eq!(get(query).unwrap().wants_refresh, expected, "{query}");
    }
    let form = "grant_type=password&username=ann&password=x";
    for (extra, expected) in
        [("", false), ("&access_type=offline", true), ("&access_type=online", false)]
    {
        assert_eq!(post(&format!("{form}{extra}")).unwrap().wants_refresh, expected, "{extra}");
    }
}

#[test]
fn errors_say_what_to_do() {
    let errors = [
        get("service=evil"),
        get("service=a&service=b"),
        get("password=x"),
        get_with("", "Bearer x"),
        get_with("", &basic("ann")),
        get_with("", &basic(":x")),
        get_with("", &basic("ann:")),
        get_with("", &basic("<token>:x")),
        get_with("account=bob", &basic("ann:x")),
        post("a=b"),
        post("grant_type=x"),
        post_with("", "", &[]),
        get(&format!("service={}", "x".repeat(200))),
        post("grant_type=refresh_token&refresh_token=x"),
    ];
    let lines: Vec<String> = errors
        .into_iter()
        .map(|result| result.unwrap_err())
        .map(|error| format!("{:22} {error}", error.id()))
        .collect();
    insta::assert_snapshot!(lines.join("\n"));
}

proptest! {
    #[test]
    fn nothing_that_arrives_makes_reading_panic(
        query in "\\PC{0,60}", form in prop::collection::vec(any::<u8>(), 0..80), header in "[ -~]{0,40}",
    ) {
        let _ = get_with(&query, &header);
        let _ = get(&query);
        let headers = headers(&[("authorization", &header)]);
        let _ = TokenRequest::from_form(&form, &query, &headers, &services());
    }

    #[test]
    fn any_password_survives_both_ways(password in "\\PC{1,40}") {
        let expected = ("ann".to_owned(), password.clone());
        prop_assert_eq!(self::password(&get_with("", &basic(&format!("ann:{password}"))).unwrap()), expected.clone());
        let form: String = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "password").append_pair("username", "ann").append_pair("password", &password)
            .finish();
        prop_assert_eq!(self::password(&post(&form).unwrap()), expected);
    }

    /// TG1, TP1: the same words ask for the same by both ways, or are refused by one of them.
    #[test]
    fn both_ways_read_the_same_request_or_refuse_it(
        pairs in prop::collection::vec(
            ("(service|scope|client_id|account|x|\\PC{0,4})", "(registry|other|ann|repository:[ab]/[ab]:(pull|push)|\\PC{0,12})"),
            0..6,
        ),
    ) {
        let written = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        let form = format!("grant_type=password&username=ann&password=x&{written}");
        if let (Ok(by_query), Ok(by_form)) = (get(&written), post(&form)) {
            prop_assert_eq!(by_query.service, by_form.service);
            prop_assert_eq!(by_query.requested, by_form.requested);
            prop_assert_eq!(by_query.client, by_form.client);
            prop_assert_eq!(by_query.unread_scopes, by_form.unread_scopes);
        }
    }
}

#[test]
fn a_password_is_not_printed() {
    let login = Login { account: "ann".parse().unwrap(), password: "hunter2".into() };
    assert!(!format!("{:?}", Credential::Password(login)).contains("hunter2"));
}
