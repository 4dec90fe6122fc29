use std::{
    net::IpAddr,
    num::NonZeroUsize,
    sync::{Mutex, PoisonError},
};

use portpass_federation::{
    hook::HookSettings,
    web::{Redirects, WebSettings},
};
use portpass_password::{
    CredentialCache, HashPool,
    cost::{Cost, Work},
    pool::{PoolSettings, SourceCosts},
};
use portpass_testkit::http::{Seen, Served, reply};
use portpass_token::ServiceName;
use serde_json::{Value, json};

use super::*;
use crate::{accounts::AuthenticatorChain, fixture::unproved};

const CACHE: Duration = Duration::from_mins(5);
const RIGHT: &str = "correct horse";

/// A service that says what the test has it say, and the accounts that come of it.
struct Bench {
    said: Arc<Mutex<Value>>,
    served: Served,
    chain: AuthenticatorChain,
    pool: HashPool,
    /// What another source hashes with: a refusal costs the same here.
    _costs: SourceCosts,
}

fn noon() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
}

impl Bench {
    async fn new() -> Self {
        Self::with(Lookups::Answered).await
    }

    async fn with(lookups: Lookups) -> Self {
        let said = Arc::new(Mutex::new(json!({ "answer": "unknown" })));
        let saying = Arc::clone(&said);
        let served = Served::start(move |_| {
            reply(200, saying.lock().unwrap_or_else(PoisonError::into_inner).to_string())
        })
        .await;
        let web = WebSettings {
            authorities: Vec::new(),
            identity: None,
            timeout: Duration::from_secs(5),
            redirects: Redirects::Refused,
        };
        let hook = Hook::new(HookSettings {
            url: served.url("/").parse().unwrap(),
            web,
            bearer: None,
            calls: NonZeroUsize::MIN,
        });
        let pool = HashPool::new(PoolSettings { threads: NonZeroUsize::MIN, queue: 8 });
        let costs = pool.source();
        costs.set([Cost::Bcrypt(4)]);
        let cache = CredentialCache::new([1; 32], NonZeroUsize::MIN, CACHE);
        let check = PasswordCheck::new(pool.clone(), Arc::new(cache));
        let accounts = HttpAccounts::new(SourceName::http(), hook, lookups, check.clone(), CACHE);
        let chain = AuthenticatorChain::new(vec![Arc::new(accounts)], check);
        Self { said, served, chain, pool, _costs: costs }
    }

    fn say(&self, answer: Value) {
        *self.said.lock().unwrap() = answer;
    }

    /// How often it was asked.
    fn asked(&self) -> usize {
        self.served.seen().len()
    }

    fn last(&self) -> Value {
        let last: Seen = self.served.seen().pop().unwrap();
        serde_json::from_slice(&last.body).unwrap()
    }

    async fn login(&self, password: &str) -> Result<Result<Account, Rejection>, Unavailable> {
        self.login_at(password, &unproved(noon())).await
    }

    async fn login_at(
        &self,
        password: &str,
        at: &Circumstances<'_>,
    ) -> Result<Result<Account, Rejection>, Unavailable> {
        let login = Login { account: "ann".parse().unwrap(), password: password.into() };
        self.chain.authenticate(&login, at).await
    }

    async fn by_id(&self, account: &Account, now: SystemTime) -> Option<Account> {
        self.chain.by_id("http", &account.id, now).await.unwrap()
    }
}

fn whole() -> Value {
    json!({ "answer": "yes", "account": {
        "id": "42", "name": "ann.lee", "version": "3", "groups": ["developers", " no group"],
        "labels": { "team": ["red", "blue"], "no label": ["x"] },
        "ceiling": { "actions": ["pull"], "repositories": ["team/app-*"] },
        "valid_until": 1_800_003_600,
    } })
}

#[tokio::test]
async fn an_account_is_what_the_service_says() {
    let bench = Bench::new().await;
    bench.say(whole());
    let account = bench.login(RIGHT).await.unwrap().unwrap();
    assert_eq!((account.name.as_str(), account.source.as_str()), ("ann.lee", "http"));
    assert_eq!((account.id.as_str(), account.version.as_str()), ("id:42", "3"));
    assert!(account.groups.iter().map(Group::as_str).eq(["developers"]));
    assert!(account.labels.values("team").eq(["blue", "red"]));
    assert_eq!(account.ceiling.as_ref().unwrap().to_string(), "pull on team/app-*");
    assert_eq!(account.valid_until, Some(noon() + Duration::from_hours(1)));
    assert!(account.kind.has_sessions());
    assert_eq!(bench.last()["service"], "registry");

    bench.say(json!({ "answer": "yes" }));
    let plain = bench.login("another").await.unwrap().unwrap();
    assert_eq!((plain.name.as_str(), plain.id.as_str()), ("ann", "name:ann"));
    assert!(plain.groups.is_empty() && plain.ceiling.is_none());
}

/// The service knows both, and may decide by them.
#[tokio::test]
async fn a_yes_is_remembered_for_the_same_registry_and_address_and_for_its_time() {
    let bench = Bench::new().await;
    bench.say(whole());
    let (one, other) = (ServiceName::new("one"), ServiceName::new("other"));
    let address = |last| Some(IpAddr::from([192, 0, 2, last]));
    let at = Circumstances { service: &one, address: address(1), ..unproved(noon()) };
    for (at, asked) in [
        (at, 1),
        (at, 1),
        (Circumstances { service: &other, ..at }, 2),
        (Circumstances { address: address(2), ..at }, 3),
        (Circumstances { address: None, ..at }, 4),
        (Circumstances { now: noon() + CACHE - Duration::from_secs(1), ..at }, 4),
        (Circumstances { now: noon() + CACHE, ..at }, 5),
    ] {
        bench.login_at(RIGHT, &at).await.unwrap().unwrap();
        assert_eq!(bench.asked(), asked, "{at:?}");
    }
    bench.login_at("wrong", &at).await.unwrap().unwrap();
    assert_eq!(bench.asked(), 6, "another password is another question");
}

/// T8
#[tokio::test]
async fn a_no_is_asked_again_each_time_says_why_to_the_log_and_costs_what_every_refusal_costs() {
    let bench = Bench::new().await;
    let worked = async |answer: Value| {
        bench.say(answer);
        let before = bench.pool.work_done();
        let rejection = bench.login("wrong").await.unwrap().unwrap_err();
        (rejection.why().map(ToString::to_string), bench.pool.work_done().since(before))
    };
    let (why, unknown) = worked(json!({ "answer": "unknown" })).await;
    assert_eq!(why, None);
    assert_ne!(unknown, Work::default());
    for (answer, said) in [
        (json!({ "answer": "no" }), "http: the service says no"),
        (json!({ "answer": "no", "reason": "locked" }), "http: the service says no: locked"),
        (
            json!({ "answer": "yes", "account": { "valid_until": 1_799_999_999 } }),
            "http: its `valid_until` is in the past",
        ),
    ] {
        let (why, work) = worked(answer).await;
        assert_eq!((why.as_deref(), work), (Some(said), unknown));
    }
    assert_eq!(bench.asked(), 4);
}

#[tokio::test]
async fn what_is_neither_yes_nor_no_is_unavailable_and_holds_no_password() {
    let bench = Bench::new().await;
    for (answer, said) in [
        (json!({ "answer": "unavailable" }), "the service cannot say: it gives no reason"),
        (json!({ "answer": "unavailable", "reason": "no database" }), "cannot say: no database"),
        (json!({ "answer": "maybe" }), "`answer` is none of yes, no"),
        (json!({ "answer": "yes", "account": { "name": "a b" } }), "the account's `name`: ' ' is"),
        (
            json!({ "answer": "yes", "account": { "ceiling":
                { "actions": ["pull"], "repositories": ["${account}/*"] } } }),
            "the account's `ceiling`: ",
        ),
        (
            json!({ "answer": "yes", "account": { "ceiling":
                { "actions": ["pull"], "repositories": [RIGHT] } } }),
            "the service describes an account that cannot be",
        ),
    ] {
        bench.say(answer);
        let unavailable = bench.login(RIGHT).await.unwrap_err().to_string();
        assert!(unavailable.contains(said), "{unavailable}");
        assert!(!unavailable.contains(RIGHT), "{unavailable}");
    }
}

#[tokio::test]
async fn a_lookup_tells_whether_an_account_is_still_there() {
    let bench = Bench::new().await;
    bench.say(whole());
    let account = bench.login(RIGHT).await.unwrap().unwrap();
    assert_eq!(bench.by_id(&account, noon()).await.as_ref(), Some(&account));
    assert_eq!(bench.last(), json!({ "question": "lookup", "id": "42" }));
    assert!(bench.by_id(&account, noon() + CACHE / 2).await.is_some());
    assert_eq!(bench.asked(), 2, "it is remembered");

    for (answer, later) in [
        (json!({ "answer": "no", "reason": "left" }), CACHE),
        (json!({ "answer": "unknown" }), 2 * CACHE),
        (json!({ "answer": "yes", "account": { "id": "43", "name": "ann.lee" } }), 3 * CACHE),
    ] {
        bench.say(answer);
        assert_eq!(bench.by_id(&account, noon() + later).await, None, "{later:?}");
    }
    bench.say(json!({ "answer": "unavailable" }));
    let unavailable = bench.chain.by_id("http", &account.id, noon() + 4 * CACHE).await;
    assert!(unavailable.is_err());
    // What has an end ends also while it is remembered.
    bench.say(whole());
    let end = noon() + Duration::from_hours(1);
    assert!(bench.by_id(&account, end - Duration::from_secs(1)).await.is_some());
    assert_eq!(bench.by_id(&account, end).await, None);
}

/// The password that was right a moment ago is asked about again.
#[tokio::test]
async fn a_lookup_ends_what_is_remembered_of_a_login_and_a_login_what_is_remembered_of_a_lookup() {
    let bench = Bench::new().await;
    bench.say(json!({ "answer": "yes" }));
    let account = bench.login(RIGHT).await.unwrap().unwrap();
    bench.say(json!({ "answer": "no" }));
    assert_eq!(bench.by_id(&account, noon()).await, None);
    assert_eq!(bench.last(), json!({ "question": "lookup", "name": "ann" }));
    assert!(bench.login(RIGHT).await.unwrap().is_err());
    bench.say(json!({ "answer": "yes" }));
    bench.login(RIGHT).await.unwrap().unwrap();
    assert!(bench.by_id(&account, noon()).await.is_some());
    bench.say(json!({ "answer": "yes", "account": { "version": "2" } }));
    assert_eq!(bench.by_id(&account, noon() + CACHE).await.unwrap().version.as_str(), "2");
}

#[tokio::test]
async fn an_account_is_explained_by_its_name_also_while_it_is_disabled() {
    let bench = Bench::new().await;
    let name = "ann".parse().unwrap();
    let locked = json!({ "answer": "no", "reason": "locked", "account": { "groups": ["ops"] } });
    bench.say(locked);
    let account = bench.chain.by_name(None, &name, noon()).await.unwrap().unwrap();
    assert!(account.groups.iter().map(Group::as_str).eq(["ops"]));
    let obstacle = bench.chain.obstacle(&account, noon()).await.unwrap();
    assert_eq!(obstacle.as_deref(), Some("the service says no: locked"));
    bench.say(json!({ "answer": "yes" }));
    assert_eq!(bench.chain.obstacle(&account, noon()).await, Ok(None));
    bench.say(json!({ "answer": "unknown" }));
    assert_eq!(bench.chain.by_name(None, &name, noon()).await, Ok(None));
}

#[tokio::test]
async fn without_lookups_there_are_no_sessions_and_nothing_is_asked_without_a_password() {
    let bench = Bench::with(Lookups::None).await;
    bench.say(json!({ "answer": "yes" }));
    let account = bench.login(RIGHT).await.unwrap().unwrap();
    assert!(!account.kind.has_sessions());
    let unavailable = bench.chain.by_name(None, &account.name, noon()).await.unwrap_err();
    assert!(unavailable.to_string().contains("`lookup: false`"), "{unavailable}");
    assert!(bench.chain.by_id("http", &account.id, noon()).await.is_err());
    assert_eq!(bench.asked(), 1);
}

/// An API key of a later source is used every few seconds: the service is not asked each time.
#[tokio::test]
async fn whether_the_service_has_a_name_is_remembered_and_not_guessed() {
    let bench = Bench::new().await;
    bench.say(json!({ "answer": "yes" }));
    let ours = bench.login(RIGHT).await.unwrap().unwrap();
    let behind = |name: &str| Account {
        source: "behind".parse().unwrap(),
        name: name.parse().unwrap(),
        ..ours.clone()
    };
    assert_eq!(bench.chain.shadow(&ours, noon()).await, Ok(None));
    assert_eq!(bench.asked(), 1);
    let has = async |name: &str, now| {
        bench.chain.shadow(&behind(name), now).await.map(|owner| owner.is_some())
    };
    for (name, answer, is_its) in [
        ("ann", json!({ "answer": "yes" }), true),
        ("bob", json!({ "answer": "no", "reason": "locked" }), true),
        ("eve", json!({ "answer": "unknown" }), false),
    ] {
        bench.say(answer);
        assert_eq!(has(name, noon()).await, Ok(is_its), "{name}");
        assert_eq!(bench.last(), json!({ "question": "lookup", "name": name }));
    }
    bench.say(json!({ "answer": "unavailable" }));
    assert_eq!(has("eve", noon() + CACHE / 2).await, Ok(false));
    assert_eq!(bench.asked(), 4);
    assert!(has("eve", noon() + CACHE).await.is_err());

    let bench = Bench::with(Lookups::None).await;
    let unavailable = bench.chain.shadow(&behind("ann"), noon()).await.unwrap_err();
    assert!(unavailable.to_string().contains("put it last"), "{unavailable}");
}
