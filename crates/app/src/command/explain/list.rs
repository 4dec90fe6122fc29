//! The latest refusals, two lines each, no wider than a terminal.

use portpass_admin::rfc3339;
use portpass_server::refusals::{QueryResult, RefusedRequest};

use super::display::subject;
use crate::printer::Printer;

/// Prints them, newest first.
pub(super) fn show(printer: &Printer, result: &QueryResult, all: bool) {
    if result.found.is_empty() {
        printer.note("the server has refused nothing since its start");
    }
    for line in result.found.iter().flat_map(entry) {
        printer.line(line);
    }
    if !all && result.absent > 0 {
        let number = result.absent;
        printer.note(format_args!(
            "{number} more found nothing (404), as in every push: --all lists them too"
        ));
    }
}

/// The id stands whole, so that it can be copied; a proxy's own may be long.
fn entry(refused: &RefusedRequest) -> Vec<String> {
    let (status, refusal) = (refused.status, &refused.refusal);
    let what = format!("{}  {status} {refusal}", rfc3339(refused.at));
    let request = format!("{} {}", refused.method, refused.path);
    let asked = format!("    {request}  {}, {}", subject(refused), refused.client);
    let head = format!("{}  {what}", refused.request);
    let mut lines = if head.chars().count() <= WIDTH {
        vec![head]
    } else {
        vec![refused.request.clone(), format!("    {what}")]
    };
    lines.push(cut(&asked));
    lines
}

fn cut(line: &str) -> String {
    if line.chars().count() <= WIDTH {
        return line.to_owned();
    }
    line.chars().take(WIDTH - 1).chain(['…']).collect()
}

const WIDTH: usize = 80;

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use portpass_server::refusals::RefusedBy;

    use super::*;

    fn refused(request: &str, subject: &str, path: &str, refusal: &str) -> RefusedRequest {
        RefusedRequest {
            request: request.to_owned(),
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_796_000_000),
            client: "2001:db8:1234:5678:9abc:def0:1234:5678".to_owned(),
            agent: String::new(),
            subject: Some(subject.to_owned()),
            method: "POST".to_owned(),
            path: path.to_owned(),
            status: 401,
            by: RefusedBy::Registry,
            refusal: refusal.to_owned(),
            reason: String::new(),
            failures: Vec::new(),
            needed: Vec::new(),
            granted: Vec::new(),
            token: None,
            repeated: 0,
        }
    }

    #[test]
    fn an_entry_is_two_lines_of_eighty_columns() {
        let path = "/v2/prod/shop/blobs/uploads/";
        let short = refused("603a46aef587e297-000002", "ann", path, "token-embedded-key-malformed");
        insta::assert_snapshot!(entry(&short).join("\n"), @"
        603a46aef587e297-000002  2026-11-30T00:53:20Z  401 token-embedded-key-malformed
            POST /v2/prod/shop/blobs/uploads/  ann, 2001:db8:1234:5678:9abc:def0:1234:5…
        ");
        let proxied = "3f2b8c1e-7f0a-4a9e-9d59-5a4f0d6f2f11";
        let long = refused(proxied, &"é".repeat(90), path, "insufficient-scope");
        insta::assert_snapshot!(entry(&long).join("\n"), @"
        3f2b8c1e-7f0a-4a9e-9d59-5a4f0d6f2f11
            2026-11-30T00:53:20Z  401 insufficient-scope
            POST /v2/prod/shop/blobs/uploads/  éééééééééééééééééééééééééééééééééééééééé…
        ");
        for line in [entry(&short), entry(&long)].concat() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
    }
}
