//! A service that checks a registry's tokens: it shows the notes of a repository to everybody who may pull it.
//!
//! ```text
//! cargo run -p portpass-token --example axum_service -- root.crt ISSUER SERVICE 127.0.0.1:8080
//! curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8080/notes/team/app
//! ```
//!
//! `root.crt` has the certificates that the registry trusts (`rootcertbundle`).

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{error::Error, fs, sync::Arc};

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use portpass_token::{Access, Action, Clock as _, SystemClock, Trust, Verifier};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bundle, issuer, service, address] = arguments.as_slice() else {
        return Err("usage: axum_service BUNDLE ISSUER SERVICE ADDRESS".into());
    };
    let trust = Trust::from_pem(&fs::read(bundle)?)?;
    // One for the whole service: it remembers the tokens that it has verified.
    let verifier = Arc::new(Verifier::new(issuer.as_str(), service.as_str(), trust));
    let router = Router::new().route("/notes/{*repository}", get(notes)).with_state(verifier);

    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}

async fn notes(
    State(verifier): State<Arc<Verifier>>,
    Path(repository): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(token) = bearer_token(&headers) else {
        return challenge("Bearer", "a token is needed");
    };
    let claims = match verifier.verify(token, SystemClock.now()) {
        Ok(claims) => claims,
        Err(invalid) => {
            // The reason is for the operator. The caller hears no more than that the token is refused.
            println!("refused: {invalid}");
            return challenge(r#"Bearer error="invalid_token""#, "the token is refused");
        }
    };
    if !claims.access.covers(&Access::repository(&repository, [Action::Pull])) {
        return (StatusCode::FORBIDDEN, "the token does not grant pull\n").into_response();
    }
    format!("{}, these are the notes of {repository}\n", claims.subject).into_response()
}

/// RFC 6750 §2.1
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(token)
}

fn challenge(value: &'static str, text: &str) -> Response {
    let headers = [(header::WWW_AUTHENTICATE, value)];
    (StatusCode::UNAUTHORIZED, headers, format!("{text}\n")).into_response()
}
