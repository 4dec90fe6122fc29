//! Refresh tokens: what `docker login` leaves behind at a client.

use std::time::SystemTime;

use portpass_authority::audit::Action;
use portpass_state::{AuditRecord, Change, RefreshState, RefreshToken, Revocation, RevokedTokens};
use serde::Serialize;

use super::{
    AdminError, Caller, Installation, account_key::named, serialize_optional_time, serialize_time,
    users::account_name,
};

/// One refresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Session {
    /// What `session revoke` takes; no secret.
    pub id: String,
    /// The account's name when the token was issued.
    pub account: String,
    /// Where that account comes from.
    pub source: String,
    /// The one service it may ask tokens for.
    pub service: String,
    /// The client's name for itself.
    pub client: String,
    /// What it can never reach beyond.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<String>,
    /// When it was issued.
    #[serde(serialize_with = "serialize_time")]
    pub created_at: SystemTime,
    /// When it was used last, if it ever was.
    #[serde(serialize_with = "serialize_optional_time")]
    pub used_at: Option<SystemTime>,
    /// What it is good for.
    #[serde(flatten)]
    pub state: SessionState,
}

/// What a refresh token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum SessionState {
    /// Until then, unless it is used again.
    Valid {
        /// The earlier of its idle and its absolute end.
        #[serde(serialize_with = "serialize_time")]
        until: SystemTime,
    },
    /// Nothing.
    Expired {
        /// Since when.
        #[serde(serialize_with = "serialize_time")]
        at: SystemTime,
    },
    /// Nothing: it was taken back.
    Revoked {
        /// Since when.
        #[serde(serialize_with = "serialize_time")]
        at: SystemTime,
        /// A word.
        why: &'static str,
    },
}

impl Installation {
    /// The sessions of the accounts of this name, or of all; newest first. Dead ones are kept for a
    /// while, to say why they are. Fails if there are none because nobody has that name.
    pub async fn sessions(&self, account: Option<&str>) -> Result<Vec<Session>, AdminError> {
        self.token_service()?;
        let tokens = self.db.refresh_tokens(account.map(named), self.now()).await?;
        if let (true, Some(account)) = (tokens.is_empty(), account) {
            self.check_account_known(account).await?;
        }
        Ok(tokens.into_iter().map(Session::from).collect())
    }

    /// Ends one session: its client has to log in again.
    pub async fn revoke_session(&self, id: &str) -> Result<(), AdminError> {
        self.token_service()?;
        let unknown = || AdminError::UnknownSession { id: id.to_owned() };
        let row = id.parse().map_err(|_| unknown())?;
        let record = self.record(Action::SessionRevoked, id);
        match self.db.revoke_refresh_token(row, Revocation::SessionRevoked, &record).await? {
            Change::Done => Ok(()),
            Change::Unknown => Err(unknown()),
        }
    }

    /// Ends all sessions of the accounts of this name; says how many there were. An account that is gone may have left
    /// some; without any, there has to be the account.
    pub async fn revoke_sessions_of(&self, account: &str) -> Result<u64, AdminError> {
        self.token_service()?;
        let record = self.record_of_named(Action::SessionsRevoked, account);
        let why = Revocation::SessionRevoked;
        let revoked = self.db.revoke_refresh_tokens(named(account), why, &record).await?;
        if revoked == 0 {
            self.sessions(Some(account)).await?;
        }
        Ok(revoked)
    }
}

/// Tokens that were ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRevocation {
    /// How many sessions were among them.
    pub sessions: u64,
    /// Why nobody can say that there is an account of that name.
    pub doubt: Option<String>,
}

impl Installation {
    /// Ends the tokens of the accounts of this name: at the registry of this installation within two seconds. An
    /// account that is gone may have left some, so it need not exist. If its source is named, the sessions of others
    /// stay; access tokens do not name their source.
    pub async fn revoke_tokens(
        &self,
        account: &str,
        which: RevokedTokens,
    ) -> Result<TokenRevocation, AdminError> {
        let service = self.token_service()?;
        account_name(named(account).name)?;
        let doubt = self
            .find_account(service, &Caller::Account(account.to_owned()))
            .await
            .err()
            .map(|error| error.to_string());
        let record = self.record_of_named(Action::TokensRevoked, account);
        let sessions = self.db.revoke_tokens(named(account), which, &record).await?;
        Ok(TokenRevocation { sessions, doubt })
    }

    fn record_of_named(&self, action: Action, account: &str) -> AuditRecord {
        let named = named(account);
        let mut record = self.record(action, named.name);
        if let Some(source) = named.source {
            record.detail["source"] = source.into();
        }
        record
    }
}

impl From<RefreshToken> for Session {
    fn from(token: RefreshToken) -> Self {
        Self {
            id: token.id.to_string(),
            account: token.account_name,
            source: token.account.source,
            service: token.service,
            client: token.client,
            ceiling: token.ceiling.map(|ceiling| ceiling.to_string()),
            created_at: token.created_at,
            used_at: token.used_at,
            state: match token.state {
                RefreshState::Valid { until } => SessionState::Valid { until },
                RefreshState::Expired { at } => SessionState::Expired { at },
                RefreshState::Revoked { at, why } => {
                    SessionState::Revoked { at, why: why.as_str() }
                }
            },
        }
    }
}
