//! The token service.

pub mod accounts;
pub mod limits;
pub mod refresh;
pub mod subject;
