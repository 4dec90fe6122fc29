//! The stages of the flow: each sends requests and answers its checks.

pub(super) mod access;
pub(super) mod challenge;
pub(super) mod claims;
pub(super) mod configuration;
pub(super) mod expiry;
pub(super) mod jwt;
pub(super) mod keys;
pub(super) mod network;
pub(super) mod operations;
pub(super) mod ping;
pub(super) mod requests;
pub(super) mod token_request;
pub(super) mod token_response;
