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
        pem::Error::MissingSectionEnd { end_marker } => match label(end_marker) {
            Some(label) => {
                format!("a block has no line `-----END {label}-----`: the file is cut off")
            }
            None => "a block has no END line: are its line breaks missing?".to_owned(),
        },
        pem::Error::Base64Decode(_) => "the content of a block is not base64".to_owned(),
        pem::Error::SectionTooLarge => "a block is too long".to_owned(),
        _ => "a block cannot be read".to_owned(),
    }
}

/// A label as those that are in use look. Where the line breaks are lost, the reader takes the whole block for its label: a
/// private key, for one.
fn label(text: &[u8]) -> Option<&str> {
    let is_of_labels =
        |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ';
    let is_label = text.len() <= LONGEST_LABEL && text.iter().all(is_of_labels);
    std::str::from_utf8(text).ok().filter(|_| is_label)
}

const LONGEST_LABEL: usize = 40;

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};

    use super::*;
    use crate::{CertificateChain, SigningKey, TrustRoots};

    #[test]
    fn a_private_key_that_has_lost_its_line_breaks_is_never_shown() {
        let key = KeyPair::generate().unwrap().serialize_pem();
        let lines: Vec<&str> = key.lines().filter(|line| !line.starts_with("-----")).collect();
        assert!(!lines.is_empty());
        for (joint, closed) in
            [("", true), (" ", true), ("\t", true), ("\\n", true), ("", false), ("\0", true)]
        {
            let mut text = key.trim().replace('\r', "").replace('\n', joint);
            if !closed {
                text = text.replace("-----END PRIVATE KEY-----", "-----");
            }
            let errors = [
                SigningKey::from_pem(&text, None).unwrap_err().to_string(),
                TrustRoots::from_pem(&text).unwrap_err().to_string(),
                CertificateChain::from_pem(&text).unwrap_err().to_string(),
            ];
            for error in errors {
                assert!(!lines.iter().any(|line| error.contains(line)), "{error}");
                assert_eq!(
                    error,
                    "not readable as PEM: a block has no END line: are its line breaks missing?",
                    "{joint:?}"
                );
            }
        }
    }

    #[test]
    fn a_block_that_is_cut_off_is_named_by_its_label_alone() {
        let error = |text: &str| {
            let error = blocks::<PrivateKeyDer<'_>>(text.as_bytes()).next().unwrap().unwrap_err();
            error.to_string()
        };
        assert_eq!(
            error("-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n"),
            "not readable as PEM: a block has no line `-----END EC PRIVATE KEY-----`: the file is cut off"
        );
        for label in ["A".repeat(41).as_str(), "MHcCAQEE", "PRIVATE KEY-----MHcCAQEE"] {
            let error = error(&format!("-----BEGIN {label}-----\n"));
            assert!(!error.contains(label), "{error}");
        }
        assert!(blocks::<CertificateDer<'_>>(b"-----BEGIN CERTIFICATE").next().is_none());
    }
}
