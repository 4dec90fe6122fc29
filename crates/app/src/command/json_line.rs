//! JSON for a terminal.

use std::fmt::Write as _;

use portpass_client::is_unprintable;

/// The same JSON, without characters that a terminal obeys.
pub(super) fn escaped(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for character in json.chars() {
        if is_unprintable(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(character);
        }
    }
    line
}
