//! The causes of an error.

use std::{error, io};

/// An error and its causes. `io::Error` hides the error inside it from its own `source`.
pub fn causes<'a>(
    error: &'a (dyn error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn error::Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.map(|inner| inner as &(dyn error::Error + 'static)).or_else(|| error.source())
    })
}
