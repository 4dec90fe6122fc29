//! What names a request in the log and in its answer.

use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;
use portpass_protocol::origin::RequestId;
use portpass_token::Random;

/// Makes request ids that are different between processes and within one. They prove nothing to anybody.
#[derive(Debug)]
pub(crate) struct RequestIds {
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    /// Ids that begin with eight random bytes of this process.
    pub(crate) fn new(random: &dyn Random) -> Self {
        let mut process = [0; 8];
        random.fill(&mut process);
        Self { process: u64::from_be_bytes(process), next: AtomicU64::new(1) }
    }

    /// What all of them begin with.
    pub(crate) fn process(&self) -> String {
        format!("{:016x}", self.process)
    }

    /// How many there have been.
    pub(crate) fn issued(&self) -> u64 {
        self.next.load(Ordering::Relaxed) - 1
    }

    /// A fresh one.
    pub(crate) fn next(&self) -> RequestId {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        RequestId(format!("{:016x}-{number:06x}", self.process))
    }
}

/// The id that a trusted proxy gave the request, if it is one that a log can hold.
pub(crate) fn taken_over(given: Option<&HeaderValue>) -> Option<RequestId> {
    let given = given?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~=+/".contains(&byte);
    let usable = (1..=MAX_LENGTH).contains(&given.len()) && given.bytes().all(plain);
    usable.then(|| RequestId(given.to_owned()))
}

/// The process and the number of an id that a server like this one made.
pub(crate) fn parts_of(id: &str) -> Option<(&str, u64)> {
    let (process, number) = id.split_once('-')?;
    let is_hex =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let ours = process.len() == 16 && number.len() >= 6 && is_hex(process) && is_hex(number);
    ours.then(|| Some((process, u64::from_str_radix(number, 16).ok()?)))?
}

const MAX_LENGTH: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Sevens;

    impl Random for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[test]
    fn ids_of_one_process_differ() {
        let ids = RequestIds::new(&Sevens);
        assert_eq!(ids.next().0, "0707070707070707-000001");
        assert_eq!(ids.next().0, "0707070707070707-000002");
        assert_eq!((ids.process().as_str(), ids.issued()), ("0707070707070707", 2));
    }

    #[test]
    fn an_id_is_known_by_its_form() {
        assert_eq!(parts_of("0707070707070707-00000f"), Some(("0707070707070707", 15)));
        assert_eq!(parts_of("0707070707070707-1000000"), Some(("0707070707070707", 0x0100_0000)));
        for other in ["", "-", "0707070707070707", "0707070707070707-1", "070707070707070G-000001"]
        {
            assert_eq!(parts_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_given_id_cannot_forge_a_log_line() {
        let take = |text: &str| taken_over(Some(&HeaderValue::from_str(text).unwrap()));
        assert_eq!(take("abc-1.2"), Some(RequestId("abc-1.2".to_owned())));
        for text in ["", "a b", "a\"b", &"x".repeat(129)] {
            assert_eq!(take(text), None, "{text:?}");
        }
        assert_eq!(taken_over(None), None);
    }
}
