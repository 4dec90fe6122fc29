//! API keys: what a person gives to a program in place of the password, with limits of its own.

use std::time::SystemTime;

use portpass_authority::{audit::Action, secret::MachineSecret, subject::AccountKind};
use portpass_state::{Change, KeyId};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::json;

use super::{
    AdminError, Caller, Installation, Issued, Limits,
    account_key::{account_key, named},
    limits::{check, limited_record},
    serialize_optional_time, serialize_time,
};

/// An API key. What it is, nobody knows but its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApiKey {
    /// What `key revoke` takes; no secret.
    pub id: String,
    /// The account's name when the key was made; what the client gives as user name.
    pub account: String,
    /// Where that account comes from.
    pub source: String,
    /// What it is for.
    pub description: String,
    /// What it may do, as far as its account may.
    pub allow: Vec<String>,
    /// Where.
    pub repositories: Vec<String>,
    /// When it was made.
    #[serde(serialize_with = "serialize_time")]
    pub created_at: SystemTime,
    /// When it ends, if it does by itself.
    #[serde(serialize_with = "serialize_optional_time")]
    pub expires_at: Option<SystemTime>,
    /// When it was used last, if it ever was; some seconds behind.
    #[serde(serialize_with = "serialize_optional_time")]
    pub used_at: Option<SystemTime>,
}

impl Installation {
    /// Gives an account of any source another key.
    pub async fn add_key(&self, account: &str, limits: Limits) -> Result<Issued, AdminError> {
        check(&limits)?;
        let service = self.token_service()?;
        let owner = self.find_account(service, &Caller::Account(account.to_owned())).await?;
        if owner.kind != AccountKind::Person || owner.ceiling.is_some() {
            return Err(AdminError::NoPerson { name: owner.name.to_string() });
        }
        let expires_at = limits.end(self.now())?;
        let secret = MachineSecret::api_key(&*self.random);
        let key = portpass_state::NewApiKey {
            id: KeyId::from_random(self.random_id()),
            hash: secret.hash(),
            account: account_key(&owner),
            account_name: owner.name.to_string(),
            permission: limits.permission(),
            description: limits.description,
            expires_at,
        };
        let id = key.id.to_string();
        let record = self.record(Action::ApiKeyAdded, &id);
        let mut record = limited_record(record, &key.permission, key.expires_at);
        record.detail["account"] = format!("{}/{}", owner.source, owner.name).into();
        self.db.add_api_key(&key, &record).await?;
        let made = ApiKey::from(portpass_state::ApiKey {
            id: key.id,
            hash: key.hash,
            account: key.account,
            account_name: key.account_name,
            description: key.description,
            permission: key.permission,
            expires_at: key.expires_at,
            created_at: record.at,
            used_at: None,
        });
        let about = json!(made);
        let secret = SecretString::from(secret.expose());
        Ok(Issued { username: made.account, secret, about })
    }

    /// What keeps an account, and with it its keys, from getting any token.
    pub async fn account_obstacle(&self, account: &str) -> Result<Option<String>, AdminError> {
        let service = self.token_service()?;
        let owner = Caller::Account(account.to_owned());
        Ok(self.find_with_obstacle(service, &owner).await?.1)
    }

    /// The keys of the accounts of this name, or of all, in the order in which they were made. Fails if there are none
    /// because nobody has that name.
    pub async fn keys(&self, account: Option<&str>) -> Result<Vec<ApiKey>, AdminError> {
        self.token_service()?;
        let mut keys: Vec<ApiKey> =
            self.db.api_keys().await?.into_iter().map(ApiKey::from).collect();
        if let Some(account) = account {
            let named = named(account);
            keys.retain(|key| {
                key.account == named.name && named.source.is_none_or(|source| source == key.source)
            });
            if keys.is_empty() {
                self.check_account_known(account).await?;
            }
        }
        Ok(keys)
    }

    /// Ends a key.
    pub async fn revoke_key(&self, id: &str) -> Result<(), AdminError> {
        self.token_service()?;
        let unknown = || AdminError::UnknownKey { id: id.to_owned() };
        let row = id.parse().map_err(|_| unknown())?;
        let record = self.record(Action::ApiKeyRevoked, id);
        match self.db.revoke_api_key(row, &record).await? {
            Change::Done => Ok(()),
            Change::Unknown => Err(unknown()),
        }
    }
}

impl From<portpass_state::ApiKey> for ApiKey {
    fn from(row: portpass_state::ApiKey) -> Self {
        Self {
            id: row.id.to_string(),
            account: row.account_name,
            source: row.account.source,
            description: row.description,
            allow: row.permission.actions,
            repositories: row.permission.repositories,
            created_at: row.created_at,
            expires_at: row.expires_at,
            used_at: row.used_at,
        }
    }
}
