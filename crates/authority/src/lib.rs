//! The token service.

pub mod accounts;
pub mod audit;
pub mod limits;
pub mod policy;
pub mod refresh;
pub mod request;
pub mod subject;
