//! Ranges of bytes: what a client wants of a blob (`Range`, RFC 9110 §14) and which bytes of an
//! upload a request carries (`Content-Range` as the OCI distribution specification writes it).

use std::fmt;

/// What to answer to a `Range` header (OC3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requested {
    /// Everything, with 200: no header, a unit other than bytes, or more ranges than are worth it.
    Whole,
    /// These bytes, with 206.
    Part(ByteRange),
    /// Several runs of bytes, in the order in which they are wanted, with 206 and `multipart/byteranges`: two or more,
    /// and together no more than the content.
    Parts(Vec<ByteRange>),
    /// Nothing, with 416 and `Content-Range: bytes */LENGTH` ([`unsatisfiable`]).
    Unsatisfiable,
}

impl Requested {
    /// Reads a `Range` header against content of `length` bytes.
    ///
    /// The end is clamped to the content, a suffix longer than the content is all of it. A range
    /// that ends before it starts (`bytes=500-0`) or cannot be read is [`Requested::Unsatisfiable`],
    /// as in distribution; RFC 9110 §14.2 allows that as well as ignoring it.
    ///
    /// Of several, those past the end are left out. Where they are more bytes than the content has, or more than
    /// [`MOST_PARTS`], all of it is sent once (§17.15).
    pub fn parse(header: Option<&str>, length: u64) -> Self {
        let Some((unit, set)) = header.and_then(|header| header.split_once('=')) else {
            return if header.is_none() { Self::Whole } else { Self::Unsatisfiable };
        };
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return Self::Whole;
        }
        if set.contains(',') {
            return Self::several(set, length);
        }
        match Wanted::parse(set) {
            // The last bytes of nothing are all of it, and 206 has no way to say so.
            Some(Wanted::Last(1..)) if length == 0 => Self::Whole,
            Some(wanted) => wanted.of(length).map_or(Self::Unsatisfiable, Self::Part),
            None => Self::Unsatisfiable,
        }
    }

    /// `0-99,500-,-100`
    fn several(set: &str, length: u64) -> Self {
        let mut parts = Vec::new();
        // An element of a list may be empty (RFC 9110 §5.6.1).
        for text in set.split(',').filter(|text| !text.trim().is_empty()) {
            let Some(wanted) = Wanted::parse(text) else { return Self::Unsatisfiable };
            parts.extend(wanted.of(length));
        }
        let bytes = parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.length()));
        match parts[..] {
            [] => Self::Unsatisfiable,
            [part] => Self::Part(part),
            _ if parts.len() > MOST_PARTS || bytes > length => Self::Whole,
            _ => Self::Parts(parts),
        }
    }
}

/// One range of a header, of content of any length.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    /// `500-999`, or `500-`.
    Between(u64, u64),
    /// `-500`
    Last(u64),
}

impl Wanted {
    fn parse(text: &str) -> Option<Self> {
        match text.trim().split_once('-')? {
            ("", suffix) => number(suffix).map(Self::Last),
            (first, "") => Some(Self::Between(number(first)?, u64::MAX)),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::Between(first, last))
            }
        }
    }

    /// Which bytes these are, if any.
    fn of(self, length: u64) -> Option<ByteRange> {
        let end = length.checked_sub(1)?;
        match self {
            Self::Between(first, last) => ByteRange::new(first, last.min(end)),
            Self::Last(wanted) => {
                ByteRange::new(length.saturating_sub(wanted), end).filter(|_| wanted > 0)
            }
        }
    }
}

/// How many ranges of one request are answered one by one. Those who pull `zstd:chunked` layers ask for 1 024 at most
/// (containers/storage).
pub const MOST_PARTS: usize = 2_048;

/// A run of bytes that is not empty; both ends are part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    first: u64,
    last: u64,
}

impl ByteRange {
    /// From the first byte to the last, both included; `None` if it would end before it starts.
    pub fn new(first: u64, last: u64) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// Offset of the first byte.
    pub fn first(self) -> u64 {
        self.first
    }

    /// Offset of the last byte.
    pub fn last(self) -> u64 {
        self.last
    }

    /// How many bytes, at least one.
    pub fn length(self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }

    /// The value of `Content-Range` for this part of content of `length` bytes.
    pub fn content_range(self, length: u64) -> String {
        format!("bytes {}-{}/{length}", self.first, self.last)
    }
}

/// The value of `Content-Range` that goes with 416 (RFC 9110 §14.4).
pub fn unsatisfiable(length: u64) -> String {
    format!("bytes */{length}")
}

/// The value of `Range` that tells how much of an upload has arrived (OC11, OC13): the offset of
/// the last byte, which for none reads like for one.
pub fn progress(received: u64) -> String {
    format!("0-{}", received.saturating_sub(1))
}

/// Which bytes of an upload a request carries: `START-END`, both included, with no unit and no
/// total (OC11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange(ByteRange);

impl ContentRange {
    /// Reads `^[0-9]+-[0-9]+$`.
    pub fn parse(header: &str) -> Result<Self, ContentRangeError> {
        let refused = || ContentRangeError { value: crate::printable::excerpt(header) };
        let (first, last) = header.trim().split_once('-').ok_or_else(refused)?;
        let (first, last) = (exact(first).ok_or_else(refused)?, exact(last).ok_or_else(refused)?);
        ByteRange::new(first, last).map(Self).ok_or_else(refused)
    }

    /// The bytes it names.
    pub fn bytes(self) -> ByteRange {
        self.0
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.first, self.0.last)
    }
}

/// A `Content-Range` of an upload that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("content range {value:?} must be START-END, as in `0-1023`, both ends included")]
pub struct ContentRangeError {
    value: String,
}

/// A number too large for us is larger than any blob, so it may be the largest there is.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Like [`number`], but what does not fit is refused; `u64::MAX` would have no length.
fn exact(text: &str) -> Option<u64> {
    number(text).filter(|number| *number < u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(first: u64, last: u64) -> Requested {
        Requested::Part(ByteRange::new(first, last).unwrap())
    }

    fn parts(parts: &[(u64, u64)]) -> Requested {
        let part = |(first, last): &(u64, u64)| ByteRange::new(*first, *last).unwrap();
        Requested::Parts(parts.iter().map(part).collect())
    }

    #[test]
    fn very_many_ranges_are_all_of_it() {
        let header = |count| format!("bytes={}", vec!["0-0"; count].join(","));
        let parse = |count| Requested::parse(Some(&header(count)), 1 << 20);
        assert!(matches!(parse(MOST_PARTS), Requested::Parts(parts) if parts.len() == MOST_PARTS));
        assert_eq!(parse(MOST_PARTS + 1), Requested::Whole);
    }

    /// OC3, RFC 9110 §14.1.2
    #[test]
    fn ranges_of_blobs_are_answered_as_the_table_says() {
        use Requested::{Unsatisfiable, Whole};
        let table = [
            (None, 1000, Whole),
            (Some("bytes=0-499"), 1000, part(0, 499)),
            (Some("bytes=500-"), 1000, part(500, 999)),
            (Some("bytes=0-0"), 1000, part(0, 0)),
            (Some("bytes=999-999"), 1000, part(999, 999)),
            (Some("bytes=999-5000"), 1000, part(999, 999)),
            (Some("bytes=1000-"), 1000, Unsatisfiable),
            (Some("bytes=1000-1001"), 1000, Unsatisfiable),
            (Some("bytes=-1"), 1000, part(999, 999)),
            (Some("bytes=-1000"), 1000, part(0, 999)),
            (Some("bytes=-5000"), 1000, part(0, 999)),
            (Some("bytes=-0"), 1000, Unsatisfiable), // OC27b: distribution says 206
            (Some("bytes=500-0"), 1000, Unsatisfiable), // the new conformance suite wants 416
            (Some("bytes=0-99999999999999999999999"), 1000, part(0, 999)),
            (Some("bytes=99999999999999999999999-"), 1000, Unsatisfiable),
            (Some("bytes=-99999999999999999999999"), 1000, part(0, 999)),
            (Some("Bytes=1-2"), 1000, part(1, 2)),
            (Some("bytes= 1-2 "), 1000, part(1, 2)),
            (Some("bytes=1 - 2"), 1000, Unsatisfiable),
            (Some("bytes=+1-2"), 1000, Unsatisfiable),
            (Some("bytes=a-b"), 1000, Unsatisfiable),
            (Some("bytes=-"), 1000, Unsatisfiable),
            (Some("bytes="), 1000, Unsatisfiable),
            (Some("bytes"), 1000, Unsatisfiable),
            (Some("bytes=5"), 1000, Unsatisfiable),
            (Some("bytes=0-1,3-4"), 1000, parts(&[(0, 1), (3, 4)])),
            (
                Some("bytes=0-1, 3-4 ,-5,990-"),
                1000,
                parts(&[(0, 1), (3, 4), (995, 999), (990, 999)]),
            ),
            (Some("bytes=3-4,0-1,0-1"), 1000, parts(&[(3, 4), (0, 1), (0, 1)])), // as they are wanted
            (Some("bytes=,0-1,,3-4,"), 1000, parts(&[(0, 1), (3, 4)])),
            (Some("bytes=0-1,1000-"), 1000, part(0, 1)),
            (Some("bytes=0-1,-0"), 1000, part(0, 1)),
            (Some("bytes=1000-,2000-3000"), 1000, Unsatisfiable),
            (Some("bytes=,"), 1000, Unsatisfiable),
            (Some("bytes=0-1,4-3"), 1000, Unsatisfiable),
            (Some("bytes=0-1,x"), 1000, Unsatisfiable),
            (Some("bytes=0-499,500-999"), 1000, parts(&[(0, 499), (500, 999)])),
            (Some("bytes=0-499,499-999"), 1000, Whole), // more than there is
            (Some("bytes=0-,-1"), 1000, Whole),
            (Some("bytes=0-1,-5"), 0, Unsatisfiable),
            (Some("lines=0-1"), 1000, Whole),
            (Some("bytes=0-"), 0, Unsatisfiable),
            (Some("bytes=0-0"), 0, Unsatisfiable),
            (Some("bytes=-5"), 0, Whole),
            (Some("bytes=-0"), 0, Unsatisfiable),
        ];
        for (header, length, expected) in table {
            assert_eq!(Requested::parse(header, length), expected, "{header:?} of {length}");
        }
    }

    #[test]
    fn what_is_answered_is_written_as_rfc_9110_wants() {
        let range = ByteRange::new(2, 5).unwrap();
        assert_eq!(range.content_range(10), "bytes 2-5/10");
        assert_eq!(range.length(), 4);
        assert_eq!(unsatisfiable(10), "bytes */10");
        assert_eq!(
            (progress(0), progress(1), progress(10)),
            ("0-0".into(), "0-0".into(), "0-9".into())
        );
    }

    /// OC11
    #[test]
    fn content_ranges_of_uploads_follow_the_specification_alone() {
        assert_eq!(ContentRange::parse("0-0").unwrap().bytes().length(), 1);
        assert_eq!(
            ContentRange::parse("100-199").unwrap().bytes(),
            ByteRange::new(100, 199).unwrap()
        );
        for refused in [
            "",
            "-",
            "0-",
            "-5",
            "5",
            "5-4",
            "bytes 0-5",
            "bytes=0-5",
            "0-5/10",
            "0-5/*",
            "a-b",
            "0 - 5",
            "+1-2",
            "0-5,6-7",
            "0-18446744073709551615",
            "0-99999999999999999999999",
        ] {
            let error = ContentRange::parse(refused).unwrap_err().to_string();
            assert!(error.contains("START-END"), "{refused:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn parts_always_lie_within_the_content(header in "(bytes|items)=([0-9]{0,4}|[0-9]{20,21})-?[0-9]{0,4}(,[0-9]{0,3}-?[0-9]{0,3}){0,5}", length in 0..5000_u64) {
            let parts = match Requested::parse(Some(&header), length) {
                Requested::Part(part) => vec![part],
                Requested::Parts(parts) => {
                    prop_assert!(parts.len() > 1);
                    parts
                }
                Requested::Whole | Requested::Unsatisfiable => Vec::new(),
            };
            for range in &parts {
                prop_assert!(range.first() <= range.last() && range.last() < length);
            }
            prop_assert!(parts.iter().map(|part| part.length()).sum::<u64>() <= length);
        }

        #[test]
        fn any_header_is_answered(header in "\\PC{0,40}", length: u64) {
            let _ = Requested::parse(Some(&header), length);
        }

        #[test]
        fn content_ranges_read_back(first in 0..1000_u64, more in 0..1000_u64) {
            let range = ContentRange(ByteRange::new(first, first + more).unwrap());
            prop_assert_eq!(ContentRange::parse(&range.to_string()).unwrap(), range);
        }
    }
}
