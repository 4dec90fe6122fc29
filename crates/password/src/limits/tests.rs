use futures_util::FutureExt as _;
use proptest::prelude::*;

use super::*;

const SETTINGS: LimitSettings = LimitSettings {
    pair: Quota { burst: 3, refill: Duration::from_secs(20) },
    address: Quota { burst: 5, refill: Duration::from_secs(3) },
    account: Quota { burst: 8, refill: Duration::from_secs(6) },
    entries: 1_000,
};

const HERE: &str = "192.0.2.1";

fn limits() -> Limits {
    Limits::new(SETTINGS, [7; 32])
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000) + Duration::from_secs(seconds)
}

/// What is tried, kept.
enum Credential {
    Password { account: String, password: SecretString },
    Secret(String),
}

fn login(account: &str, password: &str) -> Credential {
    Credential::Password { account: account.to_owned(), password: password.into() }
}

fn secret(secret: &str) -> Credential {
    Credential::Secret(secret.to_owned())
}

impl Credential {
    fn attempt(&self) -> Attempt<'_> {
        match self {
            Self::Password { account, password } => {
                Attempt::Password { realm: "accounts", account, password }
            }
            Self::Secret(secret) => Attempt::Secret(secret),
        }
    }
}

impl Limits {
    /// An attempt that waits for nobody.
    #[track_caller]
    fn admits(
        &self,
        address: Option<IpAddr>,
        credential: &Credential,
        now: SystemTime,
    ) -> Result<Admission<'_>, Limited> {
        self.admit(address, credential.attempt(), now).now_or_never().expect("it waits")
    }
}

/// A failed attempt with a password that was never tried before, or why it was not admitted.
fn fail(
    limits: &Limits,
    address: &str,
    account: &str,
    password: &mut u32,
    now: SystemTime,
) -> Result<(), Limited> {
    *password += 1;
    let credential = login(account, &password.to_string());
    limits.admits(Some(address.parse().unwrap()), &credential, now)?.rejected(now);
    Ok(())
}

/// How many fresh passwords can be tried before the first is not admitted.
fn tries(limits: &Limits, mut who: impl FnMut(u32) -> (String, String), now: SystemTime) -> u32 {
    let mut password = 0;
    for count in 0..1_000 {
        let (address, account) = who(count);
        if fail(limits, &address, &account, &mut password, now).is_err() {
            return count;
        }
    }
    1_000
}

#[test]
fn each_counter_allows_its_burst() {
    let here = |_| (HERE.to_owned(), "ann".to_owned());
    assert_eq!(tries(&limits(), here, at(0)), 3);
    let many_accounts = |count| (HERE.to_owned(), format!("ann{count}"));
    assert_eq!(tries(&limits(), many_accounts, at(0)), 5);
    let many_addresses = |count| (format!("192.0.2.{count}"), "ann".to_owned());
    assert_eq!(tries(&limits(), many_addresses, at(0)), 8);
    let others = |count| (format!("192.0.2.{}", count % 250), format!("ann{count}"));
    assert_eq!(tries(&limits(), others, at(0)), 1_000);
}

#[test]
fn what_ran_out_is_named_with_the_time_until_there_is_room() {
    let (limits, mut password) = (limits(), 0);
    for _ in 0..3 {
        fail(&limits, HERE, "ann", &mut password, at(0)).unwrap();
    }
    let limited = fail(&limits, HERE, "ann", &mut password, at(1)).unwrap_err();
    let expected =
        Limited { by: "for this account from this address", retry_after: Duration::from_secs(19) };
    assert_eq!(limited, expected);
    let said = limited.to_string();
    assert_eq!(
        said,
        "too many failed attempts for this account from this address; try again in 19 s"
    );

    assert!(fail(&limits, HERE, "ann", &mut password, at(19)).is_err());
    assert_eq!(fail(&limits, HERE, "ann", &mut password, at(20)), Ok(()));
    assert!(fail(&limits, HERE, "ann", &mut password, at(20)).is_err());
    assert_eq!(fail(&limits, HERE, "bob", &mut password, at(20)), Ok(()));
    assert_eq!(fail(&limits, "192.0.2.2", "ann", &mut password, at(20)), Ok(()));
}

#[test]
fn being_right_costs_nothing_however_often_and_at_once() {
    let (limits, address) = (limits(), Some(HERE.parse().unwrap()));
    let credential = login("ann", "right");
    let flight: Vec<_> =
        (0..100).map(|_| limits.admits(address, &credential, at(0)).unwrap()).collect();
    flight.into_iter().for_each(Admission::accepted);
    assert!(limits.admits(address, &credential, at(0)).is_ok());
}

/// TP7, T8: containerd sends a bad password by POST and then by GET.
#[test]
fn a_bad_password_that_arrives_twice_counts_once() {
    let (limits, address) = (limits(), Some(HERE.parse().unwrap()));
    for round in 0..3 {
        let credential = login("ann", &format!("wrong {round}"));
        limits.admits(address, &credential, at(round)).unwrap().rejected(at(round));
        // The last round's second half is admitted although its first half was the last one.
        limits.admits(address, &credential, at(round)).unwrap().rejected(at(round));
    }
    for password in ["wrong 2", "wrong 0", "other"] {
        assert!(limits.admits(address, &login("ann", password), at(3)).is_err(), "{password}");
    }
}

#[test]
fn a_second_half_comes_soon_from_the_same_place_and_once() {
    let credential = login("ann", "wrong");
    let (here, elsewhere) = (Some(HERE.parse().unwrap()), Some("192.0.2.9".parse().unwrap()));
    let charged = |second: Option<IpAddr>, after: u64| {
        let limits = limits();
        limits.admits(here, &credential, at(0)).unwrap().rejected(at(0));
        limits.admits(second, &credential, at(after)).unwrap().rejected(at(after));
        // Eight fit; so many are left.
        let counters = limits.0.as_ref().unwrap();
        counters.ledger.left_of_account(&counters.keys(here, credential.attempt()), at(after))
    };
    assert_eq!(charged(here, 0), 7);
    assert_eq!(charged(here, 3), 7);
    assert_eq!(charged(elsewhere, 0), 6);
    assert_eq!(charged(here, 30), 7, "the first is forgotten by then, the second counts");
}

#[test]
fn hanging_up_counts_and_an_unavailable_source_does_not() {
    let (limits, address) = (limits(), Some(HERE.parse().unwrap()));
    for number in 0..50 {
        let credential = login("ann", &number.to_string());
        limits.admits(address, &credential, at(0)).unwrap().withdraw();
    }
    for number in 0..3 {
        let credential = login("ann", &number.to_string());
        drop(limits.admits(address, &credential, at(0)).unwrap());
    }
    assert!(limits.admits(address, &login("ann", "next"), at(0)).is_err());
}

/// Somebody else's failures must not lock an account's owner out.
#[test]
fn whoever_has_logged_in_from_an_address_is_asked_for_that_pair_alone() {
    let (limits, mut password) = (limits(), 0);
    let address = Some(HERE.parse().unwrap());
    limits.admits(address, &login("ann", "right"), at(0)).unwrap().accepted();
    let others_here = |count| (HERE.to_owned(), format!("bob{count}"));
    tries(&limits, others_here, at(0));
    let botnet = |count| (format!("198.51.100.{count}"), "ann".to_owned());
    tries(&limits, botnet, at(0));

    assert!(fail(&limits, HERE, "carol", &mut password, at(0)).is_err());
    assert!(fail(&limits, "203.0.113.1", "ann", &mut password, at(0)).is_err());
    limits.admits(address, &login("ann", "right"), at(0)).unwrap().accepted();
    let guesses = tries(&limits, |_| (HERE.to_owned(), "ann".to_owned()), at(0));
    assert_eq!(guesses, 3);

    let day = 24 * 60 * 60;
    tries(&limits, |count| (format!("198.51.100.{count}"), "ann".to_owned()), at(day));
    assert!(limits.admits(address, &login("ann", "right"), at(day)).is_err());
}

#[test]
fn an_ipv6_address_counts_with_its_64_and_a_mapped_one_as_ipv4() {
    for (one, other, same) in [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ("192.0.2.1", "::ffff:192.0.2.1", true),
        ("192.0.2.1", "192.0.2.2", false),
        ("::1", "0.0.0.1", false),
    ] {
        let (limits, mut password) = (limits(), 0);
        for _ in 0..3 {
            fail(&limits, one, "ann", &mut password, at(0)).unwrap();
        }
        let limited = fail(&limits, other, "ann", &mut password, at(0)).is_err();
        assert_eq!(limited, same, "{one} {other}");
    }
}

#[test]
fn a_caller_without_an_address_counts_by_account() {
    let limits = limits();
    let admitted = (0..20).take_while(|number| {
        let credential = login("ann", &number.to_string());
        limits.admits(None, &credential, at(0)).is_ok()
    });
    assert_eq!(admitted.count(), 8);
}

/// Docker keeps an identity token and sends nothing else: a neighbour who guesses passwords must not
/// end everybody's pulls.
#[test]
fn wrong_passwords_stop_no_refresh_token_and_unknown_ones_none_that_was_good() {
    let limits = limits();
    let address = Some(HERE.parse().unwrap());
    let good = secret("good");
    assert_eq!(tries(&limits, |count| (HERE.to_owned(), format!("ann{count}")), at(0)), 5);
    limits.admits(address, &good, at(0)).unwrap().accepted();
    let unknown = |number: u32| limits.admits(address, &secret(&number.to_string()), at(0));
    for number in 0..5 {
        unknown(number).unwrap().rejected(at(0));
    }
    assert!(unknown(5).is_err());
    limits.admits(address, &good, at(0)).unwrap().accepted();
    // Elsewhere nobody has seen it to be good.
    assert!(limits.admits(Some("192.0.2.2".parse().unwrap()), &secret("x"), at(0)).is_ok());
}

#[test]
fn unknown_secrets_count_by_address() {
    let (limits, address) = (limits(), Some(HERE.parse().unwrap()));
    for number in 0..5 {
        limits.admits(address, &secret(&number.to_string()), at(0)).unwrap().rejected(at(0));
    }
    let limited = limits.admits(address, &secret("x"), at(0)).unwrap_err();
    assert_eq!(limited.by, "from this address");
    drop(Admission::uncounted());
}

#[test]
fn limits_that_are_off_admit_everything() {
    let limits = Limits::off();
    assert_eq!(tries(&limits, |_| (HERE.to_owned(), "ann".to_owned()), at(0)), 1_000);
}

/// From where, and for whom, somebody guesses how often.
type Guesser<'a> = &'a dyn Fn(u32) -> (String, String);

/// Passwords that are tried at once are as many as fit, whoever they are for and wherever from.
#[tokio::test]
async fn guesses_at_once_are_no_more_than_there_is_room_for() {
    let here = |_: u32| (HERE.to_owned(), "ann".to_owned());
    let many_accounts = |count: u32| (HERE.to_owned(), format!("ann{count}"));
    let many_addresses = |count: u32| (format!("192.0.2.{count}"), "ann".to_owned());
    let table: [(Guesser<'_>, usize); 3] = [(&here, 3), (&many_accounts, 5), (&many_addresses, 8)];
    for (who, room) in table {
        let limits = limits();
        let tried = std::cell::Cell::new(0);
        let guesses = (0..200).map(|count| {
            let (limits, tried, (address, account)) = (&limits, &tried, who(count));
            async move {
                let credential = login(&account, &count.to_string());
                let address = Some(address.parse().unwrap());
                let admission = limits.admit(address, credential.attempt(), at(0)).await?;
                tried.set(tried.get() + 1);
                // All others come before this one is decided.
                tokio::task::yield_now().await;
                admission.rejected(at(0));
                Ok::<(), Limited>(())
            }
        });
        let answers = futures_util::future::join_all(guesses).await;
        assert_eq!(tried.get(), room);
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), room);
    }
}

/// Sixty colleagues behind one address, after a restart: nobody is refused, and a few wait a moment.
#[tokio::test]
async fn whoever_is_right_beside_many_others_waits_and_is_not_refused() {
    let limits = limits();
    let logins = (0..200).map(|count| {
        let limits = &limits;
        async move {
            let credential = login(&format!("ann{count}"), "right");
            let address = Some(HERE.parse().unwrap());
            let admission = limits.admit(address, credential.attempt(), at(0)).await.unwrap();
            tokio::task::yield_now().await;
            admission.accepted();
        }
    });
    futures_util::future::join_all(logins).await;
    assert_eq!(limits.0.as_ref().unwrap().ledger.remembered(), [0, 0, 0]);
}

#[test]
fn no_more_than_so_many_wait() {
    let (limits, address) = (limits(), Some(HERE.parse().unwrap()));
    let logins: Vec<_> =
        (0..MAX_WAITING + 10).map(|count| login("ann", &count.to_string())).collect();
    let mut admitted = Vec::new();
    let mut waiting = Vec::new();
    for login in &logins {
        let mut attempt = Box::pin(limits.admit(address, login.attempt(), at(0)));
        match attempt.as_mut().now_or_never() {
            Some(Ok(admission)) => admitted.push(admission),
            Some(Err(limited)) => assert_eq!(limited.retry_after, Duration::from_secs(1)),
            None => waiting.push(attempt),
        }
    }
    assert_eq!((admitted.len(), waiting.len()), (3, MAX_WAITING));
}

/// What is sent at once is one guess, and counts as often as it was sent: against the caller alone, who
/// cannot lock the owner of the account out elsewhere, nor the neighbours.
#[test]
fn equal_passwords_at_once_are_one_guess_and_count_each_for_that_pair_alone() {
    let (limits, address) = (limits(), Some(HERE.parse().unwrap()));
    let wrong = login("ann", "wrong");
    let flight: Vec<_> =
        (0..1_000).map(|_| limits.admits(address, &wrong, at(0)).unwrap()).collect();
    for admission in flight {
        admission.rejected(at(0));
    }
    // Once more for free, as the second half of one of them.
    limits.admits(address, &wrong, at(0)).unwrap().rejected(at(0));
    let limited = limits.admits(address, &wrong, at(0)).unwrap_err();
    assert_eq!(limited.by, "for this account from this address");
    assert_eq!(limited.retry_after, Duration::from_secs(600 + 20), "and no longer");

    assert!(limits.admits(Some("192.0.2.2".parse().unwrap()), &wrong, at(0)).is_ok());
    let neighbours = tries(&limits, |count| (HERE.to_owned(), format!("bob{count}")), at(0));
    assert_eq!(neighbours, 5 - 3);
    let counters = limits.0.as_ref().unwrap();
    let left = counters.ledger.left_of_account(&counters.keys(address, wrong.attempt()), at(0));
    assert_eq!(left, 8 - 3 - 1, "one that was dropped above");
}

/// However long somebody guesses from one address, the owner logs in from another.
#[test]
fn one_address_cannot_lock_an_account_for_others() {
    let (limits, mut password) = (limits(), 0);
    for second in 0..3_600 {
        let _ = fail(&limits, HERE, "ann", &mut password, at(second));
    }
    let elsewhere = Some("192.0.2.2".parse().unwrap());
    limits.admits(elsewhere, &login("ann", "right"), at(3_600)).unwrap().accepted();
}

/// Who is asked matters: two lists of accounts may know the same name.
#[test]
fn an_account_of_the_same_name_elsewhere_is_another() {
    let (limits, address) = (limits(), Some(HERE.parse().unwrap()));
    let password = "right".into();
    let of = |realm| Attempt::Password { realm, account: "ann", password: &password };
    let admit = |realm| limits.admit(address, of(realm), at(0)).now_or_never().unwrap().unwrap();
    admit("one").accepted();
    let standings = ["one", "other"].map(|realm| {
        let admission = admit(realm);
        let queue_class = admission.queue_class();
        admission.withdraw();
        queue_class
    });
    assert_eq!(standings, [QueueClass::Proved, QueueClass::Unproved]);
}

#[test]
fn a_clock_that_is_set_back_locks_nobody_out_for_long() {
    let (limits, mut password) = (limits(), 0);
    let day = 24 * 60 * 60;
    for _ in 0..3 {
        fail(&limits, HERE, "ann", &mut password, at(day)).unwrap();
    }
    let limited = fail(&limits, HERE, "ann", &mut password, at(0)).unwrap_err();
    assert!(limited.retry_after <= Duration::from_secs(620), "{limited}");
    assert!(limits.0.as_ref().unwrap().proved.is_empty());
}

#[test]
fn memory_is_bounded_and_who_failed_most_is_forgotten_last() {
    let (limits, mut password) = (limits(), 0);
    for _ in 0..3 {
        fail(&limits, HERE, "ann", &mut password, at(0)).unwrap();
    }
    let spray =
        |count: u32| (format!("198.51.{}.{}", count / 250, count % 250), format!("bob{count}"));
    for count in 0..5_000 {
        let (address, account) = spray(count);
        let _ = fail(&limits, &address, &account, &mut password, at(0));
    }
    let counters = limits.0.as_ref().unwrap();
    for remembered in counters.ledger.remembered() {
        assert!(remembered <= SETTINGS.entries, "{remembered}");
    }
    assert!(counters.halves.len() <= 2 * SETTINGS.entries, "{}", counters.halves.len());
    assert!(fail(&limits, HERE, "ann", &mut password, at(0)).is_err());
}

#[test]
fn neither_names_nor_passwords_show_in_debug() {
    let limits = limits();
    let admission = limits.admits(Some(HERE.parse().unwrap()), &login("ann", "hunter2"), at(0));
    let shown = format!("{limits:?} {admission:?}");
    assert!(!shown.contains("ann") && !shown.contains("hunter2"), "{shown}");
}

proptest! {
    /// One at a time, no caller fails more often than the burst and what has dripped since.
    #[test]
    fn no_more_failures_are_admitted_than_the_quota_allows(
        pauses in prop::collection::vec(0_u64..30, 1..200),
    ) {
        let (limits, mut password) = (limits(), 0);
        let (mut seconds, mut admitted) = (0, 0);
        for pause in pauses {
            seconds += pause;
            if fail(&limits, HERE, "ann", &mut password, at(seconds)).is_ok() {
                admitted += 1;
            }
            prop_assert!(admitted <= 3 + seconds / 20, "{} in {} s", admitted, seconds);
        }
        prop_assert!(admitted > seconds / 60);
    }
}

#[test]
fn who_was_right_from_here_within_a_day_is_known_and_nobody_else_is() {
    let limits = limits();
    let queue_class = |address: &str, account: &str, password: &str, now: SystemTime| {
        let (address, credential) = (address.parse().unwrap(), login(account, password));
        let admission = limits.admits(Some(address), &credential, now).unwrap();
        let queue_class = admission.queue_class();
        admission.withdraw();
        queue_class
    };
    assert_eq!(queue_class(HERE, "ann", "right", at(0)), QueueClass::Unproved);
    let (here, right) = (Some(HERE.parse().unwrap()), login("ann", "right"));
    limits.admits(here, &right, at(0)).unwrap().accepted();
    assert_eq!(queue_class(HERE, "ann", "right", at(1)), QueueClass::Proved);
    // The password does not matter: it is not known to be right before it was hashed.
    assert_eq!(queue_class(HERE, "ann", "other", at(1)), QueueClass::Proved);
    assert_eq!(queue_class(HERE, "bob", "right", at(1)), QueueClass::Unproved);
    assert_eq!(queue_class("192.0.2.2", "ann", "right", at(1)), QueueClass::Unproved);
    assert_eq!(queue_class(HERE, "ann", "right", at(86_400)), QueueClass::Unproved);
    let nobody_counts = Limits::off();
    let admission = nobody_counts.admits(here, &right, at(0)).unwrap();
    assert_eq!(admission.queue_class(), QueueClass::Unproved);
}
