use std::time::{Duration, SystemTime};

use http::{Method, Request};
use portpass_protocol::{Access, Action, ClientAddress, Grounds, TokenWords, advice::By};
use portpass_token::Random;

use super::*;

#[derive(Debug)]
struct Sevens;

impl Random for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

#[derive(Debug)]
struct Noon;

impl Clock for Noon {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
    }
}

fn refusals(entries: usize, bytes: usize) -> Refusals {
    let ids = Arc::new(RequestIds::new(&Sevens));
    let refusals = Refusals::new(ids, Arc::new(Noon));
    Refusals { bounds: Bounds { entries, bytes }, ..refusals }
}

impl Refusals {
    /// A request of this path that was refused for this reason; its id.
    fn refuse(&self, path: &str, handled: &Handled) -> String {
        let request = Request::builder().method(Method::GET).uri(path).body(()).unwrap();
        let (head, ()) = request.into_parts();
        let id = self.ids.next();
        let asked = Asked::new(id.clone(), ClientAddress([192, 0, 2, 7].into()), &head);
        self.keep(&asked, RouteKind::Manifest, StatusCode::UNAUTHORIZED, handled);
        id.0
    }

    fn told(&self, question: &Question) -> Told {
        serde_json::from_str(&self.answer(question)).unwrap()
    }

    fn paths(&self) -> Vec<String> {
        let told = self.told(&Question::Latest(usize::MAX));
        told.found.into_iter().map(|refused| refused.path).collect()
    }
}

fn wrong() -> Handled {
    Handled::refused(Some("ann".into()), "wrong-password", "the password is wrong")
}

#[tokio::test]
async fn a_refusal_is_found_by_its_request() {
    let refusals = refusals(10, 100_000);
    let grounds = Grounds {
        needed: [Access::repository("a/b", [Action::Pull])].into_iter().collect(),
        granted: [Access::repository("a/b", [])].into_iter().collect(),
        token: Some(TokenWords { key: "none".into(), ..TokenWords::default() }),
    };
    let handled = Handled::refused(Some("ann".into()), "insufficient-scope", "too\nlittle");
    let id = refusals.refuse("/v2/a/b/manifests/v1?secret=1", &handled.because(grounds.clone()));
    refusals.refuse("/v2/c", &wrong());
    let told = refusals.told(&Question::Request(id.clone()));
    let expected = Refused {
        request: id,
        at: Noon.now(),
        client: "192.0.2.7".into(),
        agent: String::new(),
        subject: Some("ann".into()),
        method: "GET".into(),
        path: "/v2/a/b/manifests/v1".into(),
        status: 401,
        by: By::Registry,
        refusal: "insufficient-scope".into(),
        reason: "too\u{fffd}little".into(),
        failures: vec!["F104".into()],
        needed: vec!["repository:a/b:pull".into()],
        granted: vec!["repository:a/b:".into()],
        token: grounds.token,
    };
    assert_eq!(told.found, [expected]);
    assert_eq!((told.issued, told.kept, told.forgotten), (2, 2, 0));
    assert_eq!(refusals.told(&Question::Request("other".into())).found, []);
}

#[tokio::test]
async fn the_oldest_go_when_there_are_too_many() {
    let refusals = refusals(3, usize::MAX);
    for path in ["/1", "/2", "/3", "/4", "/5"] {
        refusals.refuse(path, &wrong());
    }
    assert_eq!(refusals.paths(), ["/5", "/4", "/3"]);
    let latest = refusals.told(&Question::Latest(2));
    assert_eq!((latest.found.len(), latest.kept, latest.forgotten), (2, 3, 2));
}

#[tokio::test]
async fn the_oldest_go_when_they_are_too_long() {
    let small = refusals(usize::MAX, usize::MAX);
    small.refuse("/1", &wrong());
    let one = small.lock().bytes;
    let refusals = refusals(usize::MAX, 3 * one);
    for path in ["/1", "/2", "/3", "/4"] {
        refusals.refuse(path, &wrong());
    }
    assert_eq!(refusals.paths(), ["/4", "/3", "/2"]);
    refusals.refuse(&format!("/{}", "x".repeat(one)), &wrong());
    assert!(refusals.lock().bytes <= 3 * one);
    assert!(refusals.paths().len() < 3, "a long one takes the place of several");
    refusals.refuse("/5", &Handled::refused(None, "fault", "x".repeat(9 * one)));
    assert!(refusals.lock().bytes <= 3 * one, "{}", refusals.lock().bytes);
}

/// Whatever somebody sends, a few entries never fill the ring.
#[tokio::test]
async fn an_entry_has_a_largest_size() {
    let refusals = refusals(1, usize::MAX);
    let many = (0..2000).map(|n| Access::repository(&format!("{n}/{}", "\u{1}".repeat(3000)), []));
    let granted: AccessSet = many.collect();
    let grounds = Grounds { granted: granted.clone(), needed: granted, token: None };
    let subject = Some("\u{1}".repeat(9000));
    let handled = Handled::refused(subject, "insufficient-scope", "\u{1}".repeat(9000));
    refusals.refuse(&format!("/{}", "x".repeat(60_000)), &handled.because(grounds));
    assert!(refusals.lock().bytes < BOUNDS.bytes / 10, "{}", refusals.lock().bytes);
    let told = refusals.told(&Question::Latest(1));
    assert_eq!(told.found[0].granted.last().unwrap(), "… and 1968 more");
}

#[tokio::test]
async fn what_begins_every_conversation_is_not_kept() {
    let refusals = refusals(3, usize::MAX);
    refusals.refuse("/v2/", &Handled::refused(None, "credentials-missing", "no credentials"));
    refusals.refuse("/v2/", &Handled::served("ann"));
    assert_eq!(refusals.paths(), [""; 0]);
    let told = refusals.told(&Question::Latest(9));
    assert_eq!((told.issued, told.kept, told.forgotten), (2, 0, 0));
}
