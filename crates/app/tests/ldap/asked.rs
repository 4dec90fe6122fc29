//! A portpass whose accounts are far away, what it is asked, and what it answers.

use std::{fs, path::Path, time::Duration};

use portpass_testkit::{CommandOutput, Portpass};
use serde_json::Value;

use crate::PROGRAM;

/// The password of everybody.
pub(crate) const PASSWORD: &str = "correct horse";

/// A portpass with a source of accounts that is far away.
pub(crate) struct World {
    pub(crate) portpass: Portpass,
}

/// What a token request ended with.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) request: String,
    pub(crate) body: Value,
    pub(crate) took: Duration,
}

impl World {
    /// With these sources and rules, and a secret in a file of that name.
    pub(crate) fn serve(sources: &str, rules: &str, (file, secret): (&str, &str)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().display();
        let text = format!(
            "\
data: {here}/data
http: {{ addr: 127.0.0.1:0 }}
log: {{ level: debug }}
registry: {{}}
token_service:
  accounts:
{sources}
  policy:
{rules}"
        );
        fs::write(folder.path().join("portpass.yml"), text).unwrap();
        fs::write(folder.path().join(file), format!("{secret}\n")).unwrap();
        let portpass =
            Portpass::serve_in(Path::new(PROGRAM), &["--config", "{folder}/portpass.yml"], folder);
        Self { portpass }
    }

    /// Asks for a token.
    pub(crate) async fn token(&self, account: &str, password: &str, scope: &str) -> Answer {
        self.ask(account, password, &[("service", "registry"), ("scope", scope)]).await
    }

    /// As docker logs in.
    pub(crate) async fn login(&self, account: &str, password: &str) -> Answer {
        let asked = [("service", "registry"), ("offline_token", "true"), ("client_id", "docker")];
        self.ask(account, password, &asked).await
    }

    /// As docker does after a login.
    pub(crate) async fn refresh(&self, refresh_token: &str, scope: &str) -> Answer {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", "docker"),
            ("service", "registry"),
            ("scope", scope),
            ("refresh_token", refresh_token),
        ];
        let request = client().post(format!("{}/token", self.portpass.url())).form(&form);
        Answer::to(request).await
    }

    async fn ask(&self, account: &str, password: &str, asked: &[(&str, &str)]) -> Answer {
        let request = client().get(format!("{}/token", self.portpass.url())).query(asked);
        Answer::to(request.basic_auth(account, Some(password))).await
    }

    /// A command of management.
    pub(crate) fn manage(&self, words: &[&str]) -> CommandOutput {
        let configuration = ["--config", "{folder}/portpass.yml"];
        self.portpass.command(&[words, &configuration].concat(), PASSWORD)
    }

    /// What `explain` says of a request, which has to hold these words.
    #[track_caller]
    pub(crate) fn explains(&self, answer: &Answer, words: &[&str]) {
        let said = self.manage(&["explain", &answer.request]);
        let said = said.expect_success().output();
        for word in words {
            assert!(said.contains(word), "{word:?} is not in:\n{said}");
        }
        assert!(!said.contains(PASSWORD), "{said}");
    }
}

impl Answer {
    async fn to(request: reqwest::RequestBuilder) -> Self {
        let began = tokio::time::Instant::now();
        let response = request.send().await.unwrap();
        let request = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let status = response.status().as_u16();
        let body = response.json().await.unwrap();
        Self { status, request, body, took: began.elapsed() }
    }

    /// What the token grants, as its claims say.
    pub(crate) fn granted(&self) -> Vec<String> {
        use base64::prelude::*;
        let token = self.body["token"].as_str().unwrap_or_else(|| panic!("no token: {self:?}"));
        let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        let words = |access: &Value| {
            let actions = access["actions"].as_array().unwrap().iter();
            actions.map(|action| action.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        claims["access"].as_array().unwrap().iter().flat_map(words).collect()
    }

    /// The refresh token.
    pub(crate) fn refresh_token(&self) -> &str {
        self.body["refresh_token"].as_str().unwrap_or_else(|| panic!("no refresh token: {self:?}"))
    }

    /// Demands the one answer to a wrong password, a locked or disabled account and all the like.
    #[track_caller]
    pub(crate) fn is_refused(&self) -> &Self {
        assert_eq!(self.status, 401, "{self:?}");
        assert_eq!(self.body["errors"][0]["message"], "wrong user name or password", "{self:?}");
        self
    }

    /// Demands the one answer to a source that says nothing.
    #[track_caller]
    pub(crate) fn is_unavailable(&self) -> &Self {
        assert_eq!(self.status, 503, "{self:?}");
        let message = "the accounts cannot be checked at the moment";
        assert_eq!(self.body["errors"][0]["message"], message, "{self:?}");
        self
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// Developers have a team, and everybody what is called like them.
pub(crate) const RULES: &str = "    \
    - { allow: [pull, push], repository: \"team/**\", to: \"group:developers\" }
    - { allow: [pull, push], repository: \"${account}/**\", to: signed-in }
";
