//! Clocks that do not agree.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use portpass_client::SystemClock;
use reqwest::{
    StatusCode,
    header::{AGE, DATE, HeaderMap, HeaderValue},
};

use super::fixture::{bare, found};
use crate::{Check, Report, exchange::Response, run::Run, stage::network::compare_clocks};

/// An answer of a clock that is so many seconds ahead.
fn answer(ahead: i64) -> Response {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let date = jiff::Timestamp::from_second(1_700_000_000 + ahead).unwrap();
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date);
    let mut headers = HeaderMap::new();
    headers.insert(DATE, HeaderValue::try_from(date.unwrap()).unwrap());
    Response {
        status: StatusCode::UNAUTHORIZED,
        headers,
        body: Bytes::new(),
        truncated: false,
        address: None,
        http2: false,
        took: Duration::ZERO,
        at,
    }
}

fn compared(registry: Response, service: Option<Response>) -> Report {
    let mut run = Run::new("r.example".parse().unwrap(), bare(), Arc::new(SystemClock));
    run.observed.ping = Some(registry);
    run.observed.answers.login = service;
    compare_clocks(&mut run);
    run.into_report()
}

#[test]
fn f77_a_token_service_s_clock_that_is_ahead() {
    let report = compared(answer(-10), Some(answer(60)));
    let cause = found(&report, "F77", Check::Net07);
    assert!(cause.summary.contains("70 s ahead of the registry's"), "{cause:#?}");
    assert_eq!(cause.rows[0], "F77");
    let behind = compared(answer(0), Some(answer(-61)));
    assert_eq!(found(&behind, "F77", Check::Net07).rows[0], "F78");
}

/// Where tokens begin early enough, clocks may be further apart.
#[test]
fn clocks_break_nothing_where_the_token_is_taken() {
    let mut run = Run::new("r.example".parse().unwrap(), bare(), Arc::new(SystemClock));
    run.observed.ping = Some(answer(0));
    run.observed.answers.login = Some(answer(70));
    run.observed.replies.real = Some(Response { status: StatusCode::OK, ..answer(0) });
    compare_clocks(&mut run);
    let report = run.into_report();
    assert_eq!(report.finding(Check::Net07).unwrap().verdict.as_str(), "warn");
}

#[test]
fn clocks_that_differ_a_little_are_worth_a_word() {
    let verdict = |report: Report| report.finding(Check::Net07).unwrap().verdict.as_str();
    let table = [
        (0, Some(0), "pass"),
        (0, Some(30), "pass"),
        (0, Some(-31), "warn"),
        (0, Some(60), "warn"),
        (500, Some(500), "warn"),
        (-31, None, "warn"),
        (29, None, "pass"),
    ];
    for (registry, service, expected) in table {
        let report = compared(answer(registry), service.map(answer));
        assert_eq!(verdict(report), expected, "{registry} {service:?}");
    }
    let mut cached = answer(-4000);
    cached.headers.insert(AGE, HeaderValue::from_static("4000"));
    assert_eq!(verdict(compared(cached, None)), "skip");
}
