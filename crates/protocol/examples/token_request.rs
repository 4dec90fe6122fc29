//! Reads the challenge of a registry, and prints the URL that a client requests a token from:
//!
//! ```text
//! cargo run -p portpass-protocol --example token_request -- \
//!     'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull"'
//! ```
//!
//! The argument is the value of the `WWW-Authenticate` header in the registry's answer, status 401.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example prints")]

use portpass_protocol::{Scope, challenge};
use url::Url;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let header = std::env::args().nth(1).ok_or("usage: token_request WWW-AUTHENTICATE")?;
    let challenges = challenge::parse([header]);

    // Clients differ in what they read. What is unusual is worth a line.
    for oddity in challenges.oddities() {
        eprintln!("note: {oddity}");
    }

    let bearer = challenges.bearer().ok_or("the registry asks for no token")?;
    let mut url = Url::parse(bearer.realm().ok_or("the challenge has no realm")?)?;
    if let Some(service) = bearer.service() {
        url.query_pairs_mut().append_pair("service", service);
    }
    // One `scope` for each resource. A scope that cannot be read goes out as it is: the token service
    // may know more of them.
    for word in bearer.scope().unwrap_or_default().split_ascii_whitespace() {
        if let Err(error) = Scope::parse(word) {
            eprintln!("note: {error}");
        }
        url.query_pairs_mut().append_pair("scope", word);
    }
    println!("{url}");
    Ok(())
}
