//! Accounts that others keep: how their servers are asked, and what the answers mean; and how others are told.
//!
//! Nothing here knows what an account of portpass is: `portpass_authority::accounts` turns what these
//! servers say into one.

pub mod discovery;
pub mod hook;
pub mod issuer_keys;
pub mod issuer_url;
pub mod ldap;
pub mod web;
pub mod webhook;
pub mod workload;
