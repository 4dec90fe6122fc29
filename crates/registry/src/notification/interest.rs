//! What an endpoint wants to be told.

use std::str::FromStr;

/// Everything but what is ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interest {
    /// Of these media types nothing; deletes have none.
    pub ignored_media_types: Vec<String>,
    /// None of these actions.
    pub ignored_actions: Vec<EventAction>,
}

impl Interest {
    /// Whether it wants an event of this action, about a thing of this media type.
    pub fn wants(&self, action: &str, media_type: &str) -> bool {
        !self.ignored_actions.iter().any(|ignored| ignored.as_str() == action)
            && !self.ignored_media_types.iter().any(|ignored| ignored == media_type)
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventAction {
    /// Somebody looked a manifest or blob up or fetched it.
    Pull,
    /// A manifest or blob came.
    Push,
    /// A blob came from another repository.
    Mount,
    /// A manifest, tag or blob went.
    Delete,
}

impl EventAction {
    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Mount => "mount",
            Self::Delete => "delete",
        }
    }
}

impl FromStr for EventAction {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        let all = [Self::Pull, Self::Push, Self::Mount, Self::Delete];
        all.into_iter().find(|action| action.as_str() == text).ok_or(UnknownAction)
    }
}

/// A word that is no action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the actions are pull, push, mount and delete")]
pub struct UnknownAction;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_by_action_or_media_type_is_not_wanted() {
        let interest = Interest {
            ignored_media_types: vec!["application/octet-stream".to_owned()],
            ignored_actions: vec!["pull".parse().unwrap()],
        };
        for (action, media_type, wanted) in [
            ("push", "application/vnd.oci.image.manifest.v1+json", true),
            ("push", "application/octet-stream", false),
            ("pull", "application/vnd.oci.image.manifest.v1+json", false),
            ("delete", "", true),
        ] {
            assert_eq!(interest.wants(action, media_type), wanted, "{action} {media_type}");
        }
        assert!("Pull".parse::<EventAction>().is_err());
    }
}
