//! Statements, their values, and rows: the words between the modules that know tables and
//! [`crate::db`], which knows the database. A second database changes only what is in these two.

use std::time::{Duration, SystemTime};

use portpass_protocol::Digest;
use sqlx::{
    Row as _, Sqlite,
    query::Query,
    sqlite::{SqliteArguments, SqlitePool, SqliteRow},
};

use crate::StateError;

/// A statement with its values. Its text is static, so each connection prepares it once.
#[derive(Debug)]
pub(crate) struct Statement {
    text: &'static str,
    values: Vec<Value>,
    #[cfg(test)]
    written_at: &'static std::panic::Location<'static>,
}

/// A statement without values as yet. Statements are made here and nowhere else, so that a test can look at
/// all of them: see `conformance::plans`.
#[cfg_attr(test, track_caller)]
pub(crate) fn sql(text: &'static str) -> Statement {
    Statement {
        text,
        values: Vec::new(),
        #[cfg(test)]
        written_at: std::panic::Location::caller(),
    }
}

impl Statement {
    /// Gives the next parameter its value: the first call is for `$1`.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Gives the next parameters their values, in order.
    pub(crate) fn bind_all<V: Into<Value>>(mut self, values: impl IntoIterator<Item = V>) -> Self {
        self.values.extend(values.into_iter().map(Into::into));
        self
    }

    /// The same text, without values.
    pub(crate) fn again(&self) -> Self {
        Self { values: Vec::new(), ..*self }
    }

    pub(crate) fn into_query<'q>(self) -> Query<'q, Sqlite, SqliteArguments> {
        // A parameter without a value would silently be NULL.
        debug_assert_eq!(parameters(self.text), self.values.len(), "parameters of {}", self.text);
        #[cfg(test)]
        run::note(self.written_at, self.text);
        self.values.into_iter().fold(sqlx::query(self.text), |query, value| match value {
            Value::Integer(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
        })
    }
}

/// The parameters `$1` to `$32`, as the text of a list in a statement: see [`chunks`].
macro_rules! chunk {
    () => {
        "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
         $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, \
         $31, $32"
    };
}
pub(crate) use chunk;

/// Long lists in pieces of the 32 values that [`chunk!`] takes, the last piece filled up with
/// repetitions of its last value: one text for lists of any length, in every database.
pub(crate) fn chunks<T: Copy>(values: &[T]) -> impl Iterator<Item = [T; CHUNK]> {
    values.chunks(CHUNK).map(|piece| std::array::from_fn(|index| piece[index.min(piece.len() - 1)]))
}

/// Values of one piece.
pub(crate) const CHUNK: usize = 32;

/// The highest `$n` in a statement.
fn parameters(text: &str) -> usize {
    let number = |part: &str| {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        part[..end].parse().unwrap_or(0)
    };
    text.split('$').skip(1).map(number).max().unwrap_or(0)
}

/// A parameter's value: all that the tables hold.
#[derive(Debug)]
pub(crate) enum Value {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(Some(value))
    }
}

impl From<u64> for Value {
    /// Sizes and versions; what is beyond 63 bits cannot have been counted.
    fn from(value: u64) -> Self {
        Self::Integer(Some(i64::try_from(value).unwrap_or(i64::MAX)))
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Integer(Some(i64::try_from(value).unwrap_or(i64::MAX)))
    }
}

impl From<SystemTime> for Value {
    fn from(time: SystemTime) -> Self {
        Self::Integer(Some(milliseconds(time)))
    }
}

impl From<Option<SystemTime>> for Value {
    fn from(time: Option<SystemTime>) -> Self {
        Self::Integer(time.map(milliseconds))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Some(bytes.to_owned()))
    }
}

impl From<&Digest> for Value {
    fn from(digest: &Digest) -> Self {
        Self::Bytes(Some(digest_bytes(digest)))
    }
}

impl From<Option<&Digest>> for Value {
    fn from(digest: Option<&Digest>) -> Self {
        Self::Bytes(digest.map(digest_bytes))
    }
}

/// The algorithm's number, then the digest: ordered as the texts are.
fn digest_bytes(digest: &Digest) -> Vec<u8> {
    let number = match digest {
        Digest::Sha256(_) => 1,
        Digest::Sha512(_) => 2,
    };
    let mut bytes = Vec::with_capacity(1 + digest.as_bytes().len());
    bytes.push(number);
    bytes.extend_from_slice(digest.as_bytes());
    bytes
}

fn digest_from_bytes(bytes: &[u8]) -> Option<Digest> {
    match bytes.split_first()? {
        (1, digest) => digest.try_into().ok().map(Digest::Sha256),
        (2, digest) => digest.try_into().ok().map(Digest::Sha512),
        _ => None,
    }
}

/// Whole milliseconds since 1970, rounded down.
pub(crate) fn milliseconds(time: SystemTime) -> i64 {
    let clamp = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => clamp(after),
        Err(before) => -clamp(before.duration()),
    }
}

fn from_milliseconds(milliseconds: i64) -> Option<SystemTime> {
    let distance = Duration::from_millis(milliseconds.unsigned_abs());
    if milliseconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    }
}

/// One row of an answer. What does not have the form it must have is
/// [`StateError::Inconsistent`], named by its column.
#[derive(Debug)]
pub(crate) struct Row(pub(crate) SqliteRow);

impl Row {
    pub(crate) fn integer(&self, column: &'static str) -> Result<i64, StateError> {
        self.get(column)
    }

    /// A number that cannot be negative.
    pub(crate) fn count(&self, column: &'static str) -> Result<u64, StateError> {
        let number = self.integer(column)?;
        number
            .try_into()
            .map_err(|_| StateError::inconsistent(column, format!("{number} is negative")))
    }

    pub(crate) fn optional_integer(&self, column: &'static str) -> Result<Option<i64>, StateError> {
        self.get(column)
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<String, StateError> {
        self.get(column)
    }

    pub(crate) fn optional_text(&self, column: &'static str) -> Result<Option<String>, StateError> {
        self.get(column)
    }

    pub(crate) fn bytes(&self, column: &'static str) -> Result<Vec<u8>, StateError> {
        self.get(column)
    }

    pub(crate) fn optional_bytes(
        &self,
        column: &'static str,
    ) -> Result<Option<Vec<u8>>, StateError> {
        self.get(column)
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<SystemTime, StateError> {
        time(column, self.get(column)?)
    }

    pub(crate) fn optional_time(
        &self,
        column: &'static str,
    ) -> Result<Option<SystemTime>, StateError> {
        self.get::<Option<i64>>(column)?.map(|number| time(column, number)).transpose()
    }

    pub(crate) fn digest(&self, column: &'static str) -> Result<Digest, StateError> {
        let bytes: &[u8] = self.get(column)?;
        digest_from_bytes(bytes).ok_or_else(|| StateError::inconsistent(column, "not a digest"))
    }

    pub(crate) fn optional_digest(
        &self,
        column: &'static str,
    ) -> Result<Option<Digest>, StateError> {
        let bytes: Option<&[u8]> = self.get(column)?;
        let read = |bytes| {
            digest_from_bytes(bytes).ok_or_else(|| StateError::inconsistent(column, "not a digest"))
        };
        bytes.map(read).transpose()
    }

    /// A text with a grammar of its own.
    pub(crate) fn parsed<T>(&self, column: &'static str) -> Result<T, StateError>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        let text: &str = self.get(column)?;
        text.parse().map_err(|error: T::Err| StateError::inconsistent(column, error.to_string()))
    }

    /// A text that is JSON, if it is there.
    pub(crate) fn optional_json<T: serde::de::DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StateError> {
        let text: Option<&str> = self.get(column)?;
        text.map(|text| {
            serde_json::from_str(text)
                .map_err(|error| StateError::inconsistent(column, error.to_string()))
        })
        .transpose()
    }

    fn get<'r, T>(&'r self, column: &'static str) -> Result<T, StateError>
    where
        T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
    {
        self.0.try_get(column).map_err(|error| StateError::inconsistent(column, error.to_string()))
    }
}

fn time(column: &'static str, milliseconds: i64) -> Result<SystemTime, StateError> {
    from_milliseconds(milliseconds)
        .ok_or_else(|| StateError::inconsistent(column, format!("{milliseconds} is no time")))
}

/// Where single statements run that change nothing.
#[derive(Debug, Clone)]
pub(crate) struct Connections(pub(crate) SqlitePool);

impl Connections {
    /// The first row of the answer. For reads only: the statement is not run to its end.
    pub(crate) async fn first(&self, statement: Statement) -> Result<Option<Row>, StateError> {
        Ok(statement.into_query().fetch_optional(&self.0).await?.map(Row))
    }

    /// The whole answer.
    pub(crate) async fn all(&self, statement: Statement) -> Result<Vec<Row>, StateError> {
        Ok(statement.into_query().fetch_all(&self.0).await?.into_iter().map(Row).collect())
    }

    /// How many rows were changed.
    pub(crate) async fn run(&self, statement: Statement) -> Result<u64, StateError> {
        Ok(statement.into_query().execute(&self.0).await?.rows_affected())
    }
}

/// The statements that were run by the tests of this process.
#[cfg(test)]
pub(crate) mod run {
    use std::{
        collections::BTreeSet,
        panic::Location,
        sync::{LazyLock, Mutex},
    };

    /// Where a statement is written, and its text.
    type Written = (&'static str, u32, &'static str);

    static STATEMENTS: LazyLock<Mutex<BTreeSet<Written>>> = LazyLock::new(Mutex::default);

    pub(super) fn note(at: &'static Location<'static>, text: &'static str) {
        STATEMENTS.lock().unwrap().insert((at.file(), at.line(), text));
    }

    pub(crate) fn statements() -> BTreeSet<Written> {
        STATEMENTS.lock().unwrap().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_stored_digests_is_the_order_of_their_texts() {
        let mut digests = [
            Digest::Sha512([0; 64]),
            Digest::Sha256([0xff; 32]),
            Digest::Sha256([0; 32]),
            Digest::Sha512([0x7f; 64]),
        ];
        digests.sort_by_key(digest_bytes);
        assert!(digests.iter().map(ToString::to_string).is_sorted());
        for digest in digests {
            assert_eq!(digest_from_bytes(&digest_bytes(&digest)), Some(digest));
        }
    }

    #[test]
    fn bytes_that_are_no_digest_are_none() {
        for bytes in [&[][..], &[1], &[3; 33], &[1; 32], &[1; 34], &[2; 33]] {
            assert_eq!(digest_from_bytes(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn times_come_back_to_the_millisecond_even_before_1970() {
        for millis in [0, 1, -1, 1_800_000_000_123, -86_400_000] {
            let time = from_milliseconds(millis).unwrap();
            assert_eq!(milliseconds(time), millis);
        }
    }

    #[test]
    fn chunks_are_full_and_leave_nothing_out() {
        assert_eq!(parameters(chunk!()), CHUNK);
        assert_eq!(chunks::<u8>(&[]).count(), 0);
        for length in [1, 31, 32, 33, 64, 65] {
            let values: Vec<usize> = (0..length).collect();
            let mut flat: Vec<usize> = chunks(&values).flatten().collect();
            assert_eq!(flat.len(), length.div_ceil(CHUNK) * CHUNK);
            flat.dedup();
            assert_eq!(flat, values);
        }
    }

    #[test]
    fn parameters_are_counted_by_their_highest_number() {
        assert_eq!(parameters("SELECT 1"), 0);
        assert_eq!(parameters("a = $1 AND b = $12 OR c = $2"), 12);
    }
}
