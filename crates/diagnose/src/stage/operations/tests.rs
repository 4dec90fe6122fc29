mod registry;

use portpass_testkit::http::{Reply, Seen, Served, reply};
use reqwest::header::{CONTENT_TYPE, LOCATION};

use self::registry::{NAME, Options, configuration, diagnosed, issued, lacks, token};
use crate::{Check, Detail, Finding, Report, Verdict};

/// Rows of the catalogue that this stage finds: the check that names them, and how it ends.
pub(crate) const ROWS: &[(&str, Check, &str)] = &[
    ("F105", Check::Ops05, "fail"),
    ("F106", Check::Ops05, "fail"),
    ("F107", Check::Ops09, "fail"),
    ("F108", Check::Ops04, "warn"),
    ("F109", Check::Ops08, "fail"),
    ("F121", Check::Ops03, "fail"),
    ("F122", Check::Ops07, "fail"),
    ("F123", Check::Ops10, "fail"),
    ("F124", Check::Ops06, "fail"),
    ("F125", Check::Ops02, "fail"),
    ("F126", Check::Ops01, "fail"),
];

/// The stage's own answer to a check.
fn found(report: &Report, check: Check) -> &Finding {
    report.finding(check).unwrap()
}

/// Holds a diagnosis against a row of the table: its check is the cause, and nothing fails beside it.
#[track_caller]
fn is_row(report: &Report, row: &str) {
    let (_, check, verdict) = ROWS.iter().find(|(known, ..)| *known == row).unwrap();
    let finding = found(report, *check);
    assert_eq!(
        finding.verdict.as_str(),
        *verdict,
        "{}",
        report.text(Detail::Short, |_, text| text.to_owned())
    );
    assert!(finding.rows.contains(&row), "{finding:#?}");
    assert!(finding.fix.is_some(), "{finding:#?}");
    let cause = report.cause().map(|cause| cause.check);
    assert_eq!(cause, (*verdict == "fail").then_some(*check));
    let beside = report.findings.iter().filter(|finding| finding.failed());
    assert!(beside.filter(|finding| finding.follows_from.is_none()).count() < 2);
}

fn on(seen: &Seen, method: &str, path: &str) -> bool {
    seen.method == method && seen.path == path
}

fn uploads() -> String {
    format!("/v2/{NAME}/blobs/uploads/")
}

fn verdicts(report: &Report, checks: &[Check]) -> Vec<&'static str> {
    checks.iter().map(|check| found(report, *check).verdict.as_str()).collect()
}

#[tokio::test]
async fn a_good_registry_passes_with_few_requests() {
    let (report, _, seen) = diagnosed(Options::default(), |_| None).await;
    let reading = [Check::Ops01, Check::Ops02, Check::Ops08, Check::Ops09];
    assert_eq!(verdicts(&report, &reading[..2]), ["pass", "pass"]);
    assert_eq!(verdicts(&report, &[Check::Ops09]), ["pass"]);
    assert_eq!(report.verdict(), "pass");
    assert!(seen.len() <= 12, "{}", seen.len());
    assert!(seen.iter().all(|seen| matches!(seen.method.as_str(), "GET" | "HEAD")), "{seen:#?}");
    let needs = found(&report, Check::Ops04).summary.clone();
    assert_eq!(needs, "not checked: needs --write");
}

#[tokio::test]
async fn a_push_is_tried_and_nothing_stays() {
    let asked = Options { wait_expiry: true, ..Options::to_write() };
    let (report, left, seen) = diagnosed(asked, |_| None).await;
    let writing =
        [Check::Ops03, Check::Ops04, Check::Ops05, Check::Ops06, Check::Ops07, Check::Ops10];
    assert_eq!(verdicts(&report, &writing), ["pass"; 6], "{report:#?}");
    assert_eq!(left, [] as [&str; 0]);
    assert!(seen.len() <= 12 + 40, "{}", seen.len());
}

#[tokio::test]
async fn without_a_repository_only_the_catalog_is_asked() {
    let asked = Options { target: "", ..Options::to_write() };
    let (report, _, seen) = diagnosed(asked, |_| None).await;
    let checks = [Check::Ops01, Check::Ops02, Check::Ops03, Check::Ops08];
    assert_eq!(verdicts(&report, &checks), ["skip"; 4]);
    assert_eq!(
        found(&report, Check::Ops01).summary,
        "not checked: needs a repository: HOST/REPOSITORY"
    );
    assert!(seen.iter().all(|seen| !seen.path.contains(NAME)));
}

#[tokio::test]
async fn head_and_get_are_compared() {
    let head = |answer: fn() -> Reply| {
        diagnosed(Options::default(), move |seen| (seen.method == "HEAD").then(answer))
    };
    for (answer, verdict) in [
        ((|| reply(405, "")) as fn() -> Reply, "fail"),
        (|| reply(200, ""), "warn"),
        (|| reply(200, "").with("docker-content-digest".parse().unwrap(), "sha256:other"), "fail"),
    ] {
        let (report, ..) = head(answer).await;
        assert_eq!(found(&report, Check::Ops01).verdict.as_str(), verdict, "{report:#?}");
    }
}

#[tokio::test]
async fn an_image_that_is_not_there_is_no_fault_of_the_registry() {
    let asked = Options { target: "/team/app:v9", ..Options::default() };
    let (report, ..) = diagnosed(asked, |_| None).await;
    assert_eq!(found(&report, Check::Ops01).verdict, Verdict::Warn);
    let (report, ..) = diagnosed(Options::default(), |seen| {
        on(seen, "GET", "/v2/team/app/tags/list").then(|| reply(404, "{}"))
    })
    .await;
    assert_eq!(verdicts(&report, &[Check::Ops01, Check::Ops02]), ["skip", "skip"]);
}

/// F126
#[tokio::test]
async fn a_page_in_place_of_a_manifest_is_of_a_proxy() {
    let page = |seen: &Seen| {
        let page = || reply(502, "<html>Bad Gateway</html>").with(CONTENT_TYPE, "text/html");
        seen.path.contains("/manifests/").then(page)
    };
    let (report, ..) = diagnosed(Options::default(), page).await;
    is_row(&report, "F126");
}

/// F125: Go sends the header along to the same host, whatever the port.
#[tokio::test]
async fn a_storage_in_the_registrys_domain_is_told_of_and_gets_no_credential() {
    // The second is behind something that takes the header away, as quay.io's storage is.
    for (status, verdict) in [(400, "fail"), (200, "warn")] {
        let storage = Served::start(move |seen: &Seen| match seen.authorization {
            Some(_) => reply(status, ""),
            None => reply(200, "{}"),
        })
        .await;
        let url = storage.url("/bucket/blob?X-Amz-Signature=1");
        let (report, ..) = diagnosed(Options::default(), move |seen| {
            let redirect = || reply(307, "").with(LOCATION, url.clone());
            (seen.path == format!("/v2/{NAME}/blobs/{}", configuration())).then(redirect)
        })
        .await;
        let shown = storage.seen().into_iter().map(|seen| seen.authorization);
        assert_eq!(shown.collect::<Vec<_>>(), [None, Some("Bearer garbage".to_owned())]);
        assert_eq!(found(&report, Check::Ops02).verdict.as_str(), verdict);
        if verdict == "fail" {
            is_row(&report, "F125");
        }
    }
}

/// As Docker Hub answers those who have pulled enough.
#[tokio::test]
async fn a_limit_of_pulls_is_called_one() {
    let (report, ..) = diagnosed(Options::default(), |seen| {
        seen.path.contains("/manifests/").then(|| reply(429, "{}"))
    })
    .await;
    let finding = found(&report, Check::Ops01);
    assert!(finding.failed() && finding.summary.contains("too many pulls"), "{finding:#?}");
    assert!(finding.fix.as_deref().unwrap().contains("log in"));
}

/// As registry.k8s.io does.
#[tokio::test]
async fn a_registry_may_send_on_to_another() {
    let (report, ..) = diagnosed(Options::default(), |seen| {
        let redirect = || reply(307, "").with(LOCATION, "https://other.example.com/v2/x");
        seen.path.contains("/manifests/").then(redirect)
    })
    .await;
    let finding = found(&report, Check::Ops01);
    assert_eq!(finding.verdict, Verdict::Pass, "{finding:#?}");
    assert!(finding.summary.contains("other.example.com"));
}

#[tokio::test]
async fn a_storage_that_does_not_serve_is_the_storages_fault() {
    for (answer, port) in [(reply(403, "<Error/>"), None), (reply(200, ""), Some(1))] {
        let storage = Served::always(answer).await;
        let url = match port {
            None => storage.url("/blob"),
            Some(port) => format!("http://127.0.0.1:{port}/blob"),
        };
        let (report, ..) = diagnosed(Options::default(), move |seen| {
            let redirect = || reply(307, "").with(LOCATION, url.clone());
            seen.path.contains("/blobs/sha256").then(redirect)
        })
        .await;
        assert_eq!(found(&report, Check::Ops02).verdict, Verdict::Fail, "{report:#?}");
    }
}

/// F107
#[tokio::test]
async fn a_catalog_that_is_granted_has_to_be_served() {
    for granted in [&["*"] as &[&str], &["pull"]] {
        let token = token(granted);
        let (report, ..) = diagnosed(Options::default(), move |seen| match seen.path.as_str() {
            "/token" => Some(issued(&token)),
            "/v2/_catalog" => Some(lacks("registry:catalog:*")),
            _ => None,
        })
        .await;
        is_row(&report, "F107");
    }
}

#[tokio::test]
async fn catalogs_are_as_different_as_registries() {
    type Answer = fn() -> Reply;
    let table: [(Answer, &str); 4] = [
        (|| reply(404, ""), "pass"),
        (|| reply(200, "{}"), "warn"),
        (|| lacks("repository:catalog:pull"), "warn"),
        (|| reply(405, ""), "pass"),
    ];
    for (answer, verdict) in table {
        let (report, ..) =
            diagnosed(Options::default(), move |seen| (seen.path == "/v2/_catalog").then(answer))
                .await;
        assert_eq!(found(&report, Check::Ops09).verdict.as_str(), verdict, "{report:#?}");
    }
    // Most accounts may not list, and nothing is wrong about that.
    let nothing = token(&[]);
    let (report, ..) = diagnosed(Options::default(), move |seen| match seen.path.as_str() {
        "/token" => Some(issued(&nothing)),
        "/v2/_catalog" => Some(lacks("registry:catalog:*")),
        _ => None,
    })
    .await;
    assert_eq!(found(&report, Check::Ops09).verdict, Verdict::Pass);
}

/// F109, F142: another check has failed by then, and this one says what it comes from.
#[tokio::test]
async fn an_image_for_everybody_is_compared_with_what_the_login_gets() {
    let (mut run, _served, _) = registry::run(Options::default(), |_| None).await;
    run.observed.answers.anonymous = Some(anonymous(&run, &token(&[])).await);
    run.record(Finding::fail(Check::Tok02, "401"));
    super::check(&mut run).await;
    let report = run.into_report();
    let finding = found(&report, Check::Ops08);
    assert_eq!(finding.follows_from, Some(Check::Tok02));
    assert_eq!(finding.rows, ["F142", "F109"]);
    assert!(finding.fix.as_deref().unwrap().contains("docker logout"), "{finding:#?}");

    let (mut run, _served, _) = registry::run(Options::default(), |_| None).await;
    run.observed.answers.anonymous = Some(anonymous(&run, &token(&[])).await);
    super::check(&mut run).await;
    assert_eq!(found(&run.into_report(), Check::Ops08).verdict, Verdict::Pass);
}

async fn anonymous(run: &crate::run::Run, token: &str) -> crate::exchange::Response {
    let served = Served::always(issued(token)).await;
    let ask = crate::exchange::Request::get(served.url("/token").parse().unwrap());
    run.probe.send(&ask).await.unwrap()
}

/// F121
#[tokio::test]
async fn an_upload_that_goes_on_elsewhere_is_not_followed() {
    let elsewhere = Served::always(reply(202, "")).await;
    let url = elsewhere.url("/v2/team/app/blobs/uploads/1");
    let (report, left, _) = diagnosed(Options::to_write(), move |seen| {
        on(seen, "POST", &uploads()).then(|| reply(202, "").with(LOCATION, url.clone()))
    })
    .await;
    is_row(&report, "F121");
    assert_eq!(elsewhere.seen().len(), 0);
    assert_eq!(left, [] as [&str; 0]);
    assert_eq!(found(&report, Check::Ops04).summary, "not checked: fix OPS-03 first");
}

#[tokio::test]
async fn an_upload_that_is_refused_is_told_as_it_was() {
    let answers: [fn() -> Reply; 3] = [
        || reply(403, "{}"),
        || reply(202, ""),
        || reply(500, "<html>").with(CONTENT_TYPE, "text/html"),
    ];
    for answer in answers {
        let (report, ..) =
            diagnosed(Options::to_write(), move |seen| on(seen, "POST", &uploads()).then(answer))
                .await;
        assert_eq!(report.cause().unwrap().check, Check::Ops03);
        assert!(report.cause().unwrap().fix.is_some());
    }
}

/// F122
#[tokio::test]
async fn a_limit_of_bodies_is_found() {
    let (report, left, seen) = diagnosed(Options::to_write(), |seen| {
        let large = seen.method == "PATCH"
            && seen.form.first().is_some_and(|(name, _)| name.len() > 1_000_000);
        large.then(|| reply(413, "<html>413</html>").with(CONTENT_TYPE, "text/html"))
    })
    .await;
    is_row(&report, "F122");
    assert_eq!(left, [] as [&str; 0]);
    let cancelled =
        seen.iter().filter(|seen| seen.method == "DELETE" && seen.path.contains("uploads"));
    assert_eq!(cancelled.count(), 2);
}

/// F108
#[tokio::test]
async fn nothing_is_pushed_that_could_not_be_deleted() {
    for status in [405, 401, 403] {
        let (report, left, seen) = diagnosed(Options::to_write(), move |seen| {
            let blob = seen.path.contains("/blobs/sha256") && seen.method == "DELETE";
            blob.then(|| reply(status, "{}"))
        })
        .await;
        is_row(&report, "F108");
        assert_eq!(left, [] as [&str; 0]);
        assert!(seen.iter().all(|seen| seen.method != "PUT"));
        assert_eq!(verdicts(&report, &[Check::Ops03, Check::Ops07]), ["pass", "pass"]);
    }
}

#[tokio::test]
async fn what_stays_is_listed() {
    let (report, ..) = diagnosed(Options::to_write(), |seen| {
        (seen.method == "DELETE" && seen.path.contains("uploads")).then(|| reply(401, "{}"))
    })
    .await;
    let finding = found(&report, Check::Ops04);
    assert_eq!(finding.verdict, Verdict::Warn);
    assert!(
        finding.evidence.iter().any(|line| line.starts_with("left: a started upload")),
        "{finding:#?}"
    );
}

/// F106, and others that no client takes for "upload it then".
#[tokio::test]
async fn a_mount_is_never_forbidden() {
    for status in [403, 404, 500] {
        let (report, left, _) = diagnosed(Options::to_write(), move |seen| {
            let foreign = seen.one("from").is_some_and(|from| from != NAME);
            foreign.then(|| reply(status, "{}"))
        })
        .await;
        assert_eq!(found(&report, Check::Ops05).verdict, Verdict::Fail);
        if status == 403 {
            is_row(&report, "F106");
        }
        assert_eq!(left, [] as [&str; 0]);
    }
}

/// F105
#[tokio::test]
async fn a_mount_that_lacks_a_right_says_which() {
    let answers: [fn(&Seen) -> Option<Reply>; 2] = [
        |seen| {
            let foreign = seen.one("from").is_some_and(|from| from != NAME);
            foreign.then(|| lacks("repository:team/app:pull,push"))
        },
        |seen| {
            seen.one("from")
                .is_some_and(|from| from == NAME)
                .then(|| lacks("repository:team/app:pull,push"))
        },
    ];
    for answer in answers {
        let (report, ..) = diagnosed(Options::to_write(), answer).await;
        is_row(&report, "F105");
    }
}

#[tokio::test]
async fn a_mount_that_becomes_an_upload_is_cancelled() {
    let (report, _, seen) = diagnosed(Options::to_write(), |seen| {
        let upload = || reply(202, "").with(LOCATION, "/v2/team/app/blobs/uploads/mount");
        seen.one("from").map(|_| upload())
    })
    .await;
    assert_eq!(found(&report, Check::Ops05).verdict, Verdict::Pass);
    assert_eq!(
        seen.iter().filter(|seen| on(seen, "DELETE", &format!("{}mount", uploads()))).count(),
        2
    );
}

/// F124: a second registry that does not know what the first one has begun.
#[tokio::test]
async fn registries_without_a_common_secret_are_found() {
    let unknown = || reply(404, r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"m"}]}"#);
    let commits = std::sync::atomic::AtomicUsize::new(0);
    let (report, left, _) = diagnosed(Options::to_write(), move |seen| {
        let commit = seen.method == "PUT";
        let number = commit.then(|| commits.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
        number.is_some_and(|number| number % 2 == 1).then(unknown)
    })
    .await;
    is_row(&report, "F124");
    assert_eq!(left, [] as [&str; 0]);
    assert_eq!(
        found(&report, Check::Ops06).summary,
        "3 of 5 uploads fail if every step uses a new connection"
    );

    // A balancer that changes with every request shows at the first upload already.
    let (report, ..) =
        diagnosed(Options::to_write(), move |seen| (seen.method == "PUT").then(unknown)).await;
    assert_eq!(report.cause().unwrap().check, Check::Ops04);
    assert_eq!(report.cause().unwrap().rows, ["F124"]);
}

/// F123
#[tokio::test]
async fn an_upload_that_dies_with_its_token_is_found() {
    let patches = std::sync::atomic::AtomicUsize::new(0);
    let asked = Options { wait_expiry: true, ..Options::to_write() };
    let (report, ..) = diagnosed(asked, move |seen| {
        let number = (seen.method == "PATCH")
            .then(|| patches.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
        // One of 2 MB, one of OPS-04, five of OPS-06; the last one comes late.
        (number == Some(7)).then(|| lacks("repository:team/app:pull,push"))
    })
    .await;
    is_row(&report, "F123");
}

#[tokio::test]
async fn what_failed_earlier_is_not_asked_again() {
    let (mut run, served, _) = registry::run(Options::to_write(), |_| None).await;
    run.record(Finding::fail(Check::Use03, "401"));
    super::check(&mut run).await;
    let report = run.into_report();
    let checks = [Check::Ops01, Check::Ops02, Check::Ops03, Check::Ops04];
    assert_eq!(verdicts(&report, &checks), ["skip"; 4]);
    assert_eq!(found(&report, Check::Ops01).summary, "not checked: fix USE-03 first");
    assert!(served.seen().iter().all(|seen| !seen.path.contains(NAME)));
}

#[test]
fn every_row_is_in_the_table_once() {
    let mut rows: Vec<&str> = ROWS.iter().map(|(row, ..)| *row).collect();
    rows.dedup();
    assert_eq!(rows.len(), ROWS.len());
}
