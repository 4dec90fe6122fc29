//! A portpass that asks a directory, and what it answers.

use std::{fs, path::Path, time::Duration};

use portpass_testkit::{CommandOutput, Portpass, Slapd};
use serde_json::Value;

use crate::PROGRAM;

/// The password of everybody.
pub(crate) const PASSWORD: &str = "correct horse";

/// People and groups of an `OpenLDAP` directory: ann is in a group of a group, bob in none.
pub(crate) const PEOPLE: &str = "\
dn: uid=ann,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: ann
cn: Ann
sn: Lee
mail: ann@example.org
userPassword: correct horse

dn: uid=bob,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: bob
cn: Bob
sn: Lee
userPassword: correct horse

dn: cn=portpass,ou=people,dc=example,dc=org
objectClass: person
cn: portpass
sn: portpass
userPassword: search for me

dn: cn=backend,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: backend
member: uid=ann,ou=people,dc=example,dc=org

dn: cn=developers,ou=groups,dc=example,dc=org
objectClass: groupOfNames
cn: developers
member: cn=backend,ou=groups,dc=example,dc=org
";

/// How the directory of [`PEOPLE`] is searched.
pub(crate) const SEARCHED: &str = "        bind_dn: cn=portpass,ou=people,dc=example,dc=org
        bind_password_file: bind-password
        base: dc=example,dc=org
        filter: \"(uid=${account})\"
        groups: { search: { filter: \"(member=${dn})\" } }
";

/// A portpass with local accounts, and a directory behind them.
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
    /// Asks the directory of a slapd as [`SEARCHED`] says.
    pub(crate) fn of(slapd: &Slapd) -> Self {
        Self::with(&format!("        servers: [\"{}\"]\n{SEARCHED}", slapd.url()))
    }

    /// With these lines in the section `ldap`.
    pub(crate) fn with(section: &str) -> Self {
        Self::with_rules(section, RULES)
    }

    /// With these rules.
    pub(crate) fn with_rules(section: &str, rules: &str) -> Self {
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
    - local: {{}}
    - ldap:
{section}
  policy:
{rules}"
        );
        fs::write(folder.path().join("portpass.yml"), text).unwrap();
        fs::write(folder.path().join("bind-password"), "search for me\n").unwrap();
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

    /// Demands the one answer to a wrong password, a locked account and all the like.
    #[track_caller]
    pub(crate) fn is_refused(&self) -> &Self {
        assert_eq!(self.status, 401, "{self:?}");
        assert_eq!(self.body["errors"][0]["message"], "wrong user name or password", "{self:?}");
        self
    }

    /// Demands the one answer to a directory that says nothing.
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

const RULES: &str = "    \
    - { allow: [pull, push], repository: \"team/**\", to: \"group:developers\" }
    - { allow: [pull, push], repository: \"${account}/**\", to: signed-in }
";
