//! Passwords: how they are stored, how they are checked, and what a check costs.
//!
//! ```text
//!  name, password ──> source (htpasswd file, local accounts): which hash is stored?
//!                        │ PasswordHash, or nobody of that name
//!                        v
//!                  PasswordCheck::check ── CredentialCache: proved a moment ago ──> Accept
//!                        │ no           └─ somebody checks the same: their verdict
//!                        v
//!                    HashPool, one job: verify ── equal ──────────────────────────> Accept
//!                        │ not equal, or nobody of that name
//!                        └─ in the same job: top up to the highest cost ──────────> Reject(CostProof)
//! ```
//!
//! Time tells nothing about accounts: whatever the reason of a refusal, it waits once for the pool
//! and does the same work there. Only a top-up makes a [`pool::CostProof`], so a refusal that carries one
//! cannot have been cheaper than the others. A source that does not know a name pays nothing; who
//! asked all sources in vain calls [`check::PasswordCheck::refuse`].
//!
//! How often somebody may try at all is asked before: [`limits::Limits::admit`].
//!
//! ```
//! use portpass_password::format::{Comparison, Formats, PasswordHash};
//!
//! let stored = "$2y$05$926C3y10Quzn/LnqQH86VOEVh/18T6RnLaS.khre96jLNL/7e.K5W";
//! let hash = PasswordHash::parse(stored, Formats::Current)?;
//! assert_eq!(hash.verify(b"not the password"), Comparison::Mismatch);
//! # Ok::<(), portpass_password::format::FormatError>(())
//! ```

pub mod cache;
pub mod check;
pub mod cost;
mod credentials;
pub mod format;
pub mod htpasswd;
pub mod limits;
pub mod min_length;
pub mod pool;
mod singleflight;
pub mod verdicts;

pub use cache::CredentialCache;
pub use check::{PasswordCheck, Verdict};
pub use credentials::Credentials;
pub use format::{Formats, PasswordHash};
pub use htpasswd::HtpasswdFile;
pub use limits::{Admission, Attempt, LimitSettings, Limited, Limits};
pub use min_length::MinLength;
pub use pool::{Busy, CostProof, HashPool, QueueClass};
pub use verdicts::VerdictCache;
