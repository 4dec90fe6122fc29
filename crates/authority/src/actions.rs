//! The four actions that a rule, a robot or an API key can name.

use std::fmt;

use portpass_protocol::access::Action;

/// The actions that a rule or a limit names: `pull`, `push`, `delete`, `*`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ActionBits(u8);

impl ActionBits {
    /// Adds one; a word without a meaning adds nothing.
    pub fn insert(&mut self, action: &Action) {
        self.0 |= Self::bit(action);
    }

    /// Whether this very action is named; `*` is only itself here.
    pub fn contains(self, action: &Action) -> bool {
        self.0 & Self::bit(action) != 0
    }

    /// Whether these actions are about `action`: it is named, or `*` is.
    pub fn covers(self, action: &Action) -> bool {
        self.contains(action) || self.contains(&Action::Any)
    }

    fn bit(action: &Action) -> u8 {
        match action {
            Action::Pull => 1,
            Action::Push => 2,
            Action::Delete => 4,
            Action::Any => 8,
            Action::Other(_) => 0,
        }
    }
}

impl fmt::Display for ActionBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [Action::Pull, Action::Push, Action::Delete, Action::Any];
        let words: Vec<&str> =
            named.iter().filter(|action| self.contains(action)).map(Action::as_str).collect();
        f.write_str(&words.join(", "))
    }
}
