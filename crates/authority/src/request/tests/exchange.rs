//! RFC 8693: a workload's token for one of ours.

use super::*;

/// `{"alg":"ES256"}.{"iss":"https://a.example"}.` and no signature.
const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EuZXhhbXBsZSJ9.c2ln";
const GRANT: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";
const KIND: &str = "subject_token_type=urn:ietf:params:oauth:token-type:jwt";

fn exchange(more: &str) -> Result<TokenRequest, RequestError> {
    post(&format!("{GRANT}&subject_token={TOKEN}&{KIND}&{more}"))
}

fn refused(request: Result<TokenRequest, RequestError>) -> (&'static str, String) {
    let error = request.unwrap_err();
    (error.id(), error.to_string())
}

#[test]
fn a_token_is_exchanged_for_the_service_that_is_named() {
    for (more, service) in [
        ("", "registry"),
        ("service=Other", "Other"),
        ("audience=Other", "Other"),
        ("audience=Other&service=Other", "Other"),
        ("requested_token_type=urn:ietf:params:oauth:token-type:access_token", "registry"),
    ] {
        let request =
            exchange(&format!("{more}&scope=repository:a:pull&access_type=offline")).unwrap();
        assert_eq!(request.service.name.as_str(), service, "{more}");
        assert_eq!(request.requested.to_string(), "repository:a:pull");
        let Credential::Exchange(token) = &request.credential else { panic!("{request:?}") };
        assert_eq!((token.expose(), token.issuer()), (TOKEN, "https://a.example"));
        assert_eq!(request.credential.account(), None);
        assert!(!format!("{request:?}").contains(TOKEN), "the token is in no log");
    }
}

#[test]
fn what_cannot_be_exchanged_is_named() {
    for (more, id, said) in [
        ("audience=elsewhere", "service-unknown", "the target \"elsewhere\""),
        ("audience=Other&service=registry", "service-unknown", "the target \"Other\""),
        ("resource=https://a.example", "service-unknown", "no `resource`"),
        (
            "actor_token=x",
            "token-type-unsupported",
            "`actor_token` is \"present\", which is not supported; leave it out",
        ),
        (
            "requested_token_type=urn:ietf:params:oauth:token-type:saml2",
            "token-type-unsupported",
            "use urn:ietf:params:oauth:token-type:access_token",
        ),
        (
            "subject_token_type=urn:ietf:params:oauth:token-type:saml2",
            "parameter-repeated",
            "given twice",
        ),
    ] {
        let (found, text) = refused(exchange(more));
        assert_eq!(found, id, "{more}");
        assert!(text.contains(said), "{more}: {text}");
    }
    assert_eq!(
        refused(post(&format!("{GRANT}&{KIND}"))).1,
        "`subject_token` is missing in the form"
    );
    assert_eq!(refused(post(&format!("{GRANT}&subject_token={TOKEN}"))).0, "parameter-missing");
    assert_eq!(
        refused(post(&format!("{GRANT}&subject_token=opaque&{KIND}"))).0,
        "workload-malformed"
    );
    let saml = format!(
        "{GRANT}&subject_token={TOKEN}&subject_token_type=urn:ietf:params:oauth:token-type:saml2"
    );
    assert_eq!(refused(post(&saml)).0, "token-type-unsupported");
    assert_eq!(
        refused(get(&format!("service=registry&subject_token={TOKEN}"))).0,
        "credentials-in-url"
    );
}

#[test]
fn two_credentials_are_one_too_many() {
    let basic = basic("ann:secret");
    let both = post_with(
        &format!("{GRANT}&subject_token={TOKEN}&{KIND}"),
        "",
        &[("authorization", &basic)],
    );
    assert_eq!(both.unwrap_err(), RequestError::TwoCredentials);
}

/// The name beside a token may be anything that a client demands.
#[test]
fn a_token_as_the_password_needs_no_name_of_an_account() {
    for name in ["oidc", "ann", "$oauthtoken", "__token__", ""] {
        let request = get_with(
            &format!("service=registry&account={name}"),
            &basic(&format!("{name}:{TOKEN}")),
        );
        let known: AccountName = name.parse().unwrap_or_else(|_| AccountName::workload());
        let Credential::Token(login) = request.unwrap().credential else { panic!("{name}") };
        assert_eq!((login.account, login.token.expose()), (known, TOKEN));
    }
    assert!(get_with("service=registry", &basic("$oauthtoken:secret")).is_err());
    let (_, text) =
        refused(get_with(&format!("service=registry&account={TOKEN}"), &basic("ann:secret")));
    assert!(text.contains("\"eyJ…\"") && !text.contains(TOKEN), "{text}");
}
