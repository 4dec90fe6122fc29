//! Tokens: asked for, refreshed, given back.

use reqwest::{Method, StatusCode};

use crate::{
    goods::REPOSITORIES,
    wire::{Answer, Lost, Wire},
};

/// What a login gives.
#[derive(Debug, Clone)]
pub(crate) struct LoggedIn {
    pub(crate) token: String,
    pub(crate) secret: String,
}

impl Wire {
    /// A token for everything and a refresh token, for the administrator's password.
    pub(crate) async fn log_in(&self, client: &str, password: &str) -> Result<LoggedIn, Lost> {
        let request = self
            .request(Method::GET, "/token")
            .query(&[("service", "registry"), ("offline_token", "true"), ("client_id", client)])
            .query(&[("scope", scope())])
            .basic_auth("admin", Some(password));
        let answer = self.send(request).await?;
        let answer = expect(answer, StatusCode::OK)?;
        Ok(LoggedIn { token: word(&answer, "token"), secret: word(&answer, "refresh_token") })
    }

    /// A token for everything, for a refresh token; `None` if it is not good any more.
    pub(crate) async fn refresh(&self, secret: &str) -> Result<Option<String>, Lost> {
        let scope = scope();
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", secret),
            ("service", "registry"),
            ("scope", &scope),
        ];
        let answer = self.send(self.request(Method::POST, "/token").form(&form)).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        expect(answer, StatusCode::OK).map(|answer| Some(word(&answer, "token")))
    }

    /// Gives a refresh token back (RFC 7009).
    pub(crate) async fn revoke(&self, secret: &str) -> Result<(), Lost> {
        let form = [("token", secret), ("token_type_hint", "refresh_token")];
        let answer = self.send(self.request(Method::POST, "/oauth/revoke").form(&form)).await?;
        expect(answer, StatusCode::OK).map(drop)
    }
}

fn expect(answer: Answer, status: StatusCode) -> Result<Answer, Lost> {
    if answer.status.is_server_error() {
        return Err(Lost::Refused(answer.into()));
    }
    assert_eq!(answer.status, status, "{answer:?}");
    Ok(answer)
}

fn word(answer: &Answer, key: &str) -> String {
    answer.json()[key].as_str().unwrap().to_owned()
}

/// Everything, on every repository that is used here.
fn scope() -> String {
    let repositories = REPOSITORIES.map(|name| format!("repository:{name}:pull,push,delete"));
    format!("{} registry:catalog:*", repositories.join(" "))
}
