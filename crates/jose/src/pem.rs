//! PEM as Go's `encoding/pem` reads it: blocks (RFC 7468), and around them whatever somebody has left there.

use std::borrow::Cow;

use rustls_pki_types::pem::{self, PemObject};

use crate::KeyError;

/// The blocks of one kind. A line that only begins like a block is no block; a block that is broken is an error.
pub fn blocks<T: PemObject>(text: &[u8]) -> impl Iterator<Item = Result<T, KeyError>> {
    let text = without_tabs(text);
    let mut found: Vec<Result<T, KeyError>> = Vec::new();
    for block in T::pem_slice_iter(&text) {
        match block {
            Ok(block) => found.push(Ok(block)),
            Err(pem::Error::IllegalSectionStart { .. }) => {}
            Err(error) => found.push(Err(KeyError::Pem(in_words(&error)))),
        }
    }
    found.into_iter()
}

/// The reader knows no other blank at the end of a line than a space.
fn without_tabs(text: &[u8]) -> Cow<'_, [u8]> {
    if text.contains(&b'\t') {
        text.iter().map(|byte| if *byte == b'\t' { b' ' } else { *byte }).collect()
    } else {
        Cow::Borrowed(text)
    }
}

/// The reader's own words show bytes as numbers.
fn in_words(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            let label = String::from_utf8_lossy(end_marker);
            format!("a block has no line `-----END {label}-----`: the file is cut off")
        }
        pem::Error::Base64Decode(_) => "what stands in a block is no base64".to_owned(),
        pem::Error::SectionTooLarge => "a block is too long".to_owned(),
        _ => "a block cannot be read".to_owned(),
    }
}
