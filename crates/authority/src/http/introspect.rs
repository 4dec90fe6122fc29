//! RFC 7662: what a token is worth, for callers with an account that may ask.

use std::sync::Arc;

use axum::{body::Body, extract::State, response::Response};
use http::{Method, Request};
use portpass_protocol::{access::AccessSet, outcome::RequestOutcome};
use portpass_token::{Audience, NumericDate};
use serde::Serialize;

use super::{client, collect, json, never_stored, options, refusal, to_its_end};
use crate::{
    request::{RequestError, introspection},
    service::{Introspection, IntrospectionRequest, TokenService},
};

pub(super) async fn introspect(
    State(service): State<Arc<TokenService>>,
    request: Request<Body>,
) -> Response {
    let (head, body) = request.into_parts();
    if head.method == Method::OPTIONS {
        return options("POST");
    }
    if head.method != Method::POST {
        return refusal::method("POST");
    }
    let client = client(&head);
    let read = async {
        let form = collect(body).await?;
        let (credential, token) = introspection(&form, &head.headers)?;
        Ok::<_, RequestError>(IntrospectionRequest { credential, token, client })
    };
    let request = match read.await {
        Ok(request) => request,
        Err(error) => return refusal::respond_to_client(&service, None, &error.into()),
    };
    let claimed = request.credential.account().map(ToString::to_string);
    // A caller who hangs up escapes no limit.
    let asked = Arc::clone(&service);
    let work = async move { asked.introspect(&request, asked.now()).await };
    match to_its_end(work).await {
        Ok(Ok(answer)) => respond(&service, &answer, &claimed.unwrap_or_default()),
        Ok(Err(error)) => refusal::respond_to_client(&service, claimed, &error),
        Err(panic) => refusal::internal(&panic.to_string()),
    }
}

fn respond(service: &TokenService, answer: &Introspection, caller: &str) -> Response {
    if let Introspection::Inactive { reason } = answer {
        tracing::info!(caller, reason, "a token that was asked about is not active");
    }
    let answer = Answer::of(service, answer);
    let text = serde_json::to_string(&answer).unwrap_or_default();
    let mut response = Response::new(Body::from(text));
    json(response.headers_mut());
    never_stored(response.headers_mut());
    response.extensions_mut().insert(RequestOutcome::served(caller));
    response
}

/// RFC 7662 §2.2. What is not active has no other member.
#[derive(Debug, Default, Serialize)]
struct Answer<'a> {
    active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<NumericDate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<NumericDate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<NumericDate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<Audience>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<&'a str>,
}

impl<'a> Answer<'a> {
    fn of(service: &'a TokenService, answer: &'a Introspection) -> Self {
        let iss = Some(service.issuer().as_str());
        match answer {
            Introspection::Inactive { .. } => Self::default(),
            Introspection::Access(claims) => Self {
                active: true,
                scope: Some(granted(&claims.access)),
                username: Some(&*claims.subject).filter(|name| !name.is_empty()),
                token_type: Some("Bearer"),
                exp: Some(claims.expires),
                iat: claims.issued_at,
                nbf: claims.not_before,
                sub: Some(&claims.subject),
                aud: Some(claims.audience.clone()),
                iss,
                jti: claims.id.as_deref(),
                client_id: None,
            },
            // No registry takes it: nothing of what it could get is told.
            Introspection::Refresh { account, row, until } => Self {
                active: true,
                client_id: Some(&*row.client).filter(|client| !client.is_empty()),
                username: Some(account),
                token_type: Some("refresh_token"),
                exp: Some(NumericDate::from(*until)),
                iat: Some(NumericDate::from(row.created_at)),
                sub: Some(account),
                aud: Some(Audience::one(row.service.as_str().into())),
                iss,
                ..Self::default()
            },
        }
    }
}

/// A scope grants something; what was asked for and denied is none.
fn granted(access: &AccessSet) -> String {
    let granted = access.iter().filter(|access| !access.actions.is_empty());
    granted.cloned().collect::<AccessSet>().to_string()
}
