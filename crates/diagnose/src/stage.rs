//! The stages of the flow: each asks, looks, and answers its checks.

pub(super) mod acc;
pub(super) mod cfg;
pub(super) mod chal;
pub(super) mod clm;
pub(super) mod exp;
pub(super) mod jwt;
pub(super) mod key;
pub(super) mod net;
pub(super) mod ops;
pub(super) mod ping;
pub(super) mod resp;
pub(super) mod tok;
pub(super) mod uses;
