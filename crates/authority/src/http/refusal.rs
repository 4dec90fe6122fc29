//! From an error to what the client sees: the only table of its kind.
//!
//! Every body carries both forms, OAuth's and distribution's, since the same client reads the one
//! after a POST and the other after a GET.

use std::time::Duration;

use axum::{body::Body, response::Response};
use http::{StatusCode, header};
use portpass_protocol::{
    challenge::{Basic, Challenge, Quotable},
    error::{ErrorCode, ErrorEntry},
    outcome::RequestOutcome,
};
use serde::Serialize;

use super::{json, never_stored, set};
use crate::{
    accounts::Unavailable,
    request::{RequestError, TokenRequest},
    service::{TokenError, TokenService},
    subject::AccountName,
};

/// What a client learns of an error.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    status: StatusCode,
    /// RFC 6749 §5.2, and for what that has no word, RFC 6749 §4.1.2.1.
    oauth: &'static str,
    code: ErrorCode,
    message: String,
    retry_after: Option<Duration>,
}

/// The error's answer; the whole reason goes to the log.
pub(super) fn respond(
    service: &TokenService,
    request: Option<&TokenRequest>,
    error: &TokenError,
) -> Response {
    let claimed = claimed(request, error).map(ToString::to_string);
    finish(service, refusal(error), claimed, error)
}

fn finish(
    service: &TokenService,
    refusal: Refusal,
    claimed: Option<String>,
    error: &TokenError,
) -> Response {
    let mut response = refusal.into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        let realm = Quotable::new("issuer", service.issuer().as_str())
            .or_else(|_| Quotable::new("realm", "portpass"));
        if let Ok(realm) = realm {
            let challenge = Challenge::Basic(Basic::new(realm).utf8()).to_string();
            set(response.headers_mut(), header::WWW_AUTHENTICATE, &challenge);
        }
    }
    response.extensions_mut().insert(RequestOutcome::refused(
        claimed,
        error.id(),
        error.to_string(),
    ));
    response
}

/// As [`respond`], to a registry that asks about tokens: RFC 7662 §2.3 has it refused as a client of the token
/// endpoint is (RFC 6749 §5.2).
pub(super) fn respond_to_client(
    service: &TokenService,
    claimed: Option<String>,
    error: &TokenError,
) -> Response {
    let mut refusal = refusal(error);
    if refusal.status == StatusCode::UNAUTHORIZED {
        refusal.oauth = "invalid_client";
    }
    finish(service, refusal, claimed, error)
}

/// Whom the client says to come from.
fn claimed<'a>(
    request: Option<&'a TokenRequest>,
    error: &'a TokenError,
) -> Option<&'a AccountName> {
    match (request, error) {
        (_, TokenError::Request(error)) => error.account(),
        (Some(request), _) => request.credential.account(),
        (None, _) => None,
    }
}

/// 405 (TG9).
pub(super) fn method(allowed: &'static str) -> Response {
    let refusal = Refusal {
        status: StatusCode::METHOD_NOT_ALLOWED,
        oauth: "invalid_request",
        code: ErrorCode::Unsupported,
        message: format!("this path answers {allowed}"),
        retry_after: None,
    };
    let mut response = refusal.into_response();
    set(response.headers_mut(), header::ALLOW, allowed);
    let text = format!("the method is none of {allowed}");
    response.extensions_mut().insert(RequestOutcome::refused(None, "method-not-allowed", text));
    response
}

/// 500, for what must not happen.
pub(super) fn internal(reason: &str) -> Response {
    let mut response = ours("the server failed").into_response();
    response.extensions_mut().insert(RequestOutcome::refused(None, "internal-error", reason));
    response
}

/// Without a wildcard: a new error does not compile until it says what the client sees.
fn refusal(error: &TokenError) -> Refusal {
    match error {
        TokenError::IntrospectionDenied { .. } => Refusal {
            status: StatusCode::FORBIDDEN,
            oauth: "unauthorized_client",
            code: ErrorCode::Denied,
            message: "this account may not ask about tokens".to_owned(),
            retry_after: None,
        },
        TokenError::Keys(_) => unavailable("no key can sign tokens at the moment", None),
        TokenError::Limited(limited) => too_many(limited.to_string(), limited.retry_after),
        TokenError::Rate(rate) => too_many(rate.to_string(), rate.retry_after),
        TokenError::NoCredentials => unauthorized("log in first: credentials are required"),
        TokenError::RefreshToken(_) => unauthorized(LOG_IN_AGAIN),
        TokenError::Request(error) => request(error),
        TokenError::Sign(_) => ours("the token cannot be signed"),
        TokenError::State(_) => {
            unavailable("the server cannot use its database at the moment", None)
        }
        TokenError::TooLong { .. } => invalid("invalid_scope", error.to_string()),
        TokenError::Unavailable(source @ Unavailable::Busy(_)) => {
            unavailable("too many passwords are being checked", source.retry_after())
        }
        TokenError::Unavailable(source @ Unavailable::Source { .. }) => {
            unavailable("the accounts cannot be checked at the moment", source.retry_after())
        }
        // Nobody learns by the answer which of them it was.
        TokenError::AccountChanged { .. }
        | TokenError::Secret(_)
        | TokenError::Rejected { .. }
        | TokenError::WrongPassword { .. } => unauthorized("wrong user name or password"),
        // RFC 8693 §2.2.2
        TokenError::SubjectToken { .. } => {
            invalid("invalid_request", "the subject token is not accepted".to_owned())
        }
    }
}

fn request(error: &RequestError) -> Refusal {
    let oauth = match error {
        RequestError::Credential(_) => return unauthorized(&error.to_string()),
        RequestError::UnsupportedGrant { .. } => "unsupported_grant_type",
        RequestError::Target { .. } => "invalid_target",
        RequestError::ScopeTooLong
        | RequestError::TooManyActions
        | RequestError::TooManyResources => "invalid_scope",
        RequestError::Broken { .. }
        | RequestError::Empty
        | RequestError::FormTooLong
        | RequestError::InUrl { .. }
        | RequestError::Missing { .. }
        | RequestError::NoToken
        | RequestError::NotAForm { .. }
        | RequestError::NotText { .. }
        | RequestError::OtherAccount { .. }
        | RequestError::Repeated { .. }
        | RequestError::TokenType { .. }
        | RequestError::TwoCredentials
        | RequestError::UnknownService { .. } => "invalid_request",
    };
    invalid(oauth, error.to_string())
}

/// 401 on both legs: after one by POST, containerd asks by GET, where it must hear the same (TP7).
fn unauthorized(message: &str) -> Refusal {
    Refusal {
        status: StatusCode::UNAUTHORIZED,
        oauth: "invalid_grant",
        code: ErrorCode::Unauthorized,
        message: message.to_owned(),
        retry_after: None,
    }
}

/// 400, and nothing else for a request that is wrong: containerd falls back to GET only on 400, 401,
/// 404 and 405 (T2).
fn invalid(oauth: &'static str, message: String) -> Refusal {
    Refusal {
        status: StatusCode::BAD_REQUEST,
        oauth,
        code: ErrorCode::Unsupported,
        message,
        retry_after: None,
    }
}

fn too_many(message: String, retry_after: Duration) -> Refusal {
    Refusal {
        status: StatusCode::TOO_MANY_REQUESTS,
        oauth: "temporarily_unavailable",
        code: ErrorCode::TooManyRequests,
        message,
        retry_after: Some(retry_after),
    }
}

fn unavailable(message: &str, retry_after: Option<Duration>) -> Refusal {
    Refusal {
        status: StatusCode::SERVICE_UNAVAILABLE,
        oauth: "temporarily_unavailable",
        code: ErrorCode::Unavailable,
        message: message.to_owned(),
        retry_after: Some(retry_after.unwrap_or(RETRY_AFTER)),
    }
}

fn ours(message: &str) -> Refusal {
    Refusal {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        oauth: "server_error",
        code: ErrorCode::Unknown,
        message: message.to_owned(),
        retry_after: None,
    }
}

#[derive(Serialize)]
struct Both<'a> {
    error: &'static str,
    error_description: &'a str,
    errors: [ErrorEntry; 1],
}

impl Refusal {
    fn into_response(self) -> Response {
        // RFC 6749 §5.2 gives `error_description` printable ASCII without `"` and `\`.
        let printable = |c: char| match c {
            '"' => '\'',
            '\\' => '/',
            ' '..='~' => c,
            _ => '?',
        };
        let description: String = self.message.chars().map(printable).collect();
        let body = Both {
            error: self.oauth,
            error_description: &description,
            errors: [ErrorEntry::new(self.code).with_message(&*self.message)],
        };
        let text = serde_json::to_string(&body).unwrap_or_default();
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = self.status;
        json(response.headers_mut());
        never_stored(response.headers_mut());
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            set(response.headers_mut(), header::RETRY_AFTER, &seconds.max(1).to_string());
        }
        response
    }
}

const LOG_IN_AGAIN: &str = "the refresh token is no longer valid; log in again";
const RETRY_AFTER: Duration = Duration::from_secs(5);
