//! What can happen: the words of the trail.

use std::{fmt, str::FromStr};

/// What happened. The word of each stands in the trail and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// An account was made.
    AccountAdded,
    /// An account may not log in any more, and its sessions ended.
    AccountDisabled,
    /// A disabled account may log in again.
    AccountEnabled,
    /// An account and its sessions are gone.
    AccountRemoved,
    /// An account got another password, and its sessions ended.
    PasswordChanged,
    /// The hash of a password was replaced by one of today, and nothing ended.
    PasswordRehashed,
    /// An account is in other groups.
    GroupsChanged,
    /// A robot was made.
    RobotAdded,
    /// A robot may not log in any more.
    RobotDisabled,
    /// A disabled robot may log in again.
    RobotEnabled,
    /// A robot is gone.
    RobotRemoved,
    /// A robot got another secret.
    RobotRotated,
    /// An account got an API key.
    ApiKeyAdded,
    /// An API key is no good any more.
    ApiKeyRevoked,
    /// One session was ended by an administrator.
    SessionRevoked,
    /// All sessions of an account were.
    SessionsRevoked,
    /// All tokens of an account that were issued until then were, those for registries too.
    TokensRevoked,
    /// The key ring got its root.
    RootKeyMade,
    /// The root got another certificate for the same key.
    RootCertificateRenewed,
    /// A new key was published.
    SigningKeyAnnounced,
    /// A key signs from now on.
    SigningKeyPromoted,
    /// A key is trusted no more.
    SigningKeyForgotten,
    /// A key signs no more, since no service uses its algorithm.
    SigningKeyRetired,
    /// A key that signs no more will be trusted for a shorter time.
    SigningKeyRetirementShortened,
    /// A token was signed.
    TokenIssued,
    /// There was no token.
    TokenRefused,
    /// A token and a refresh token were given.
    RefreshTokenIssued,
    /// A token was signed for a refresh token.
    RefreshTokenUsed,
    /// A refresh token was found to be dead, or given back.
    RefreshTokenRevoked,
    /// A manifest was pushed.
    ManifestPushed,
    /// A manifest was deleted, and its tags with it.
    ManifestDeleted,
    /// A tag was.
    TagDeleted,
    /// A repository let go of a blob.
    BlobDeleted,
    /// A repository got a blob that another one holds.
    BlobMounted,
    /// The registry refuses to change anything.
    ReadOnlyOn,
    /// It may be changed again.
    ReadOnlyOff,
    /// Requests of a minute that have no entry of their own.
    AnonymousCounted,
    /// Entries that were lost.
    AuditGap,
}

/// What an entry's object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// An account, or a name that was claimed.
    Account,
    /// The id of a refresh token, which `portpass session` calls a session.
    Session,
    /// The id of an API key.
    ApiKey,
    /// The id of a key.
    Key,
    /// A repository.
    Repository,
    /// There is none.
    Nothing,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 38] = [
        Self::AccountAdded,
        Self::AccountDisabled,
        Self::AccountEnabled,
        Self::AccountRemoved,
        Self::PasswordChanged,
        Self::PasswordRehashed,
        Self::GroupsChanged,
        Self::RobotAdded,
        Self::RobotDisabled,
        Self::RobotEnabled,
        Self::RobotRemoved,
        Self::RobotRotated,
        Self::ApiKeyAdded,
        Self::ApiKeyRevoked,
        Self::SessionRevoked,
        Self::SessionsRevoked,
        Self::TokensRevoked,
        Self::RootKeyMade,
        Self::RootCertificateRenewed,
        Self::SigningKeyAnnounced,
        Self::SigningKeyPromoted,
        Self::SigningKeyForgotten,
        Self::SigningKeyRetired,
        Self::SigningKeyRetirementShortened,
        Self::TokenIssued,
        Self::TokenRefused,
        Self::RefreshTokenIssued,
        Self::RefreshTokenUsed,
        Self::RefreshTokenRevoked,
        Self::ManifestPushed,
        Self::ManifestDeleted,
        Self::TagDeleted,
        Self::BlobDeleted,
        Self::BlobMounted,
        Self::ReadOnlyOn,
        Self::ReadOnlyOff,
        Self::AnonymousCounted,
        Self::AuditGap,
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccountAdded => "account-added",
            Self::AccountDisabled => "account-disabled",
            Self::AccountEnabled => "account-enabled",
            Self::AccountRemoved => "account-removed",
            Self::PasswordChanged => "password-changed",
            Self::PasswordRehashed => "password-rehashed",
            Self::GroupsChanged => "groups-changed",
            Self::RobotAdded => "robot-added",
            Self::RobotDisabled => "robot-disabled",
            Self::RobotEnabled => "robot-enabled",
            Self::RobotRemoved => "robot-removed",
            Self::RobotRotated => "robot-rotated",
            Self::ApiKeyAdded => "api-key-added",
            Self::ApiKeyRevoked => "api-key-revoked",
            Self::SessionRevoked => "session-revoked",
            Self::SessionsRevoked => "sessions-revoked",
            Self::TokensRevoked => "tokens-revoked",
            Self::RootKeyMade => "root-key-made",
            Self::RootCertificateRenewed => "root-certificate-renewed",
            Self::SigningKeyAnnounced => "signing-key-announced",
            Self::SigningKeyPromoted => "signing-key-promoted",
            Self::SigningKeyForgotten => "signing-key-forgotten",
            Self::SigningKeyRetired => "signing-key-retired",
            Self::SigningKeyRetirementShortened => "signing-key-retirement-shortened",
            Self::TokenIssued => "token-issued",
            Self::TokenRefused => "token-refused",
            Self::RefreshTokenIssued => "refresh-token-issued",
            Self::RefreshTokenUsed => "refresh-token-used",
            Self::RefreshTokenRevoked => "refresh-token-revoked",
            Self::ManifestPushed => "manifest-pushed",
            Self::ManifestDeleted => "manifest-deleted",
            Self::TagDeleted => "tag-deleted",
            Self::BlobDeleted => "blob-deleted",
            Self::BlobMounted => "blob-mounted",
            Self::ReadOnlyOn => "read-only-on",
            Self::ReadOnlyOff => "read-only-off",
            Self::AnonymousCounted => "anonymous-counted",
            Self::AuditGap => "audit-gap",
        }
    }

    /// What it is done to.
    pub fn object(self) -> Object {
        match self {
            Self::AccountAdded
            | Self::AccountDisabled
            | Self::AccountEnabled
            | Self::AccountRemoved
            | Self::PasswordChanged
            | Self::PasswordRehashed
            | Self::GroupsChanged
            | Self::RobotAdded
            | Self::RobotDisabled
            | Self::RobotEnabled
            | Self::RobotRemoved
            | Self::RobotRotated
            | Self::SessionsRevoked
            | Self::TokensRevoked
            | Self::TokenRefused => Object::Account,
            Self::SessionRevoked
            | Self::RefreshTokenIssued
            | Self::RefreshTokenUsed
            | Self::RefreshTokenRevoked => Object::Session,
            Self::ApiKeyAdded | Self::ApiKeyRevoked => Object::ApiKey,
            Self::RootKeyMade
            | Self::RootCertificateRenewed
            | Self::SigningKeyAnnounced
            | Self::SigningKeyPromoted
            | Self::SigningKeyForgotten
            | Self::SigningKeyRetired
            | Self::SigningKeyRetirementShortened => Object::Key,
            Self::ManifestPushed
            | Self::ManifestDeleted
            | Self::TagDeleted
            | Self::BlobDeleted
            | Self::BlobMounted => Object::Repository,
            Self::TokenIssued
            | Self::ReadOnlyOn
            | Self::ReadOnlyOff
            | Self::AnonymousCounted
            | Self::AuditGap => Object::Nothing,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        let found = Self::ALL.into_iter().find(|action| action.as_str() == text);
        found.ok_or_else(|| UnknownAction { text: text.to_owned() })
    }
}

/// A word that no entry has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no action of the audit trail")]
pub struct UnknownAction {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_leads_back_to_its_action() {
        for action in Action::ALL {
            assert_eq!(action.as_str().parse(), Ok(action));
        }
        assert!("token-forged".parse::<Action>().is_err());
    }
}
