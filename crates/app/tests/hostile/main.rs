//! What people do to a server who wish it ill: on the running program, over real sockets.
//!
//! ```text
//! world        a registry with its token service, two accounts that must not reach each other
//! wire         requests byte by byte, as no client library would send them
//! storm        anything at every route: no panic, no 5xx, no path and no secret anywhere
//! elsewhere    attempts at somebody else's repositories
//! files        few files to open, and clients who hold them
//! names        accounts whose names are patterns
//! memory       bodies that take room and do not come
//! limits       what is too long, too much, or never ends
//! advisories   every known vulnerability of our kind, and the test that stands for it
//! ```

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

mod advisories;
mod elsewhere;
mod files;
mod limits;
mod memory;
mod names;
mod storm;
mod wire;
mod world;
