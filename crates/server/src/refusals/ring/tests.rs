use std::time::{Duration, SystemTime};

use http::{Method, Request};
use portpass_protocol::{
    Access, Action, ClientAddress, RefusalDetails, TokenSummary, advice::RefusedBy,
};
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

fn refusals(entries: usize, bytes: usize) -> RefusalLog {
    let ids = Arc::new(RequestIds::new(&Sevens));
    let refusals = RefusalLog::new(ids, Arc::new(Noon));
    RefusalLog { bounds: Bounds { entries, bytes }, ..refusals }
}

impl RefusalLog {
    /// A request of this path that was refused for this reason; its id.
    fn refuse(&self, path: &str, handled: &RequestOutcome) -> String {
        self.answered(&self.asked(Method::GET, path), StatusCode::UNAUTHORIZED, handled)
    }

    fn asked(&self, method: Method, path: &str) -> RequestSummary {
        let request = Request::builder().method(method).uri(path).body(()).unwrap();
        let (head, ()) = request.into_parts();
        RequestSummary::new(self.ids.next(), ClientAddress([192, 0, 2, 7].into()), &head)
    }

    fn answered(
        &self,
        asked: &RequestSummary,
        status: StatusCode,
        handled: &RequestOutcome,
    ) -> String {
        self.keep(asked, RouteKind::Manifest, status, handled);
        asked.id.0.clone()
    }

    fn repeated(&self, request: &str) -> usize {
        self.json(&Query::Request(request.to_owned())).found[0].repeated
    }

    fn json(&self, query: &Query) -> QueryResult {
        serde_json::from_str(&self.answer(query)).unwrap()
    }

    fn paths(&self) -> Vec<String> {
        let told = self.json(&Query::Latest(usize::MAX));
        told.found.into_iter().map(|refused| refused.path).collect()
    }
}

fn wrong() -> RequestOutcome {
    RequestOutcome::refused(Some("ann".into()), "wrong-password", "the password is wrong")
}

#[tokio::test]
async fn a_refusal_is_found_by_its_request() {
    let refusals = refusals(10, 100_000);
    let details = RefusalDetails {
        needed: [Access::repository("a/b", [Action::Pull])].into_iter().collect(),
        granted: [Access::repository("a/b", [])].into_iter().collect(),
        token: Some(TokenSummary { key: "none".into(), ..TokenSummary::default() }),
        fingerprint: Some(7),
    };
    let handled = RequestOutcome::refused(Some("ann".into()), "insufficient-scope", "too\nlittle");
    let id =
        refusals.refuse("/v2/a/b/manifests/v1?secret=1", &handled.with_details(details.clone()));
    refusals.refuse("/v2/c", &wrong());
    let told = refusals.json(&Query::Request(id.clone()));
    let expected = RefusedRequest {
        request: id,
        at: Noon.now(),
        client: "192.0.2.7".into(),
        agent: String::new(),
        subject: Some("ann".into()),
        method: "GET".into(),
        path: "/v2/a/b/manifests/v1".into(),
        status: 401,
        by: RefusedBy::Registry,
        refusal: "insufficient-scope".into(),
        reason: "too\u{fffd}little".into(),
        failures: vec!["F104".into()],
        needed: vec!["repository:a/b:pull".into()],
        granted: vec!["repository:a/b:".into()],
        token: details.token,
        repeated: 0,
    };
    assert_eq!(told.found, [expected]);
    assert_eq!((told.issued, told.kept, told.forgotten), (2, 2, 0));
    assert_eq!(refusals.json(&Query::Request("other".into())).found, []);
}

#[tokio::test]
async fn the_oldest_go_when_there_are_too_many() {
    let refusals = refusals(3, usize::MAX);
    for path in ["/1", "/2", "/3", "/4", "/5"] {
        refusals.refuse(path, &wrong());
    }
    assert_eq!(refusals.paths(), ["/5", "/4", "/3"]);
    let latest = refusals.json(&Query::Latest(2));
    assert_eq!((latest.found.len(), latest.kept, latest.forgotten), (2, 3, 2));
}

#[tokio::test]
async fn the_oldest_go_when_they_are_too_long() {
    let small = refusals(usize::MAX, usize::MAX);
    small.refuse("/1", &wrong());
    let one = small.lock().refused.bytes;
    let refusals = refusals(usize::MAX, 3 * one);
    for path in ["/1", "/2", "/3", "/4"] {
        refusals.refuse(path, &wrong());
    }
    assert_eq!(refusals.paths(), ["/4", "/3", "/2"]);
    refusals.refuse(&format!("/{}", "x".repeat(one)), &wrong());
    assert!(refusals.lock().refused.bytes <= 3 * one);
    assert!(refusals.paths().len() < 3, "a long one takes the place of several");
    refusals.refuse("/5", &RequestOutcome::refused(None, "fault", "x".repeat(9 * one)));
    assert!(refusals.lock().refused.bytes <= 3 * one, "{}", refusals.lock().refused.bytes);
}

/// Whatever somebody sends, a few entries never fill the ring.
#[tokio::test]
async fn an_entry_has_a_largest_size() {
    let refusals = refusals(1, usize::MAX);
    let many = (0..2000).map(|n| Access::repository(&format!("{n}/{}", "\u{1}".repeat(3000)), []));
    let granted: AccessSet = many.collect();
    let details =
        RefusalDetails { granted: granted.clone(), needed: granted, ..RefusalDetails::default() };
    let subject = Some("\u{1}".repeat(9000));
    let handled = RequestOutcome::refused(subject, "insufficient-scope", "\u{1}".repeat(9000));
    refusals.refuse(&format!("/{}", "x".repeat(60_000)), &handled.with_details(details));
    assert!(refusals.lock().refused.bytes < BOUNDS.bytes / 10, "{}", refusals.lock().refused.bytes);
    let told = refusals.json(&Query::Latest(1));
    assert_eq!(told.found[0].granted.last().unwrap(), "… and 1968 more");
}

/// A push looks for each of its blobs first.
#[tokio::test]
async fn what_is_only_not_there_stands_apart_and_pushes_nothing_out() {
    let refusals = refusals(4, usize::MAX);
    let absent =
        RequestOutcome::refused(Some("ann".into()), "blob-unknown", "there is no such blob");
    refusals.refuse("/refused", &wrong());
    for path in ["/1", "/2", "/3", "/4", "/5"] {
        let asked = refusals.asked(Method::HEAD, path);
        refusals.answered(&asked, StatusCode::NOT_FOUND, &absent);
    }
    // Whoever deletes what is not there was refused.
    let asked = refusals.asked(Method::DELETE, "/deleted");
    refusals.answered(&asked, StatusCode::NOT_FOUND, &absent);
    assert_eq!(refusals.paths(), ["/deleted", "/refused"]);
    let all = refusals.json(&Query::All(9));
    let paths: Vec<&str> = all.found.iter().map(|refused| refused.path.as_str()).collect();
    assert_eq!(paths, ["/deleted", "/5", "/refused"]);
    assert_eq!((all.kept, all.absent, all.forgotten), (2, 1, 4));
    assert_eq!(refusals.json(&Query::All(2)).found.len(), 2);
    let one = all.found[1].request.clone();
    assert_eq!(refusals.json(&Query::Request(one)).found[0].path, "/5");
}

/// As oras-py 0.2.43 does; what a client asks side by side is no repetition.
#[tokio::test]
async fn a_token_that_is_shown_again_is_noticed() {
    let refusals = refusals(20, usize::MAX);
    let needs = |scope: &str, fingerprint| {
        let details = RefusalDetails {
            needed: scope.parse().unwrap(),
            fingerprint,
            ..RefusalDetails::default()
        };
        let handled =
            RequestOutcome::refused(Some("ann".into()), "insufficient-scope", "too little");
        handled.with_details(details)
    };
    let push = "repository:a/b:pull,push";
    let first = refusals.refuse("/1", &needs(push, Some(1)));
    assert_eq!(refusals.repeated(&first), 0);
    let other = refusals.refuse("/2", &needs(push, Some(2)));
    let less = refusals.refuse("/3", &needs("repository:a/b:pull", Some(1)));
    let unmarked = refusals.refuse("/4", &needs(push, None));
    refusals.refuse("/5", &needs(push, None));
    let second = refusals.refuse("/6", &needs(push, Some(1)));
    assert_eq!((refusals.repeated(&first), refusals.repeated(&second)), (1, 1));
    for request in [other, less, unmarked] {
        assert_eq!(refusals.repeated(&request), 0);
    }
    let at_once = ["/7", "/8", "/9"].map(|path| refusals.asked(Method::POST, path));
    for asked in &at_once {
        refusals.answered(asked, StatusCode::UNAUTHORIZED, &needs(push, Some(3)));
    }
    assert_eq!(refusals.repeated(&at_once[0].id.0), 0);
    assert_eq!(refusals.repeated(&at_once[2].id.0), 0);
}

#[tokio::test]
async fn what_begins_every_conversation_is_not_kept() {
    let refusals = refusals(3, usize::MAX);
    refusals
        .refuse("/v2/", &RequestOutcome::refused(None, "credentials-missing", "no credentials"));
    refusals.refuse("/v2/", &RequestOutcome::served("ann"));
    assert_eq!(refusals.paths(), [""; 0]);
    let told = refusals.json(&Query::Latest(9));
    assert_eq!((told.issued, told.kept, told.forgotten), (2, 0, 0));
}
