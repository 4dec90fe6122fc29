//! Pages of the documentation that a program writes a part of: what stands between two marks.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What stands between the marks `<!-- SECTION -->` and `<!-- end of SECTION -->`.
///
/// # Panics
/// If there is no such page, or no such marks.
pub fn read(page: &str, section: &str) -> String {
    split(page, section)[1].clone()
}

/// Puts `text` there instead, lines of its own.
///
/// # Panics
/// As [`read`], or if the page cannot be written.
pub fn write(page: &str, section: &str, text: &str) {
    let [before, _, after] = split(page, section);
    // Whoever reads it meanwhile reads the one or the other.
    let new = file(page).with_extension("md.new");
    let text = format!("{before}\n{}\n{after}", text.trim_end_matches('\n'));
    fs::write(&new, text).expect("the page can be written");
    fs::rename(new, file(page)).expect("the page can be replaced");
}

/// Up to the first mark with it, between them, and from the second on.
fn split(page: &str, section: &str) -> [String; 3] {
    let text = fs::read_to_string(file(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
    let [begin, end] = [format!("<!-- {section} -->"), format!("<!-- end of {section} -->")];
    let at =
        |mark: &str| text.find(mark).unwrap_or_else(|| panic!("docs/{page} has no mark `{mark}`"));
    let (inner, after) = (at(&begin) + begin.len(), at(&end));
    [&text[..inner], &text[inner..after], &text[after..]].map(str::to_owned)
}

/// `docs/PAGE`
fn file(page: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page)
}
