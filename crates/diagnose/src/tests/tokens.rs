//! The token, and what the registry says to it: rows F70 to F92, F100 to F104, F120, F127, F128 and F144 of the
//! failure catalogue.

mod certified_key;
mod checks;
mod healthy;
mod real;
pub(crate) mod rows;
mod scenario;
