//! A registry and its token service, each part of which can be replaced: it reads tokens as distribution 2, as
//! distribution 3 or as portpass does.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::http::{Method, header};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::BoxFuture;
use portpass_client::credentials::{Credential, CredentialSource, FoundCredential};
use portpass_jose::{Algorithm, KeyId, KeySet, TrustRoots, unverified::Unverified};
use portpass_protocol::{
    AccessSet,
    scope::{self, Scope},
};
use portpass_testkit::http::{Reply, Seen, Served, challenge, reply};
use portpass_token::{Clock, Invalid, Issuer, ServiceName, Trust, Verifier, VerifierSettings};
use serde_json::{Value, json};

use super::certified_key::CertifiedKey;
use crate::{
    Check, InputFile, Inputs, LocalInputs, Report, Timer, diagnose,
    exchange::Request,
    observations::{Requester, RequiredAuth, Token},
    run::Run,
    stage,
    tests::words::are_short,
};

pub(super) const ISSUER: &str = "tokens.example";
pub(super) const SERVICE: &str = "registry.example";
pub(super) const NAME: &str = "ann";
const PASSWORD: &str = "secret";
const BEGINNING: u64 = 1_800_000_000;

/// Which registry reads the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RegistryKind {
    Distribution2,
    Distribution3,
    Portpass,
}

type Edit = Box<dyn Fn(&mut Value, &mut Value) + Send + Sync>;
type Rewrite = Box<dyn Fn(String) -> String + Send + Sync>;
type Override = Box<dyn Fn(&Seen) -> Option<Reply> + Send + Sync>;

/// Everything that a diagnosis meets.
pub(super) struct Scenario {
    /// The token service's key.
    pub(super) signer: CertifiedKey,
    /// Its tokens' header and claims, before they are signed.
    pub(super) edit: Edit,
    /// Its tokens, after that.
    pub(super) rewrite: Rewrite,
    pub(super) expires_in: u64,
    pub(super) kind: RegistryKind,
    /// The registry's `rootcertbundle` and `jwks`.
    pub(super) bundle: String,
    pub(super) jwks: Option<String>,
    pub(super) issuer: String,
    /// By how many seconds the registry's clock is ahead.
    pub(super) ahead: u64,
    /// What is in front of the registry.
    pub(super) before: Override,
    /// Whether that drops `Authorization`.
    pub(super) strips: bool,
    pub(super) required_auth: Option<RequiredAuth>,
    pub(super) inputs: Inputs,
    pub(super) repository: bool,
    pub(super) anonymous: bool,
    pub(super) tls_leaf: Option<Vec<u8>>,
    pub(super) clock: Arc<ManualClock>,
}

/// A clock that stands still until somebody waits.
#[derive(Debug)]
pub(super) struct ManualClock(Mutex<SystemTime>);

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

impl Timer for ManualClock {
    fn wait(&self, time: Duration) -> BoxFuture<'static, ()> {
        *self.0.lock().unwrap() += time;
        Box::pin(async {})
    }
}

impl Scenario {
    /// Works: the key id is of the form that the registry looks for.
    pub(super) fn of(kind: RegistryKind) -> Self {
        Self::with(kind, CertifiedKey::new("tokens"))
    }

    /// The same, with this key.
    pub(super) fn with(kind: RegistryKind, signer: CertifiedKey) -> Self {
        let key_id = if kind == RegistryKind::Distribution2 {
            signer.libtrust()
        } else {
            signer.thumbprint()
        };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(BEGINNING);
        Self {
            bundle: signer.pem.clone(),
            signer,
            edit: Box::new(move |header, _| header["kid"] = key_id.as_str().into()),
            rewrite: Box::new(|token| token),
            expires_in: 300,
            kind,
            jwks: None,
            issuer: ISSUER.to_owned(),
            ahead: 0,
            before: Box::new(|_| None),
            strips: false,
            required_auth: None,
            inputs: Inputs::none(LocalInputs::default()),
            repository: true,
            anonymous: false,
            tls_leaf: None,
            clock: Arc::new(ManualClock(Mutex::new(now))),
        }
    }

    /// Changes header and claims of every token, after the key id is in it.
    pub(super) fn edited(
        mut self,
        edit: impl Fn(&mut Value, &mut Value) + Send + Sync + 'static,
    ) -> Self {
        let before = std::mem::replace(&mut self.edit, Box::new(|_, _| {}));
        self.edit = Box::new(move |header, claims| {
            before(header, claims);
            edit(header, claims);
        });
        self
    }

    pub(super) fn claims(self, edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        self.edited(move |_, claims| edit(claims))
    }

    pub(super) fn header(self, edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        self.edited(move |header, _| edit(header))
    }

    pub(super) fn rewritten(mut self, rewrite: fn(String) -> String) -> Self {
        self.rewrite = Box::new(rewrite);
        self
    }

    pub(super) fn behind(
        mut self,
        before: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        self.before = Box::new(before);
        self
    }

    /// Gives the diagnosis the registry's own files and names.
    pub(super) fn with_its_files(mut self) -> Self {
        self.inputs.bundle = Some(given("bundle.pem", &self.bundle));
        self.inputs.jwks = self.jwks.as_ref().map(|jwks| given("jwks.json", jwks));
        self.inputs.issuer = Some(self.issuer.clone());
        self
    }

    pub(super) fn given(mut self, give: impl FnOnce(&mut Inputs)) -> Self {
        give(&mut self.inputs);
        self
    }

    /// Sets the clock to the time that others have.
    pub(super) fn now(&self) {
        *self.clock.0.lock().unwrap() = portpass_token::SystemClock.now();
    }

    /// A token with this scope.
    pub(super) fn token(&self, scope: &str) -> String {
        let now = self.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let access: AccessSet = scope.parse().unwrap();
        let mut header = json!({ "alg": "ES256", "typ": "JWT" });
        let mut claims = json!({
            "iss": ISSUER,
            "sub": if self.anonymous { "" } else { NAME },
            "aud": SERVICE,
            "exp": now + self.expires_in,
            "nbf": now - 60,
            "iat": now,
            "access": access,
        });
        (self.edit)(&mut header, &mut claims);
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        let signature = self.signer.key.sign(message.as_bytes()).unwrap();
        (self.rewrite)(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Runs the whole flow.
    pub(super) async fn diagnose(self) -> Report {
        let scenario = Arc::new(self);
        let served = {
            let scenario = Arc::clone(&scenario);
            Served::start(move |seen| scenario.answer(seen)).await
        };
        let Run { target, inputs, clock, .. } = scenario.run(served.address);
        if scenario.tls_leaf.is_none() {
            let report = diagnose(target, inputs, clock).await;
            are_short(&report);
            return report;
        }
        // This registry speaks no TLS: that it does has to be told.
        let mut run = scenario.run(served.address);
        scenario.tell(&mut run, served.address, &served).await;
        scenario.head(&mut run).await;
        run.into_report()
    }

    /// The same with a registry that is real; the token service is still of this world.
    pub(super) async fn diagnose_real(self, registry: SocketAddr) -> Report {
        self.now();
        let scenario = Arc::new(self);
        let served = {
            let scenario = Arc::clone(&scenario);
            Served::start(move |seen| scenario.answer(seen)).await
        };
        let mut run = scenario.run(registry);
        scenario.tell(&mut run, registry, &served).await;
        scenario.head(&mut run).await;
        run.into_report()
    }

    fn run(&self, registry: SocketAddr) -> Run {
        let target = if self.repository { "/team/app" } else { "" };
        let target = format!("{registry}{target}").parse().unwrap();
        let clock: Arc<dyn Timer> = self.clock.clone();
        let mut inputs = self.inputs.clone();
        inputs.password = (!self.anonymous).then(|| (NAME.to_owned(), PASSWORD.into()));
        Run::new(target, inputs, clock)
    }

    /// What the earlier stages would have seen.
    async fn tell(&self, run: &mut Run, registry: SocketAddr, served: &Served) {
        let (scenario, anonymous) = (self, self.anonymous);
        run.observed.origin = Some(format!("http://{registry}/").parse().unwrap());
        let scope = run.wanted().into_iter().collect::<AccessSet>().to_string();
        run.observed.required_auth =
            Some(scenario.required_auth.clone().unwrap_or_else(|| RequiredAuth::Bearer {
                realm: served.url("/token"),
                service: Some(SERVICE.to_owned()),
                scope: None,
            }));
        let credential =
            Credential::Password { username: NAME.to_owned(), password: PASSWORD.into() };
        let place = CredentialSource::Given("--username");
        run.observed.credential = (!anonymous).then_some(FoundCredential { credential, place });
        if scenario.inputs.token.is_none()
            && run.observed.required_auth != Some(RequiredAuth::Basic)
        {
            let login = Request::get(served.url("/token").parse().unwrap());
            run.observed.answers.login = run.probe.send(&login).await.ok();
            run.observed.token = Some(Token {
                text: scenario.token(&scope).into(),
                requester: if anonymous { Requester::Anonymous } else { Requester::Credential },
                scope: Some(scope),
                expires_in: Some(scenario.expires_in),
                decoded: None,
            });
        }
    }

    /// The stages of this part.
    async fn head(&self, run: &mut Run) {
        if self.tls_leaf.is_some() {
            run.observed.tls_leaf.clone_from(&self.tls_leaf);
        }
        let before = run.probe.redacted_exchanges().len();
        stage::requests::send_tokens(run).await;
        stage::jwt::check(run);
        stage::claims::check(run);
        stage::keys::check(run);
        stage::access::check(run);
        stage::requests::check(run);
        let asked = run.probe.redacted_exchanges().len() - before;
        assert!(asked <= 9, "{asked} requests are more than this part has");
    }

    fn answer(&self, seen: &Seen) -> Reply {
        let date = (self.clock.now() + Duration::from_secs(self.ahead)).try_into();
        let date: jiff::Timestamp = date.unwrap();
        let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let reply = (self.before)(seen).unwrap_or_else(|| self.registry(seen));
        let reply = reply.with(header::DATE, date);
        match self.kind {
            RegistryKind::Portpass => {
                reply.with(header::HeaderName::from_static("x-request-id"), "7")
            }
            RegistryKind::Distribution2 | RegistryKind::Distribution3 => reply,
        }
    }

    fn registry(&self, seen: &Seen) -> Reply {
        if seen.path == "/token" {
            return self.token_service(seen);
        }
        let needed = (seen.path != "/v2/").then_some("repository:team/app:pull");
        let refuse = |error: Option<&str>| {
            let realm = format!("http://{}/token", seen.host);
            let scope = needed.map(|scope| format!(",scope=\"{scope}\"")).unwrap_or_default();
            let error = error.map(|error| format!(",error=\"{error}\"")).unwrap_or_default();
            challenge(format!("Bearer realm=\"{realm}\",service=\"{SERVICE}\"{scope}{error}"))
        };
        let shown = seen.authorization.as_deref().filter(|_| !self.strips);
        let authorization = shown.unwrap_or_default();
        let Some(token) = authorization.strip_prefix("Bearer ") else { return refuse(None) };
        if self.kind == RegistryKind::Distribution2 && token.contains(' ') {
            return refuse(None);
        }
        match self.verify(token) {
            Err(error) => refuse(error),
            Ok(_) if needed.is_none() => reply(200, "{}"),
            Ok(granted) => {
                let needed: AccessSet = needed.unwrap_or_default().parse().unwrap();
                let covers = needed.iter().all(|needed| {
                    let mut own = granted.iter().filter(|own| own.resource == needed.resource);
                    own.any(|own| needed.actions.iter().all(|action| own.actions.grants(action)))
                });
                if covers { reply(404, "{}") } else { refuse(Some("insufficient_scope")) }
            }
        }
    }

    /// Grants whatever is asked for on the one repository that there is.
    fn token_service(&self, seen: &Seen) -> Reply {
        let known = ["password", "refresh_token"];
        let grant = seen.one("grant_type").is_none_or(|grant| known.contains(&grant));
        if !grant || (seen.method == Method::POST && seen.form.is_empty()) {
            return reply(400, r#"{"error":"unsupported_grant_type"}"#)
                .with(header::CONTENT_TYPE, "application/json");
        }
        let scopes = scope::parse_list(&seen.all("scope").join(" ")).0;
        let access = scopes.into_iter().map(Scope::into_access);
        let access = access.filter(|access| &*access.resource.name == "team/app");
        let token = self.token(&access.collect::<AccessSet>().to_string());
        let body = json!({ "token": token, "access_token": token, "expires_in": self.expires_in });
        reply(200, body.to_string()).with(header::CONTENT_TYPE, "application/json")
    }

    /// What each of the three makes of a token, as it was measured (the tests of foreign tokens hold the record);
    /// `Err` is the `error` of its challenge.
    fn verify(&self, token: &str) -> Result<AccessSet, Option<&'static str>> {
        let invalid = Some("invalid_token");
        let bare = if self.kind == RegistryKind::Distribution2 {
            token.replace('=', "")
        } else {
            token.to_owned()
        };
        let opened = Unverified::parse(&bare).map_err(|_| invalid)?;
        let claims = opened.claims().map_err(|_| invalid)?;
        if self.kind == RegistryKind::Distribution2
            && claims.get("aud").is_some_and(Value::is_array)
        {
            return Err(invalid);
        }
        let roots = TrustRoots::from_pem(&self.bundle).unwrap_or_default();
        let jwks = self.jwks.as_deref().map(|jwks| KeySet::from_jwks(jwks).unwrap());
        let id = opened.header().get("kid").and_then(Value::as_str);
        if let (Some(id), false) = (id, opened.header().contains_key("x5c"))
            && !self.knows(id, &roots)
        {
            return Err(invalid);
        }
        let trust = Trust::new(roots, jwks.unwrap_or_default());
        let mut settings =
            VerifierSettings::new(Issuer::new(&*self.issuer), ServiceName::new(SERVICE));
        if self.kind == RegistryKind::Distribution2 {
            settings.allowed = [Algorithm::Es256, Algorithm::Rs256].into_iter().collect();
        }
        let verifier = Verifier::with_settings(settings, trust);
        let now = self.clock.now() + Duration::from_secs(self.ahead);
        let read = verifier.verify(&bare, now).map_err(|error| match error {
            Invalid::Claims(_)
            | Invalid::Untrusted(
                portpass_jose::Invalid::Signature { .. }
                | portpass_jose::Invalid::AlgorithmMismatch { .. },
            ) if self.kind == RegistryKind::Distribution3 => None,
            _ => invalid,
        })?;
        Ok(read.access.clone())
    }

    fn knows(&self, id: &str, roots: &TrustRoots) -> bool {
        let keys = roots.keys();
        let named =
            || self.jwks.as_deref().is_some_and(|jwks| jwks.contains(&format!("\"kid\":\"{id}\"")));
        match self.kind {
            RegistryKind::Portpass => true,
            RegistryKind::Distribution2 => {
                keys.iter().any(|key| KeyId::libtrust(key).as_str() == id)
            }
            RegistryKind::Distribution3 => {
                keys.iter().any(|key| key.id().as_str() == id) || named()
            }
        }
    }
}

/// A 401 that says nothing of any token.
pub(super) fn unnamed(seen: &Seen) -> Reply {
    let realm = format!("http://{}/token", seen.host);
    challenge(format!("Bearer realm=\"{realm}\",service=\"{SERVICE}\""))
}

/// A file that was given.
pub(super) fn given(name: &str, content: &str) -> InputFile {
    InputFile { path: name.into(), content: Ok(content.as_bytes().into()) }
}

/// Every second one of the requests that show a token.
pub(super) fn every_second() -> impl Fn(&Seen) -> bool + Send + Sync {
    let count = AtomicUsize::new(0);
    move |seen| {
        let shows =
            seen.authorization.as_deref().is_some_and(|text| text.starts_with("Bearer eyJ"));
        shows && seen.path == "/v2/" && count.fetch_add(1, Ordering::SeqCst) % 2 == 1
    }
}

/// The cause, with nothing failed beside it but what follows from it.
#[track_caller]
pub(super) fn cause_of(report: &Report) -> Check {
    let cause = report.cause().map(|finding| finding.check);
    let beside = report.findings.iter().filter(|finding| {
        finding.failed() && Some(finding.check) != cause && finding.follows_from != cause
    });
    let beside: Vec<_> = beside.collect();
    assert!(beside.is_empty(), "{beside:#?}");
    cause.unwrap_or_else(|| panic!("nothing failed: {:#?}", report.findings))
}
