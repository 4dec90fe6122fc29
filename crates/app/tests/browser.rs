//! Pages in a real browser: one of another origin, which logs in and lists what is there, and a report of `diagnose`.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use axum::{
    Router,
    response::Html,
    routing::{get, post},
};
use portpass_testkit::Portpass;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::mpsc, time::timeout};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");

/// Asks as a client does: what the challenge names, a token, a list with it. Says how it went.
const PAGE: &str = r#"<!doctype html><script type="module">
const base = "{base}", basic = { Authorization: "Basic " + btoa("admin:{password}") };
let outcome;
try {
    const ping = await fetch(base + "/v2/");
    const challenge = ping.headers.get("WWW-Authenticate");
    const [, realm, service] = challenge.match(/realm="([^"]+)",service="([^"]+)"/);
    const scopes = "scope=registry:catalog:*&scope=repository:admin/app:pull,push";
    const token = await fetch(`${realm}?service=${service}&${scopes}`, { headers: basic });
    const bearer = { Authorization: "Bearer " + (await token.json()).token };
    const push = await fetch(base + "/v2/admin/app/blobs/uploads/", { method: "POST", headers: bearer });
    const catalog = await fetch(base + "/v2/_catalog", { headers: bearer });
    const keys = await fetch(base + "/.well-known/jwks.json", { headers: bearer });
    const out = await fetch(base + "/oauth/revoke", {
        method: "POST",
        headers: { ...basic, "Content-Type": "application/x-www-form-urlencoded" },
        body: "token=none",
    });
    outcome = {
        ping: ping.status, push: push.status, location: push.headers.get("Location") !== null,
        catalog: (await catalog.json()).repositories, keys: (await keys.json()).keys.length, out: out.status,
    };
} catch (error) {
    outcome = { error: String(error) };
}
await fetch("/outcome", { method: "POST", body: JSON.stringify(outcome) });
</script>"#;

/// The headers are those of the documentation. Where they name another page, the browser lets this one read nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_logs_in_and_lists_if_the_headers_let_it() {
    let expected = json!({
        "ping": 401, "push": 202, "location": true, "catalog": [], "keys": 1, "out": 200,
    });
    assert_eq!(outcome(str::to_owned).await, expected);
    let refused = outcome(|_| "https://ui.example.com".to_owned()).await;
    assert!(refused["error"].as_str().unwrap().contains("Failed to fetch"), "{refused}");
}

/// What becomes of the page where the registry lets in what `allowed` makes of its origin.
async fn outcome(allowed: impl Fn(&str) -> String) -> Value {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let page = format!("http://{}", listener.local_addr().unwrap());
    let portpass = serve(&allowed(&page));
    let password = fs::read_to_string(portpass.folder().join("data/admin-password")).unwrap();
    let html = PAGE.replace("{base}", &portpass.url()).replace("{password}", password.trim());
    opened(listener, html, String::new()).await
}

/// What a page tells, with another one below `/report`.
async fn opened(listener: TcpListener, html: String, report: String) -> Value {
    let page = format!("http://{}", listener.local_addr().unwrap());
    let (told, mut outcomes) = mpsc::unbounded_channel();
    let tell = move |body: String| async move { told.send(body).unwrap() };
    let router = Router::new()
        .route("/", get(move || async move { Html(html) }))
        .route("/report", get(move || async move { Html(report) }))
        .route("/outcome", post(tell));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let browser = Browser::open(&page);
    let outcome = timeout(Duration::from_mins(2), outcomes.recv()).await;
    let outcome = outcome.expect("the page tells something");
    drop(browser);
    serving.abort();
    serde_json::from_str(&outcome.unwrap()).unwrap()
}

/// Opens all that is folded in the report, in a frame as wide as a telephone and in a wide one.
const FRAMES: &str = r#"<!doctype html><body><script type="module">
const outcome = {};
for (const width of [400, 1200]) {
    const frame = Object.assign(document.createElement("iframe"), { src: "/report", width, height: 800 });
    const loaded = new Promise(done => frame.onload = done);
    document.body.append(frame);
    await loaded;
    const page = frame.contentDocument;
    for (const folded of page.querySelectorAll("details")) folded.open = true;
    const links = [...page.querySelectorAll("a")].map(a => a.getAttribute("href"));
    const root = page.documentElement;
    outcome[width] = {
        sideways: root.scrollWidth - root.clientWidth,
        astray: links.filter(link => !page.getElementById(link.slice(1))),
        links: links.length > 90,
        broken: page.querySelectorAll(".sequence .broken").length,
    };
}
await fetch("/outcome", { method: "POST", body: JSON.stringify(outcome) });
</script>"#;

/// Its own policy lets the report load and run nothing; it is measured from outside.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_diagnose_fits_on_a_telephone() {
    let portpass = serve("https://ui.example.com");
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("report.html");
    let long = format!("{}/{}/{}", portpass.address(), "a".repeat(90), "b".repeat(90));
    let ran = Command::new(PROGRAM)
        .args(["diagnose", &long, "--report"])
        .arg(&file)
        .env("HOME", home.path())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(ran.code(), Some(1), "nobody is logged in");
    let report = fs::read_to_string(file).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let outcome = opened(listener, FRAMES.to_owned(), report).await;
    let good = json!({ "sideways": 0, "astray": [], "links": true, "broken": 1 });
    assert_eq!(outcome, json!({ "400": good, "1200": good }));
}

/// With the configuration of the documentation, for a page of this origin.
fn serve(origin: &str) -> Portpass {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("\n## Pages of other origins\n").unwrap();
    let (_, block) = section.split_once("```yaml\n").unwrap();
    let block = block.split("```").next().unwrap();
    assert!(block.contains("https://ui.example.com"));
    let folder = tempfile::tempdir().unwrap();
    let configuration = block.replace("https://ui.example.com", origin);
    fs::write(folder.path().join("portpass.yml"), configuration).unwrap();
    let file = "{folder}/portpass.yml";
    let arguments = ["--config", file, "--data", "{folder}/data", "--addr", "127.0.0.1:0"];
    Portpass::serve_in(Path::new(PROGRAM), &arguments, folder)
}

/// A Chromium without a window, and with a profile of its own; stopped when dropped.
struct Browser {
    process: Child,
    _profile: TempDir,
}

impl Browser {
    fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let process = Command::new("chromium")
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(url)
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromium starts; `cargo xtask setup` installs it");
        Self { process, _profile: profile }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its children end with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Nothing but the page is asked for.
const FLAGS: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];
