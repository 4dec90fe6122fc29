//! The token service.

pub mod accounts;
pub mod audit;
pub mod http;
pub mod keyring;
pub mod limits;
pub mod policy;
pub mod refresh;
pub mod request;
pub mod service;
pub mod subject;
