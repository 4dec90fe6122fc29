//! Tokens that others made: Python signs them, openssl makes the keys and certificates, and the
//! registry trusts what it should and nothing else.
//!
//! ```text
//! forge/*.py ── Forged ──► Ask ──► Registry (`portpass serve`) ──► Outcome
//!                                                                     ║  must be equal
//!                              oracle.txt, or a row of a table ──► Outcome
//! ```

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

mod chains;
mod forged;
mod keys;
mod oracle;
mod outcome;
mod registry;
