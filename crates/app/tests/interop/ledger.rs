//! `docs/interoperability.md`: what the tests saw, and nothing that they did not see.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use portpass_testkit::Client;

/// One deed of one client on one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell {
    /// It was done, and seen from outside.
    Works,
    /// The client's command line has no words for it.
    NotSaid,
}

impl Cell {
    fn as_str(self) -> &'static str {
        match self {
            Self::Works => "yes",
            Self::NotSaid => "–",
        }
    }
}

/// Holds a client's row in the table below a heading against what was seen.
pub(crate) fn confirm(heading: &str, client: &dyn Client, cells: &[Cell]) {
    let words: Vec<&str> = cells.iter().map(|cell| cell.as_str()).collect();
    confirm_row(heading, &[client.name()], &words.join(" | "));
}

/// Holds one row against what was seen: the row whose first cells are `key`.
///
/// With `PORTPASS_WRITE_DOCS` in the environment, the page is written instead.
pub(crate) fn confirm_row(heading: &str, key: &[&str], seen: &str) {
    let start = format!("| {} |", key.join(" | "));
    let row = format!("{start} {seen} |");
    let mut page = Page::open();
    let lines = &mut page.lines;
    let heading = format!("### {heading}");
    let top = lines.iter().position(|line| *line == heading);
    let top = top.unwrap_or_else(|| panic!("the page has no `{heading}`"));
    let rows = lines[top..].iter().position(|line| line.starts_with("| --- ")).unwrap() + top + 1;
    let end = lines[rows..].iter().position(|line| !line.starts_with('|'));
    let end = end.map_or(lines.len(), |end| rows + end);
    let found = lines[rows..end].iter().position(|line| line.starts_with(&start));
    if found.is_some_and(|at| lines[rows + at] == row) {
        return;
    }
    assert!(writes(), "{heading}: the page has not the row\n{row}\n{HOW}");
    if let Some(at) = found {
        lines[rows + at] = row;
    } else {
        let later = lines[rows..end].iter().position(|line| *line > row);
        lines.insert(later.map_or(end, |at| rows + at), row);
    }
    page.save();
}

/// Whether the page is written instead of read.
pub(crate) fn writes() -> bool {
    std::env::var_os("PORTPASS_WRITE_DOCS").is_some()
}

/// The page, which nobody else reads or writes meanwhile.
pub(crate) struct Page {
    pub(crate) lines: Vec<String>,
    _alone: MutexGuard<'static, ()>,
}

impl Page {
    pub(crate) fn open() -> Self {
        let alone = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
        let page = fs::read_to_string(file()).unwrap();
        Self { lines: page.lines().map(str::to_owned).collect(), _alone: alone }
    }

    pub(crate) fn save(self) {
        // Whoever reads it meanwhile reads the one or the other.
        let new = file().with_extension("md.new");
        fs::write(&new, self.lines.join("\n") + "\n").unwrap();
        fs::rename(new, file()).unwrap();
    }
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/interoperability.md")
}

static PAGE: Mutex<()> = Mutex::new(());
const HOW: &str = "if that is right: run this test again with PORTPASS_WRITE_DOCS=1";
