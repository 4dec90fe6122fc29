//! The results of `policy test` as JUnit XML, which every build server reads.

use std::fmt::Write as _;

use portpass_admin::TestedExpectation;

/// One suite with a test case for each expectation.
pub(super) fn report(file: &str, tested: &[TestedExpectation]) -> String {
    let failed = tested.iter().filter(|one| one.failure.is_some()).count();
    let counts = format!("tests=\"{}\" failures=\"{failed}\" errors=\"0\"", tested.len());
    let file = escaped(file);
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    // Writing to a String cannot fail.
    let _ = writeln!(xml, "<testsuites {counts}>\n  <testsuite name=\"{file}\" {counts}>");
    for one in tested {
        let _ = write!(
            xml,
            "    <testcase classname=\"{file}\" name=\"line {}: {}\"",
            one.line,
            escaped(&one.name)
        );
        let _ = match &one.failure {
            None => writeln!(xml, "/>"),
            Some(failure) => {
                let first = escaped(failure.lines().next().unwrap_or_default());
                let all = escaped(failure);
                writeln!(
                    xml,
                    ">\n      <failure message=\"{first}\">{all}</failure>\n    </testcase>"
                )
            }
        };
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// As the text of an attribute or an element; what XML 1.0 cannot hold at all is replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(c),
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            c if c.is_control() => escaped.push(char::REPLACEMENT_CHARACTER),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_a_case_for_each_expectation() {
        let one = |line, name: &str, failure: Option<&str>| TestedExpectation {
            line,
            name: name.to_owned(),
            failure: failure.map(str::to_owned),
        };
        let tested = [
            one(1, "anonymous asks for repository:public/a:pull", None),
            one(
                4,
                "ann & \"bob\" <x>\u{1}",
                Some("expected pull, but nothing is granted\nann on …"),
            ),
        ];
        insta::assert_snapshot!(report("a&b.yml", &tested));
    }
}
