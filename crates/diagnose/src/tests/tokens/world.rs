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
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use futures_util::future::BoxFuture;
use portpass_client::credentials::{Credential, Found, Place};
use portpass_jose::{Algorithm, KeyId, KeySet, SigningKey, TrustRoots, danger::Unverified};
use portpass_protocol::{
    AccessSet,
    scope::{self, Scope},
};
use portpass_testkit::http::{Reply, Seen, Served, challenge, reply};
use portpass_token::{Clock, Invalid, Issuer, ServiceName, Trust, Verifier, VerifierSettings};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use serde_json::{Value, json};

use crate::{
    Check, Given, Inputs, Local, Patience, Report,
    case::Case,
    diagnose,
    facts::{Asker, Demand, Token},
    probe::Ask,
    stage,
    tests::words::are_short,
};

pub(super) const ISSUER: &str = "tokens.example";
pub(super) const SERVICE: &str = "registry.example";
pub(super) const NAME: &str = "ann";
const PASSWORD: &str = "secret";
const BEGINNING: u64 = 1_800_000_000;

/// Whose way of reading tokens a registry has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Like {
    Two,
    Three,
    Portpass,
}

/// A key with a certificate, self-signed.
pub(super) struct Pair {
    pub(super) key: SigningKey,
    pub(super) pem: String,
    pub(super) der: Vec<u8>,
    private: Vec<u8>,
}

impl Pair {
    pub(super) fn new(name: &str) -> Self {
        Self::until(name, 2100)
    }

    pub(super) fn until(name: &str, year: i32) -> Self {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.self_signed(&pair).unwrap();
        let key = SigningKey::from_der(&pair.serialize_der(), None).unwrap();
        let der = certificate.der().to_vec();
        Self { key, pem: certificate.pem(), der, private: pair.serialize_der() }
    }

    /// The same once more.
    pub(super) fn again(&self) -> Self {
        let key = SigningKey::from_der(&self.private, None).unwrap();
        let Self { pem, der, private, .. } = self;
        Self { key, pem: pem.clone(), der: der.clone(), private: private.clone() }
    }

    pub(super) fn libtrust(&self) -> String {
        KeyId::libtrust(self.key.public()).to_string()
    }

    pub(super) fn thumbprint(&self) -> String {
        self.key.id().to_string()
    }

    pub(super) fn x5c(&self) -> Value {
        json!([STANDARD.encode(&self.der)])
    }

    pub(super) fn jwks(&self, name: &str) -> String {
        let mut keys = KeySet::new();
        keys.insert_named(name.into(), self.key.public().clone());
        keys.to_jwks()
    }
}

type Edit = Box<dyn Fn(&mut Value, &mut Value) + Send + Sync>;
type Rewrite = Box<dyn Fn(String) -> String + Send + Sync>;
type Override = Box<dyn Fn(&Seen) -> Option<Reply> + Send + Sync>;

/// Everything that a diagnosis meets.
pub(super) struct World {
    /// The token service's key.
    pub(super) signer: Pair,
    /// Its tokens' header and claims, before they are signed.
    pub(super) edit: Edit,
    /// Its tokens, after that.
    pub(super) rewrite: Rewrite,
    pub(super) expires_in: u64,
    pub(super) like: Like,
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
    pub(super) demand: Option<Demand>,
    pub(super) inputs: Inputs,
    pub(super) repository: bool,
    pub(super) anonymous: bool,
    pub(super) tls_leaf: Option<Vec<u8>>,
    pub(super) clock: Arc<Hands>,
}

/// A clock that stands still until somebody waits.
#[derive(Debug)]
pub(super) struct Hands(Mutex<SystemTime>);

impl Clock for Hands {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

impl Patience for Hands {
    fn wait(&self, time: Duration) -> BoxFuture<'static, ()> {
        *self.0.lock().unwrap() += time;
        Box::pin(async {})
    }
}

impl World {
    /// Works: the key id is of the form that the registry looks for.
    pub(super) fn of(like: Like) -> Self {
        Self::with(like, Pair::new("tokens"))
    }

    /// The same, with this key.
    pub(super) fn with(like: Like, signer: Pair) -> Self {
        let kid = if like == Like::Two { signer.libtrust() } else { signer.thumbprint() };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(BEGINNING);
        Self {
            bundle: signer.pem.clone(),
            signer,
            edit: Box::new(move |header, _| header["kid"] = kid.as_str().into()),
            rewrite: Box::new(|token| token),
            expires_in: 300,
            like,
            jwks: None,
            issuer: ISSUER.to_owned(),
            ahead: 0,
            before: Box::new(|_| None),
            strips: false,
            demand: None,
            inputs: Inputs::none(Local::default()),
            repository: true,
            anonymous: false,
            tls_leaf: None,
            clock: Arc::new(Hands(Mutex::new(now))),
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
        let world = Arc::new(self);
        let served = {
            let world = Arc::clone(&world);
            Served::start(move |seen| world.answer(seen)).await
        };
        let Case { target, inputs, clock, .. } = world.case(served.address);
        if world.tls_leaf.is_none() {
            let report = diagnose(target, inputs, clock).await;
            are_short(&report);
            return report;
        }
        // This registry speaks no TLS: that it does has to be told.
        let mut case = world.case(served.address);
        world.tell(&mut case, served.address, &served).await;
        world.look(&mut case).await;
        case.conclude()
    }

    /// The same with a registry that is real; the token service is still of this world.
    pub(super) async fn diagnose_real(self, registry: SocketAddr) -> Report {
        self.now();
        let world = Arc::new(self);
        let served = {
            let world = Arc::clone(&world);
            Served::start(move |seen| world.answer(seen)).await
        };
        let mut case = world.case(registry);
        world.tell(&mut case, registry, &served).await;
        world.look(&mut case).await;
        case.conclude()
    }

    fn case(&self, registry: SocketAddr) -> Case {
        let target = if self.repository { "/team/app" } else { "" };
        let target = format!("{registry}{target}").parse().unwrap();
        let clock: Arc<dyn Patience> = self.clock.clone();
        let mut inputs = self.inputs.clone();
        inputs.password = (!self.anonymous).then(|| (NAME.to_owned(), PASSWORD.into()));
        Case::new(target, inputs, clock)
    }

    /// What the earlier stages would have seen.
    async fn tell(&self, case: &mut Case, registry: SocketAddr, served: &Served) {
        let (world, anonymous) = (self, self.anonymous);
        case.facts.origin = Some(format!("http://{registry}/").parse().unwrap());
        let scope = case.wanted().into_iter().collect::<AccessSet>().to_string();
        case.facts.demand = Some(world.demand.clone().unwrap_or_else(|| Demand::Bearer {
            realm: served.url("/token"),
            service: Some(SERVICE.to_owned()),
            scope: None,
        }));
        let credential =
            Credential::Password { username: NAME.to_owned(), password: PASSWORD.into() };
        let place = Place::Given("--username");
        case.facts.credential = (!anonymous).then_some(Found { credential, place });
        if world.inputs.token.is_none() && case.facts.demand != Some(Demand::Basic) {
            let login = Ask::get(served.url("/token").parse().unwrap());
            case.facts.answers.login = case.probe.ask(&login).await.ok();
            case.facts.token = Some(Token {
                text: world.token(&scope).into(),
                asker: if anonymous { Asker::Nobody } else { Asker::Credential },
                scope: Some(scope),
                expires_in: Some(world.expires_in),
                opened: None,
            });
        }
    }

    /// The stages of this part.
    async fn look(&self, case: &mut Case) {
        if self.tls_leaf.is_some() {
            case.facts.tls_leaf.clone_from(&self.tls_leaf);
        }
        let before = case.probe.spoken().len();
        stage::uses::ask(case).await;
        stage::jwt::run(case);
        stage::clm::run(case);
        stage::key::run(case);
        stage::acc::run(case);
        stage::uses::run(case);
        let asked = case.probe.spoken().len() - before;
        assert!(asked <= 9, "{asked} requests are more than this part has");
    }

    fn answer(&self, seen: &Seen) -> Reply {
        let date = (self.clock.now() + Duration::from_secs(self.ahead)).try_into();
        let date: jiff::Timestamp = date.unwrap();
        let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let reply = (self.before)(seen).unwrap_or_else(|| self.registry(seen));
        let reply = reply.with(header::DATE, date);
        match self.like {
            Like::Portpass => reply.with(header::HeaderName::from_static("x-request-id"), "7"),
            Like::Two | Like::Three => reply,
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
        if self.like == Like::Two && token.contains(' ') {
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
        let bare = if self.like == Like::Two { token.replace('=', "") } else { token.to_owned() };
        let opened = Unverified::parse(&bare).map_err(|_| invalid)?;
        let claims = opened.claims().map_err(|_| invalid)?;
        if self.like == Like::Two && claims.get("aud").is_some_and(Value::is_array) {
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
        if self.like == Like::Two {
            settings.allowed = [Algorithm::Es256, Algorithm::Rs256].into_iter().collect();
        }
        let verifier = Verifier::new(settings, trust);
        let now = self.clock.now() + Duration::from_secs(self.ahead);
        let read = verifier.verify(&bare, now).map_err(|error| match error {
            Invalid::Claims(_)
            | Invalid::Untrusted(
                portpass_jose::Invalid::Signature { .. }
                | portpass_jose::Invalid::AlgorithmMismatch { .. },
            ) if self.like == Like::Three => None,
            _ => invalid,
        })?;
        Ok(read.access.clone())
    }

    fn knows(&self, id: &str, roots: &TrustRoots) -> bool {
        let keys = roots.keys();
        let named =
            || self.jwks.as_deref().is_some_and(|jwks| jwks.contains(&format!("\"kid\":\"{id}\"")));
        match self.like {
            Like::Portpass => true,
            Like::Two => keys.iter().any(|key| KeyId::libtrust(key).as_str() == id),
            Like::Three => keys.iter().any(|key| key.id().as_str() == id) || named(),
        }
    }
}

/// A 401 that says nothing of any token.
pub(super) fn unnamed(seen: &Seen) -> Reply {
    let realm = format!("http://{}/token", seen.host);
    challenge(format!("Bearer realm=\"{realm}\",service=\"{SERVICE}\""))
}

/// A file that was given.
pub(super) fn given(name: &str, content: &str) -> Given {
    Given { path: name.into(), content: Ok(content.as_bytes().into()) }
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
