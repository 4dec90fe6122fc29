//! What arrives at a server.

use http::{HeaderMap, HeaderValue, Method, Uri, header::AUTHORIZATION};
use portpass_authority::{
    request::{Credential, MAX_RESOURCES, RefreshIssuance, Service, Services, TokenRequest},
    signer::Signer,
};
use portpass_jose::KeyIdForm;
use portpass_protocol::RepositoryName;
use portpass_registry::{Credentials, Route};
use portpass_token::ServiceName;
use secrecy::ExposeSecret as _;

use crate::assert_one_line;

/// `METHOD TARGET`: what is authorized stands in the path once it is decoded, or in `from`, and is a
/// legal name; nothing else is ever authorized (AR10, CH12).
pub fn route(bytes: &[u8]) {
    let mut words = bytes.splitn(2, |byte| *byte == b' ');
    let method = words.next().and_then(|word| Method::from_bytes(word).ok());
    let uri = words.next().and_then(|word| Uri::try_from(word).ok());
    let Some((method, uri)) = method.zip(uri) else { return };
    let route = match Route::parse(&method, &uri) {
        Ok(route) => route,
        Err(error) => return assert_one_line(&error.to_string()),
    };
    assert_eq!(Route::parse(&method, &uri).as_ref(), Ok(&route));
    let path = percent_encoding::percent_decode_str(uri.path()).decode_utf8_lossy();
    for (index, access) in route.access().iter().enumerate() {
        let name = &*access.resource.name;
        if &*access.resource.resource_type == "registry" {
            assert_eq!((name, &*path), ("catalog", "/v2/_catalog"));
            continue;
        }
        assert!(name.parse::<RepositoryName>().is_ok(), "{name:?}");
        let in_path = path.starts_with(&format!("/v2/{name}/"));
        assert!(in_path || index == 1, "{name:?} is not in {path:?}");
        assert!(!access.actions.is_empty());
    }
}

/// An `Authorization` header: where registry and token service both take a name and a password from
/// it, they take the same (HT1, TG2).
pub fn authorization(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    let registry = Credentials::from_headers(&headers);
    let tokens = TokenRequest::from_query("", &headers, &services());
    if let Err(error) = &tokens {
        assert_one_line(&error.to_string());
    }
    if let Ok(request) = &tokens {
        assert!(!matches!(request.credential, Credential::Anonymous), "never anonymous (T8)");
    }
    let (Credentials::Basic { username, password }, Ok(request)) = (&registry, &tokens) else {
        return;
    };
    match &request.credential {
        Credential::Password(login) => {
            assert_eq!(username, login.account.as_str());
            assert_eq!(password.expose_secret(), login.password.expose_secret());
        }
        // The name beside a token may be anything.
        Credential::Token(login) => assert_eq!(password.expose_secret(), login.token.expose()),
        Credential::Machine(login) => assert_eq!(password.expose_secret(), login.secret.expose()),
        Credential::Anonymous | Credential::Refresh(_) | Credential::Exchange(_) => {
            panic!("HTTP Basic is a name and a password")
        }
    }
}

/// A query: asked by GET and by POST it is the same request (TG1, TP1), and never more than the limits
/// (CVE-2017-11468). As a form alone it is read or refused in one line.
pub fn token_request(bytes: &[u8]) {
    let services = services();
    let headers = HeaderMap::new();
    let text = String::from_utf8_lossy(bytes);
    let by_get = TokenRequest::from_query(&text, &headers, &services);
    let form = [b"grant_type=password&username=ann&password=x&", bytes].concat();
    let by_post = TokenRequest::from_form(&form, "", &headers, &services);
    let alone = TokenRequest::from_form(bytes, "", &headers, &services);
    for request in [&by_get, &by_post, &alone] {
        match request {
            Ok(request) => {
                assert!(request.requested.len() <= MAX_RESOURCES);
                assert!(services.named(request.service.name.as_str()).is_some(), "TG10");
                assert!(request.unread_scopes.len() <= 16);
            }
            Err(error) => assert_one_line(&error.to_string()),
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let get = TokenRequest::from_query(text, &headers, &services);
    if let (Ok(get), Ok(post)) = (get, by_post) {
        assert_eq!(get.service, post.service);
        assert_eq!(get.requested, post.requested);
        assert_eq!(get.client, post.client);
    }
}

fn services() -> Services {
    let service = |name| Service {
        name: ServiceName::new(name),
        key_id: KeyIdForm::Rfc7638,
        refresh: RefreshIssuance::Given,
        signer: Signer::default(),
    };
    Services::new(service("registry"), vec![service("other")])
}
