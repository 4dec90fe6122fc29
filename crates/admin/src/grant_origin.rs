//! Whose rules decided what a registry's token grants, and what they say.

use portpass_authority::{ceiling::Ceiling, subject::SourceName};
use portpass_protocol::{Access, AccessSet};
use portpass_registry::controller::Realm;
use portpass_token::ServiceName;
use serde::Serialize;

use super::{
    AdminError, ApiKey, Caller, Circumstances, Installation, PolicyExplanation,
    policy::service_name,
};
use portpass_config::{Auth, Config, RegistryAuth, Token, TokenService};

/// What stands behind a grant that was too small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantOrigin {
    /// The rules of the token service in this installation.
    ThisInstallation {
        /// Each resource that was needed, and which rule gives or takes what.
        explained: PolicyExplanation,
        /// Whether the rules grant all that was needed, so that the token does not tell the whole.
        suffices: bool,
        /// If they do: the account's API keys that do not reach as far, one of which may have got the token.
        keys: Vec<NarrowKey>,
    },
    /// A token service elsewhere.
    OtherTokenService(OtherTokenService),
    /// No rules: this registry asks no token service.
    NoTokenService,
}

/// An API key that does not reach all that a request needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NarrowKey {
    /// Which.
    pub id: String,
    /// What it is for.
    pub description: String,
    /// `pull on team/app-*`
    pub limit: String,
}

/// A token service that is not in this installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OtherTokenService {
    /// Where clients get their tokens; a path, where it is at the address that they use.
    pub realm: String,
    /// What to type on its machine, if it is one of ours.
    pub command: String,
}

impl Installation {
    /// Asks the rules that a token of this subject came by for what a request needed. `subject` is empty
    /// for an anonymous caller.
    pub async fn grant_origin(
        &self,
        subject: &str,
        needed: &[String],
    ) -> Result<GrantOrigin, AdminError> {
        match source(&self.config) {
            Source::Rules(service) => {
                let who = match subject {
                    "" => Caller::Anonymous,
                    name => Caller::Account(name.to_owned()),
                };
                let service = Some(service.as_str().to_owned());
                let circumstances = Circumstances { service, ..Circumstances::default() };
                let explained = self.explain(&who, &circumstances, needed).await?;
                let suffices = explained.obstacle.is_none() && grants_all(&explained, needed);
                let keys =
                    if suffices { self.narrow_keys(subject, needed).await? } else { Vec::new() };
                Ok(GrantOrigin::ThisInstallation { explained, suffices, keys })
            }
            Source::Elsewhere(token) => {
                Ok(GrantOrigin::OtherTokenService(other_token_service(token, subject, needed)))
            }
            Source::Nothing => Ok(GrantOrigin::NoTokenService),
        }
    }

    /// The keys of the accounts of this name that do not reach all that was needed.
    async fn narrow_keys(
        &self,
        account: &str,
        needed: &[String],
    ) -> Result<Vec<NarrowKey>, AdminError> {
        let Ok(needed) = needed.join(" ").parse::<AccessSet>() else { return Ok(Vec::new()) };
        let mut narrow = Vec::new();
        for key in self.keys(Some(account)).await? {
            let limit = Ceiling::parse(&key.allow, &key.repositories)?;
            let reaches = |access: &Access| {
                access.actions.iter().all(|action| limit.covers(&access.resource, action))
            };
            if !needed.iter().all(reaches) {
                let ApiKey { id, description, .. } = key;
                narrow.push(NarrowKey { id, description, limit: limit.to_string() });
            }
        }
        Ok(narrow)
    }

    /// What of an account explains a refused password, which no answer tells.
    pub async fn account_state(&self, name: &str) -> Result<String, AdminError> {
        let service = self.token_service()?;
        match self.find_with_obstacle(service, &Caller::Account(name.to_owned())).await {
            Ok((account, obstacle)) => Ok(match obstacle {
                Some(why) if account.source != SourceName::local() => {
                    format!("`{name}` exists in {}: {why}", account.source)
                }
                Some(_) => format!("`{name}` is disabled in {}", account.source),
                None => format!("`{name}` exists and is enabled in {}", account.source),
            }),
            Err(unknown @ AdminError::UnknownAccount { .. }) => Ok(unknown.to_string()),
            Err(error) => Err(error),
        }
    }
}

/// Where the grants of the registry in a configuration come from.
enum Source<'a> {
    /// The rules of the token service in the same configuration, for this service.
    Rules(ServiceName),
    Elsewhere(&'a Token),
    Nothing,
}

fn source(config: &Config) -> Source<'_> {
    let beside = config.token_service.as_ref();
    match (config.registry.as_ref().map(|registry| &registry.auth), beside) {
        (Some(RegistryAuth::InProcess), Some(service)) => {
            Source::Rules(service.services.first().name.clone())
        }
        (Some(RegistryAuth::Configured(Auth::Token(token))), service) => {
            let audience = &token.settings.audience;
            let ours = |service: &&TokenService| {
                service.issuer == token.settings.issuer
                    && service_name(service, Some(audience.as_str())).is_ok()
            };
            match service.filter(ours) {
                Some(_) => Source::Rules(audience.clone()),
                None => Source::Elsewhere(token),
            }
        }
        (Some(RegistryAuth::InProcess), None)
        | (
            Some(RegistryAuth::Configured(Auth::Htpasswd(_) | Auth::Silly(_) | Auth::None)) | None,
            _,
        ) => Source::Nothing,
    }
}

fn other_token_service(token: &Token, subject: &str, needed: &[String]) -> OtherTokenService {
    let realm = match &token.realm {
        Realm::Fixed(url) => url.as_str(),
        Realm::SameOrigin { path } => path.as_str(),
    };
    let who = match subject {
        "" => "anonymous".to_owned(),
        "anonymous" => "user:anonymous".to_owned(),
        name => shell_quoted(name),
    };
    let scopes: Vec<String> = needed.iter().map(|scope| shell_quoted(scope)).collect();
    let service = shell_quoted(token.settings.audience.as_str());
    let command = format!("portpass policy explain {who} {} --service {service}", scopes.join(" "));
    OtherTokenService { realm: realm.to_owned(), command }
}

fn grants_all(explained: &PolicyExplanation, needed: &[String]) -> bool {
    let Ok(needed) = needed.join(" ").parse::<AccessSet>() else { return false };
    let granted = |resource: &str, action: &str| {
        let on_it = explained.explanations.iter().find(|why| why.resource == resource);
        on_it.is_some_and(|why| why.granted.iter().any(|word| word == "*" || word == action))
    };
    needed.iter().all(|access| {
        let resource = access.resource.to_string();
        access.actions.iter().all(|action| granted(&resource, action.as_str()))
    })
}

/// A word as a shell takes it.
pub fn shell_quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~+@:,".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_the_shell() {
        for (word, typed) in [
            ("repository:a/b:pull,push", "repository:a/b:pull,push"),
            ("registry:catalog:*", "'registry:catalog:*'"),
            ("o'hara", r"'o'\''hara'"),
            ("", "''"),
        ] {
            assert_eq!(shell_quoted(word), typed);
        }
    }
}
