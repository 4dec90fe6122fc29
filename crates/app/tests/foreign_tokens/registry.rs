//! A registry that trusts what it is given, and requests to it, byte for byte.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
};

use portpass_testkit::Portpass;

use crate::outcome::{Outcome, REALM, SERVICE};

/// A `portpass serve` that reads everybody else's tokens.
pub(crate) struct Registry {
    portpass: Portpass,
}

/// A request; `TOKEN` in its credentials stands for the token.
#[derive(Clone, Copy)]
pub(crate) struct Ask {
    method: &'static str,
    path: &'static str,
    authorization: Option<&'static str>,
}

impl Ask {
    pub(crate) const fn new(method: &'static str, path: &'static str) -> Self {
        Self { method, path, authorization: Some("Bearer TOKEN") }
    }

    pub(crate) const fn with(mut self, authorization: &'static str) -> Self {
        self.authorization = Some(authorization);
        self
    }

    pub(crate) const fn without_credentials(mut self) -> Self {
        self.authorization = None;
        self
    }

    /// Whether it needs a token to be shown.
    pub(crate) fn shows_token(&self) -> bool {
        self.authorization.is_some_and(|text| text.contains("TOKEN"))
    }

    /// What is sent behind the scheme.
    fn secret(&self, token: &str) -> String {
        let behind = self.authorization.and_then(|text| text.split_once(' '));
        behind.map(|(_, text)| text.replace("TOKEN", token)).unwrap_or_default()
    }

    fn written(&self, host: SocketAddr, token: &str) -> String {
        let Self { method, path, authorization } = self;
        let authorization = authorization
            .map(|text| format!("Authorization: {}\r\n", text.replace("TOKEN", token)))
            .unwrap_or_default();
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
             Content-Length: 0\r\n{authorization}\r\n"
        )
    }
}

impl Registry {
    /// Trusts files, each under its key of `auth.token`: `rootcertbundle`, `jwks`.
    pub(crate) fn trusting(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().display();
        let trusted: Vec<String> =
            files.iter().map(|(key, _)| format!("      {key}: {here}/{key}\n")).collect();
        let configuration = format!(
            "\
data: {here}/data
log: {{ level: trace }}
http: {{ addr: 127.0.0.1:0 }}
registry:
  storage: {{ delete: {{ enabled: true }} }}
  auth:
    token:
      issuer: tokens.example
      realm: {REALM}
      service: {SERVICE}
{}",
            trusted.concat()
        );
        for (key, content) in files {
            fs::write(folder.path().join(key), content).unwrap();
        }
        fs::write(folder.path().join("portpass.yml"), configuration).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_portpass"));
        let arguments = ["--config", "{folder}/portpass.yml"];
        Self { portpass: Portpass::serve_in(program, &arguments, folder) }
    }

    /// Asks, and makes sure that answer and log tell nothing of the token or password.
    pub(crate) fn ask(&self, ask: Ask, token: &str) -> Outcome {
        let address = self.portpass.address();
        let answer = exchange(address, &ask.written(address, token));
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let outcome = Outcome {
            status: status.unwrap_or_else(|| panic!("not an answer: {answer:?}")),
            challenge: header(&answer, "www-authenticate").map(str::to_owned),
            refusal: self.refusal(&answer),
        };
        let log = self.portpass.log();
        let secret = ask.secret(token);
        tells_nothing_of(&secret, "answer", &answer);
        tells_nothing_of(&secret, "log", &log);
        assert!(!log.contains(TOKEN_ID), "a claim is in the log:\n{log}");
        for claim in [TOKEN_ID, SUBJECT] {
            assert!(!answer.contains(claim), "a claim is in the answer:\n{answer}");
        }
        outcome
    }

    /// Shows a token where any good one is enough.
    pub(crate) fn shown(&self, token: &str) -> Outcome {
        self.ask(Ask::new("GET", "/v2/"), token)
    }

    /// Waits for a line of the log.
    #[track_caller]
    pub(crate) fn says(&self, words: &[&str]) {
        self.portpass.wait_for_log(words);
    }

    /// The id in the log's line for this answer.
    fn refusal(&self, answer: &str) -> Option<String> {
        let Some(id) = header(answer, "x-request-id") else {
            // Refused before it was a request. Once another one has a line, nothing more comes.
            assert!(answer.starts_with("HTTP/1.1 431 "), "no id in {answer}");
            self.ask(Ask::new("GET", "/v2/").without_credentials(), "");
            return None;
        };
        let line = self.portpass.wait_for_log(&["access:", &format!("request_id={id} ")]);
        let (_, refusal) = line.split_once(" refusal=\"")?;
        Some(refusal.split('"').next().unwrap().to_owned())
    }
}

/// Sends a request as it is and returns the answer as it comes.
fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    // A server that has seen enough hangs up before the end; its answer is there all the same.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer);
    assert!(!answer.is_empty(), "no answer: {ended:?}");
    String::from_utf8(answer).unwrap()
}

/// A header that is there once, or not at all.
fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = answer.split_once("\r\n\r\n")?;
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    let mut named = |(field, _): &(&str, &str)| field.eq_ignore_ascii_case(name);
    let (_, value) = fields.find(&mut named)?;
    assert!(!fields.any(|field| named(&field)), "{name} is there twice: {answer}");
    Some(value)
}

/// Looks for every eight characters: any fifteen in a row hold eight of these.
fn tells_nothing_of(secret: &str, place: &str, text: &str) {
    let pieces: BTreeSet<&[u8]> = secret.as_bytes().chunks_exact(8).collect();
    for piece in pieces.into_iter().map(|piece| std::str::from_utf8(piece).unwrap()) {
        assert!(!text.contains(piece), "{piece:?} of the secret is in the {place}:\n{text}");
    }
}

#[test]
#[should_panic(expected = "of the secret is in the log")]
fn a_piece_of_a_token_is_found_wherever_it_begins() {
    tells_nothing_of("eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9", "log", "token=…GciOiJFUzI1NiIs…");
}

/// What every forged token says in `jti` and `sub`.
const TOKEN_ID: &str = "7d1c0f4e-one-of-a-kind";
const SUBJECT: &str = "somebody-from-elsewhere";
