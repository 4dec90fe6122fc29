//! Entries of the trail for people: no line is longer than a terminal is wide.

use portpass_admin::{AuditEntry, AuditVerdict};

use crate::command::json_line;

/// An entry on as many lines as it takes, those behind the first indented.
pub(super) fn text(entry: &AuditEntry) -> String {
    let mut page = Page::default();
    for part in entry.parts() {
        page.part(&part);
    }
    page.end()
}

/// One line that no terminal obeys, and that reads back as what the entry holds.
pub(super) fn json(entry: &AuditEntry) -> Result<String, serde_json::Error> {
    Ok(json_line::escaped(&serde_json::to_string(entry)?))
}

/// What a verification has found, faults first.
pub(super) fn verdict(verdict: &AuditVerdict) -> String {
    let AuditVerdict { chained, unchained, removed_to, head, faults, more, .. } = verdict;
    let mut lines = faults.clone();
    if *more {
        lines.push("and more like these".to_owned());
    }
    if *removed_to > 0 {
        lines.push(format!(
            "entries up to {removed_to} were removed because of their age or the size of the trail: the check says nothing about them"
        ));
    }
    if *unchained > 0 {
        lines.push(format!(
            "{unchained} entries are older than the chain: the check says nothing about them"
        ));
    }
    lines.push(format!("{chained} entries were checked, each with the one before it"));
    lines.push(match head {
        Some(head) => format!("the trail leads to {head}"),
        None => "no entry has a hash yet".to_owned(),
    });
    let mut page = Page::default();
    for line in lines {
        page.line(&line);
    }
    page.end()
}

/// Text that is broken where a terminal ends.
#[derive(Default)]
struct Page {
    text: String,
    /// Characters of the last line.
    column: usize,
}

impl Page {
    /// Something that stays on one line where it can, two spaces behind what stands there.
    fn part(&mut self, part: &str) {
        let length = part.chars().count();
        if self.column > 0 && self.column + GAP.len() + length <= WIDTH {
            self.push(GAP);
        } else if self.column > 0 {
            self.next();
        }
        self.words(part);
    }

    /// Something that begins a line.
    fn line(&mut self, line: &str) {
        if self.column > 0 {
            self.text.push('\n');
            self.column = 0;
        }
        self.words(line);
    }

    /// Word by word, and a word that is longer than a line in pieces.
    fn words(&mut self, text: &str) {
        for (index, word) in text.split(' ').enumerate() {
            if index > 0 && self.column + 1 + word.chars().count() <= WIDTH {
                self.push(" ");
            } else if index > 0 {
                self.next();
            }
            for character in word.chars() {
                if self.column == WIDTH {
                    self.next();
                }
                self.text.push(character);
                self.column += 1;
            }
        }
    }

    fn next(&mut self) {
        self.text.push('\n');
        self.column = 0;
        self.push(INDENT);
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.column += text.len();
    }

    fn end(mut self) -> String {
        self.text.push('\n');
        self.text
    }
}

const WIDTH: usize = 80;
const GAP: &str = "  ";
const INDENT: &str = "    ";

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use portpass_client::is_unprintable;
    use serde_json::json as value;

    use super::*;

    fn entry() -> AuditEntry {
        AuditEntry {
            sequence: 57,
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_686_923_121),
            action: "manifest-pushed".to_owned(),
            account: Some("ann".to_owned()),
            object: Some("team/app".to_owned()),
            address: Some("192.0.2.7".to_owned()),
            request: Some("0707070707070707-000001".to_owned()),
            detail: value!({
                "digest": format!("sha256:{}", "0".repeat(64)),
                "tags": ["v1", "latest"],
            }),
            hash: None,
        }
    }

    #[test]
    fn an_entry_fits_a_terminal() {
        let zeros = "0".repeat(64);
        let expected = format!(
            "2026-11-26T09:55:23Z  manifest-pushed  ann  team/app\n    digest\n    sha256:{zeros}\n    \
             tags v1,latest  from 192.0.2.7  request 0707070707070707-000001\n"
        );
        assert_eq!(text(&entry()), expected);
        let access = value!({"access": [{
            "resource": format!("repository:{}", "x".repeat(200)),
            "requested": ["pull", "push"], "granted": [], "rules": [2],
        }]});
        let long = AuditEntry { object: Some("y".repeat(300)), detail: access, ..entry() };
        let text = text(&long);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.contains("nothing of\n    pull,push by rule 2  from 192.0.2.7"), "{text}");
    }

    #[test]
    fn no_terminal_obeys_what_a_caller_wrote() {
        let words = "a\u{1b}[2J\u{9b}b\nc\u{202e}\u{2028}";
        let hostile = AuditEntry {
            object: Some(words.to_owned()),
            detail: value!({ "reason": words }),
            ..entry()
        };
        assert!(!text(&hostile).contains(|c| c != '\n' && is_unprintable(c)));
        assert!(text(&hostile).lines().skip(1).all(|line| line.starts_with("    ")));
        let line = json(&hostile).unwrap();
        assert!(!line.contains(is_unprintable), "{line}");
        let back: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&back["object"], &back["at"]),
            (&value!(words), &value!("2026-11-26T09:55:23.121Z"))
        );
    }
}
