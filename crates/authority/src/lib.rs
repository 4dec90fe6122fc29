//! The token service: who asks, what of it the rules allow, and a signature under the answer.
//!
//! ```text
//! GET /token?service=&scope=   POST /token  grant_type=&service=&scope=
//!        └────────────┬────────────┘
//!        request::TokenRequest            the same value from both
//!        password: Limits::admit          429
//!        accounts::AuthenticatorChain::authenticate    401, 503: who is it?     (or refresh::RefreshTokens)
//!        policy::Policy::decide           granted = asked ∩ rules ∩ ceiling, never an error
//!        keyring::Ring::mint              signed
//!        audit::AuditTrail::record             with the refresh token's row, or in batches
//!        http                             200 {"token":…,"access_token":…,"expires_in":…}
//! ```
//!
//! Which rule decided what is in the decision, so the token, the trail and the explanation cannot
//! disagree:
//!
//! ```
//! use portpass_authority::{
//!     policy::{Policy, Request, RuleSet, RuleText, RuleContext, explain},
//!     subject::Subject,
//! };
//! use portpass_protocol::Access;
//! use portpass_protocol::Action::{Pull, Push};
//! use portpass_token::ServiceName;
//!
//! let rule = RuleText {
//!     allow: Some(vec!["pull".into()]),
//!     repository: Some("public/**".into()),
//!     to: vec!["anyone".into()],
//!     ..RuleText::default()
//! };
//! let around = RuleContext { anonymous: true, ..RuleContext::default() };
//! let rules = RuleSet::parse(&[rule], &around)?;
//!
//! let asked = Access::repository("public/app", [Pull, Push]);
//! let registry = ServiceName::new("registry");
//! let now = std::time::SystemTime::now();
//! let who = Request { subject: &Subject::Anonymous, service: &registry, address: None, now };
//! let decision = rules.decide(&who, &asked);
//! assert_eq!(decision.granted.to_string(), "pull");
//! assert_eq!(decision.rule().map(|rule| rule.to_string()).as_deref(), Some("rule 1"));
//!
//! let why = explain(&rules, &who, &asked).to_string();
//! assert!(why.contains("rule 1 allows pull: allow [pull] repository public/** to anyone"));
//! # Ok::<(), portpass_authority::policy::RuleError>(())
//! ```

pub mod accounts;
mod actions;
pub mod audit;
mod audit_action;
pub mod ceiling;
pub mod docker_auth;
pub mod groups;
pub mod http;
pub mod keyring;
mod lifetime;
pub mod policy;
pub mod refresh;
pub mod request;
pub mod secret;
pub mod service;
pub mod signer;
pub mod subject;

#[cfg(test)]
mod fixture;
