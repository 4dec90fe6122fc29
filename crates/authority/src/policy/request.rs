//! Who asks, which registry the token is for, from where and when.

use std::{net::IpAddr, time::SystemTime};

use portpass_token::ServiceName;

use crate::subject::Subject;

/// All that a decision depends on beside the rules and the resource.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who asks.
    pub subject: &'a Subject,
    /// The registry that the token is for.
    pub service: &'a ServiceName,
    /// The client's address, where it is known.
    pub address: Option<IpAddr>,
    /// When.
    pub now: SystemTime,
}
