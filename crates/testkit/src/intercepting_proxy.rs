//! A proxy before a real registry or token service, in which one thing is made wrong.
//!
//! ```text
//! client ──> InterceptingProxy ── request, changed ──> Portpass, Distribution, …
//!              │ <─ response, changed ──────┘
//!              └─ or an answer of its own, or none: cut, held until a Gate opens
//! ```

use std::{
    fmt,
    io::BufReader,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

mod message;

pub use message::{Request, Response};

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Action {
    /// It goes on, as it is by now.
    Forward,
    /// It goes on once the gate is open.
    ForwardAfter(Arc<Gate>),
    /// It is answered here.
    Respond(Response),
    /// The connection ends without an answer.
    Disconnect,
}

/// What holds requests until a test lets them go; dropped or not, it never waits for time.
#[derive(Debug, Default)]
pub struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    /// Lets everything pass that waits, and all that comes.
    pub fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(open, |open| !*open));
    }
}

type OnRequest = Box<dyn Fn(&mut Request) -> Action + Send + Sync>;
type OnResponse = Box<dyn Fn(&Request, &mut Response) + Send + Sync>;

/// A proxy that is not started yet.
pub struct ProxyBuilder {
    upstream: SocketAddr,
    requests: Vec<OnRequest>,
    responses: Vec<OnResponse>,
}

impl fmt::Debug for ProxyBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyBuilder").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

impl ProxyBuilder {
    /// Changes requests, or says what else becomes of them.
    #[must_use]
    pub fn request(
        mut self,
        change: impl Fn(&mut Request) -> Action + Send + Sync + 'static,
    ) -> Self {
        self.requests.push(Box::new(change));
        self
    }

    /// Changes responses of what is behind; the request is as it went there.
    #[must_use]
    pub fn response(
        mut self,
        change: impl Fn(&Request, &mut Response) + Send + Sync + 'static,
    ) -> Self {
        self.responses.push(Box::new(change));
        self
    }

    /// Has challenges name another token endpoint, such as a proxy before the real one.
    #[must_use]
    pub fn realm(self, realm: impl Into<String>) -> Self {
        let realm = realm.into();
        self.response(move |_, response| {
            response.change("www-authenticate", |value| with_realm(value, &realm));
        })
    }

    /// Starts it on a port that the kernel picks.
    ///
    /// # Panics
    /// If no port can be had.
    pub fn start(self) -> InterceptingProxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            plan: self,
            seen: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for stream in listener.incoming().flatten() {
                    if shared.stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    let shared = Arc::clone(&shared);
                    // A client that hangs up early has its answer or does not want it.
                    std::thread::spawn(move || shared.serve(&stream).unwrap_or_default());
                }
            }
        });
        InterceptingProxy { address, shared, thread: Some(thread) }
    }
}

/// A running proxy, stopped when dropped.
#[derive(Debug)]
pub struct InterceptingProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl InterceptingProxy {
    /// Builds a proxy before what listens there.
    pub fn before(upstream: SocketAddr) -> ProxyBuilder {
        ProxyBuilder { upstream, requests: Vec::new(), responses: Vec::new() }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://ADDRESS`, with this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Every request so far, as it came in.
    pub fn seen(&self) -> Vec<Request> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for InterceptingProxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // It waits for a connection; this is the last one.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Debug)]
struct Shared {
    plan: ProxyBuilder,
    seen: Mutex<Vec<Request>>,
    stopped: AtomicBool,
}

impl Shared {
    /// One request, one connection.
    fn serve(&self, client: &TcpStream) -> std::io::Result<()> {
        let Some(mut request) = Request::read(&mut BufReader::new(client))? else { return Ok(()) };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        for change in &self.plan.requests {
            match change(&mut request) {
                Action::Forward => {}
                Action::ForwardAfter(gate) => gate.pass(),
                Action::Respond(response) => return response.write(client),
                Action::Disconnect => return Ok(()),
            }
        }
        let upstream = TcpStream::connect(self.plan.upstream)?;
        request.write(&upstream)?;
        let mut response = Response::read(&mut BufReader::new(&upstream), &request.method)?;
        self.plan.responses.iter().for_each(|change| change(&request, &mut response));
        response.write(client)
    }
}

/// The challenge with another realm.
fn with_realm(challenge: &str, realm: &str) -> String {
    let Some((before, rest)) = challenge.split_once("realm=\"") else {
        return challenge.to_owned();
    };
    let after = rest.split_once('"').map_or("", |(_, after)| after);
    format!("{before}realm=\"{realm}\"{after}")
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    /// Answers every request with its own head and body.
    fn echo() -> InterceptingProxy {
        InterceptingProxy::before(([127, 0, 0, 1], 9).into())
            .request(|request| {
                let said =
                    format!("{} {} {:?}", request.method, request.target, request.header("host"));
                let body = [said.as_bytes(), &request.body].concat();
                let challenge = r#"Bearer realm="https://there/token",service="s""#;
                Action::Respond(Response::new(200, body).with("WWW-Authenticate", challenge))
            })
            .start()
    }

    fn ask(proxy: &InterceptingProxy, request: &str) -> String {
        let mut stream = TcpStream::connect(proxy.address()).expect("a connection");
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    #[test]
    fn requests_go_through_and_can_be_changed_on_both_ways() {
        let behind = echo();
        let proxy = InterceptingProxy::before(behind.address())
            .request(|request| {
                request.target.push_str("&more");
                request.set("host", "elsewhere");
                Action::Forward
            })
            .response(|_, response| response.status = 203)
            .realm("http://here/")
            .start();
        let chunked = "POST /path?x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;e=1\r\nde\r\n0\r\n\r\n";
        let answer = ask(&proxy, chunked);
        assert!(answer.starts_with("HTTP/1.1 203 "), "{answer}");
        assert!(answer.contains(r#"Bearer realm="http://here/",service="s""#), "{answer}");
        assert!(answer.ends_with("POST /path?x&more Some(\"elsewhere\")abcde"), "{answer}");
        assert_eq!(proxy.seen().len(), 1);
        assert_eq!(proxy.seen()[0].header("host"), Some("a"));
    }

    #[test]
    fn a_head_has_no_body_and_a_cut_no_answer() {
        let behind = echo();
        let proxy =
            InterceptingProxy::before(behind.address())
                .request(|request| {
                    if request.path() == "/cut" { Action::Disconnect } else { Action::Forward }
                })
                .start();
        let head = ask(&proxy, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
        assert_eq!(ask(&proxy, "GET /cut HTTP/1.1\r\nHost: a\r\n\r\n"), "");
    }

    #[test]
    fn a_gate_holds_what_comes_until_it_is_open() {
        let gate = Arc::new(Gate::default());
        let held = Arc::clone(&gate);
        let proxy = InterceptingProxy::before(([127, 0, 0, 1], 9).into())
            .request(move |_| Action::ForwardAfter(Arc::clone(&held)))
            .request(|_| Action::Respond(Response::new(204, "")))
            .start();
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| ask(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
            crate::server::wait_until(|| !proxy.seen().is_empty());
            assert!(!asked.is_finished());
            gate.open();
            assert!(asked.join().expect("an answer").starts_with("HTTP/1.1 204 "));
        });
    }
}
