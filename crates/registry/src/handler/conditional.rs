//! What a client has already (RFC 9110 §13). Content is named by its digest, so the digest is the
//! entity tag, and it is a strong one.

use http::{HeaderMap, HeaderName, header};
use portpass_protocol::Digest;

/// The entity tag of content: `"sha256:…"`.
pub(crate) fn etag(digest: &Digest) -> String {
    format!("\"{digest}\"")
}

/// Whether `If-None-Match` says that the client has this content. As distribution does, a tag
/// without quotes is understood too (OC4).
pub(crate) fn is_known(headers: &HeaderMap, digest: &Digest) -> bool {
    // Most requests have no such header, and need no text of the digest.
    if !headers.contains_key(header::IF_NONE_MATCH) {
        return false;
    }
    let digest = digest.to_string();
    tags(headers, &header::IF_NONE_MATCH).any(|tag| tag == "*" || opaque(tag) == digest)
}

/// Whether `If-Range` says that the range is wanted of other content, so that all of it must be
/// sent. A date is never that of this content: it has none.
pub(crate) fn range_is_of_another(headers: &HeaderMap, digest: &Digest) -> bool {
    let Some(value) = headers.get(header::IF_RANGE) else { return false };
    value.as_bytes() != etag(digest).as_bytes()
}

/// No tag of ours has a comma in it.
fn tags<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// A tag without its marks; weak and strong compare alike here (RFC 9110 §13.1.2).
fn opaque(tag: &str) -> &str {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, values: &[String]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), value.parse().unwrap())).collect()
    }

    /// OC4, RFC 9110 §13.1.2
    #[test]
    fn if_none_match_is_read_in_every_spelling() {
        let digest = Digest::sha256(b"this");
        let other = etag(&Digest::sha256(b"other"));
        for (values, known) in [
            (vec![], false),
            (vec![format!("\"{digest}\"")], true),
            (vec![format!("W/\"{digest}\"")], true),
            (vec![digest.to_string()], true),
            (vec!["*".into()], true),
            (vec![other.clone()], false),
            (vec![format!("{other}, \"{digest}\"")], true),
            (vec![format!("{other},W/\"{digest}\" ")], true),
            (vec![other.clone(), etag(&digest)], true),
            (vec![format!("\"{digest}")], false),
            (vec![digest.hex()], false),
            (vec![String::new()], false),
        ] {
            let headers = headers(&header::IF_NONE_MATCH, &values);
            assert_eq!(is_known(&headers, &digest), known, "{values:?}");
        }
    }

    /// RFC 9110 §13.1.5: the comparison is a strong one.
    #[test]
    fn if_range_holds_for_this_very_content_only() {
        let digest = Digest::sha256(b"this");
        for (values, another) in [
            (vec![], false),
            (vec![etag(&digest)], false),
            (vec![format!("W/{}", etag(&digest))], true),
            (vec![etag(&Digest::sha256(b"other"))], true),
            (vec!["Sun, 22 Nov 2026 02:41:42 GMT".into()], true),
        ] {
            let headers = headers(&header::IF_RANGE, &values);
            assert_eq!(range_is_of_another(&headers, &digest), another, "{values:?}");
        }
    }
}
