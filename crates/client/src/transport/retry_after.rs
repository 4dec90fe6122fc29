//! `Retry-After`: when a server wants to be asked again (RFC 9110 §10.2.3).

use std::time::{Duration, SystemTime};

use jiff::fmt::rfc2822;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// `Retry-After`: seconds, or a date (RFC 9110 §10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()?;
    Some(SystemTime::from(date).duration_since(now).unwrap_or_default())
}

/// For an error message: for how long a server does not want to be asked again.
pub(crate) fn retry_after_text(after: Option<Duration>) -> String {
    let text = |after: Duration| format!(" and asks you to wait {} s", after.as_secs());
    after.map(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9110 §10.2.3
    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for (text, seconds) in [
            ("7", Some(7)),
            ("0", Some(0)),
            ("Tue, 14 Nov 2023 22:14:20 GMT", Some(60)),
            ("Tue, 14 Nov 2023 22:00:00 GMT", Some(0)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            let found = retry_after(&headers, now).map(|after| after.as_secs());
            assert_eq!(found, seconds, "{text:?}");
        }
    }
}
