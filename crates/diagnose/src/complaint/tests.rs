//! Refusals as token services word them.

use std::time::{Duration, SystemTime};

use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};

use super::{Complaint::*, *};

fn answer(status: u16, body: &str) -> Response {
    let mut headers = HeaderMap::new();
    let kind = match body.trim_start().chars().next() {
        Some('{' | '[') => "application/json",
        Some('<') => "text/html",
        _ => "text/plain",
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Response {
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body: body.to_owned().into(),
        truncated: false,
        address: None,
        http2: false,
        took: Duration::ZERO,
        at: SystemTime::UNIX_EPOCH,
    }
}

/// Keycloak, Harbor, Portus, GitLab, `docker_auth`, portpass, Quay, Docker Hub, ACR and proxies.
const NAMED: &[(Complaint, u16, &str)] = &[
    (
        Service,
        400,
        r#"{"error":"invalid_client","error_description":"Client specified by 'service' parameter does not exist"}"#,
    ),
    (
        Service,
        400,
        r#"{"error":"invalid_request","error_description":"service parameter must be provided"}"#,
    ),
    (
        Service,
        400,
        r#"{"error":"invalid_client","error_description":"Client specified by 'service' is disabled"}"#,
    ),
    (Service, 400, "Unable to handle service: token-service"),
    (
        Service,
        400,
        r#"{"error":"invalid_request","error_description":"service 'evil' is not one that this server issues tokens for","errors":[{"code":"UNSUPPORTED","message":"service \"evil\" is not one that this server issues tokens for"}]}"#,
    ),
    (
        Service,
        403,
        r#"{"errors":[{"code":"DENIED","message":"unknown service: registry.example:5000"}]}"#,
    ),
    (Service, 401, r#"{"details":"invalid service"}"#),
    (Service, 422, r#"{"detail":[{"loc":["query","service"],"msg":"the service is required"}]}"#),
    (Service, 400, r#"{"message":"The requested audience is not allowed"}"#),
    (Service, 400, r#"{"error":"invalid_target"}"#),
    (
        ClientId,
        400,
        r#"{"error":"invalid_request","error_description":"Missing parameter: client_id"}"#,
    ),
    (
        ClientId,
        401,
        r#"{"error":"unauthorized_client","error_description":"Invalid client or Invalid client credentials"}"#,
    ),
    (ClientId, 400, r#"{"error":"invalid_client"}"#),
    (ClientId, 400, "unknown client ID \"docker\""),
    (Account, 400, "Bad request: user and account are not the same (\"ann\" vs \"Ann\")"),
    (
        Account,
        400,
        r#"{"errors":[{"code":"UNSUPPORTED","message":"`account` is \"bob\", but the credentials are those of \"ann\""}]}"#,
    ),
    (
        GrantType,
        400,
        r#"{"error":"invalid_request","error_description":"Missing form parameter: grant_type"}"#,
    ),
    (GrantType, 400, r#"{"error":"unsupported_grant_type"}"#),
    (
        GrantType,
        400,
        r#"{"error":"unsupported_grant_type","error_description":"Unsupported grant_type"}"#,
    ),
    (RateLimit, 403, r#"{"message":"API rate limit exceeded for 203.0.113.9"}"#),
    (RateLimit, 503, "<html><body>Too Many Requests</body></html>"),
    (RateLimit, 400, r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#),
    (RateLimit, 403, "Retry later"),
    (Maintenance, 503, "<html><style>p{}</style><h1>We'll be back soon!</h1></html>"),
    (
        Maintenance,
        502,
        "<html><title>GitLab is not responding</title><h1>Deploy in progress</h1></html>",
    ),
    (Maintenance, 200, "<html><h1>Scheduled maintenance</h1></html>"),
    (
        Maintenance,
        503,
        "<HTML><HEAD><STYLE>H1 { color: red }</STYLE></HEAD><H1>DOWN FOR MAINTENANCE</H1></HTML>",
    ),
    (Maintenance, 503, "<html><Script>let a = 1;</SCRIPT><p>Scheduled maintenance</p></html>"),
    (
        Maintenance,
        503,
        r#"{"errors":[{"code":"UNAVAILABLE","message":"the registry is in maintenance mode"}]}"#,
    ),
    (Locked, 401, r#"{"details":"Account is locked due to too many failed login attempts"}"#),
    (Locked, 403, "too many failed logins, please retry later"),
    (Scope, 400, r#"{"error":"invalid_scope"}"#),
    (
        Scope,
        400,
        r#"{"error":"invalid_scope","error_description":"requested scope is invalid for service r"}"#,
    ),
    (
        Service,
        400,
        r#"{"error":"invalid_target","error_description":"the client_id is unknown for this scope"}"#,
    ),
    (Locked, 429, r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"too many failed logins"}]}"#),
    (Scope, 400, "Bad request: invalid scope: \"repository:a:pull repository:b:pull\""),
    (Scope, 400, r#"{"error":"error parsing auth scope"}"#),
];

#[test]
fn what_a_refusal_names_is_read() {
    for (complaint, status, body) in NAMED {
        assert_eq!(Complaint::of(&answer(*status, body)), Some(*complaint), "{status} {body}");
    }
}

#[test]
fn words_that_name_no_parameter_are_no_complaint() {
    for (status, body) in [
        (401, "Auth failed."),
        (401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#),
        (401, r#"{"details":"incorrect username or password"}"#),
        (401, r#"{"message":"Authentication required to use this service"}"#),
        (
            401,
            r#"{"message":"HTTP Basic: Access denied. The provided password or token is incorrect or your account has 2FA enabled"}"#,
        ),
        (401, r#"{"message":"unknown account"}"#),
        (403, r#"{"message":"the service account has no such role"}"#),
        (
            403,
            r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#,
        ),
        (503, "<html><title>503 Service Temporarily Unavailable</title></html>"),
        (503, "the authentication service is unavailable"),
        (500, "Authorization failed (internal error)"),
        (404, "404 page not found"),
        (404, r#"{"message":"not found"}"#),
        (400, ""),
        (400, "{}"),
        (200, r#"{"token":"x","message":"the rate limit is 100"}"#),
        (200, "<html><title>Sign in to this service, client_id is missing</title></html>"),
        (302, "unknown service"),
    ] {
        assert_eq!(Complaint::of(&answer(status, body)), None, "{status} {body}");
    }
}

#[test]
fn a_page_without_an_end_is_read_all_the_same() {
    for page in ["<", "<script>maintenance", "<p>a<", "<style", "x</p>", "<é><İ>"] {
        assert_eq!(Complaint::of(&answer(503, page)), None, "{page}");
    }
}
