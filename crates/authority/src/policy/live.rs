//! A policy that is exchanged while it is asked.

use std::sync::Arc;

use arc_swap::ArcSwap;
use portpass_protocol::access::Access;

use super::{Decision, NearMiss, Policy, Request, RuleId};

/// Decides as the policy that was put in last. Each decision is made by one of them as a whole.
#[derive(Debug)]
pub struct LivePolicy(ArcSwap<Arc<dyn Policy>>);

impl LivePolicy {
    /// Begins with this one.
    pub fn new(policy: Arc<dyn Policy>) -> Self {
        Self(ArcSwap::from_pointee(policy))
    }

    /// Puts another one in its place; decisions under way end with the one before.
    pub fn replace(&self, policy: Arc<dyn Policy>) {
        self.0.store(Arc::new(policy));
    }

    /// The one at this moment: for several questions that belong together.
    pub fn current(&self) -> Arc<dyn Policy> {
        Arc::clone(&self.0.load())
    }
}

impl Policy for LivePolicy {
    fn decide(&self, request: &Request<'_>, requested: &Access) -> Decision {
        self.0.load().decide(request, requested)
    }

    fn rule_text(&self, rule: RuleId) -> Option<String> {
        self.0.load().rule_text(rule)
    }

    fn nearest(&self, request: &Request<'_>, decision: &Decision) -> Option<NearMiss> {
        self.0.load().nearest(request, decision)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use portpass_protocol::access::Action;
    use portpass_token::ServiceName;

    use super::*;
    use crate::{
        policy::{RuleContext, RuleSet, RuleText},
        subject::Subject,
    };

    fn for_anyone(action: &str) -> Arc<dyn Policy> {
        let rule = RuleText {
            allow: Some(vec![action.to_owned()]),
            repository: Some("a/**".to_owned()),
            to: vec!["anyone".to_owned()],
            ..RuleText::default()
        };
        let context = RuleContext { anonymous: true, ..RuleContext::default() };
        Arc::new(RuleSet::parse(&[rule], &context).unwrap())
    }

    #[test]
    fn the_policy_that_was_put_in_last_decides() {
        let live = LivePolicy::new(for_anyone("pull"));
        let service = ServiceName::new("registry");
        let (subject, now) = (&Subject::Anonymous, SystemTime::UNIX_EPOCH);
        let request = Request { subject, service: &service, address: None, now };
        let asked = Access::repository("a/b", [Action::Pull, Action::Push]);
        assert_eq!(live.decide(&request, &asked).granted.to_string(), "pull");
        let before = live.current();
        live.replace(for_anyone("push"));
        assert_eq!(live.decide(&request, &asked).granted.to_string(), "push");
        assert_eq!(
            live.rule_text(RuleId::at(0)).unwrap(),
            "allow [push] repository a/** to anyone"
        );
        assert_eq!(before.decide(&request, &asked).granted.to_string(), "pull");
    }
}
