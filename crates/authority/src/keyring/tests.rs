use std::time::Duration;

use portpass_jose::{Algorithm, CertificateChain, KeyIdForm, KeySet, TrustRoots};
use portpass_state::{KeyRole, KeyRow};
use portpass_token::{
    Audience, Claims, Issuer, NumericDate, ServiceName, SystemRandom, Trust, Verifier,
    VerifierSettings,
};
use zeroize::Zeroizing;

use super::*;

mod several;

const DAY: Duration = Duration::from_hours(24);
const LIFETIME: Duration = Duration::from_mins(5);

/// Days since the start, far from any real date.
fn day(days: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000 + 24 * days)
}

fn parts(db: &Db, algorithm: Algorithm) -> KeyRingParts {
    KeyRingParts {
        db: db.clone(),
        seal: SealKey::new(&Zeroizing::new([7; 32])).unwrap(),
        schedules: Schedules::new(algorithm, [], LIFETIME),
        random: Arc::new(SystemRandom),
    }
}

async fn open(db: &Db) -> KeyRing {
    KeyRing::open(parts(db, Algorithm::Es256), day(0)).await.unwrap()
}

fn claims(now: SystemTime) -> Claims {
    Claims {
        issuer: Issuer::new("dtest"),
        subject: "ann".to_owned(),
        audience: Audience::one(ServiceName::new("token-service")),
        expires: NumericDate::from(now + LIFETIME),
        not_before: Some(NumericDate::from(now - Duration::from_mins(1))),
        issued_at: Some(NumericDate::from(now)),
        id: None,
        access: portpass_protocol::AccessSet::new(),
    }
}

fn registry(trust: Trust) -> Verifier {
    let settings = VerifierSettings::new(Issuer::new("dtest"), ServiceName::new("token-service"));
    Verifier::with_settings(settings, trust)
}

/// A registry that read its bundle file once.
fn registry_of_bundle(pem: &str) -> Verifier {
    registry(Trust::new(TrustRoots::from_pem(pem).unwrap(), KeySet::new()))
}

/// The default.
fn signing(ring: &Ring) -> &SigningKey {
    ring.signing(Signer::default()).unwrap()
}

fn phases(ring: &Ring) -> Vec<&'static str> {
    let word = |key: &PublishedKey| match key.phase {
        None => "fixed",
        Some(Phase::Announced { .. }) => "announced",
        Some(Phase::Signing { .. }) => "signing",
        Some(Phase::Retired { .. }) => "retired",
    };
    ring.published().keys.iter().map(word).collect()
}

#[tokio::test]
async fn the_first_start_makes_a_root_for_ten_years_and_a_key_that_signs() {
    let db = Db::in_memory().await.unwrap();
    assert!(Published::read(&db).await.unwrap().is_none());
    let ring = open(&db).await.current();
    assert_eq!(phases(&ring), ["signing"]);

    let root = ring.published().root.clone().unwrap();
    assert!(root.is_authority());
    assert_eq!(root.key().algorithms(), Algorithm::Es256.into());
    let years = root.not_after().duration_since(day(0)).unwrap().as_secs() / (365 * DAY).as_secs();
    assert_eq!(years, 10);

    let leaf = signing(&ring).chain().unwrap().leaf().clone();
    assert!(!leaf.is_authority());
    assert_eq!(leaf.issuer(), root.subject());
    assert_eq!(leaf.not_before(), day(0) - DAY);
    assert_eq!(ring.published().keys[0].certificate.as_ref(), Some(&leaf));
    // The same ring after a restart.
    let again = open(&db).await.current();
    assert_eq!(signing(&again).id(), signing(&ring).id());
    assert_eq!(again.jwks_tag(), ring.jwks_tag());
}

/// JW13, JW14
#[tokio::test]
async fn a_registry_takes_the_tokens_of_the_ring_by_root_bundle_or_jwks() {
    for algorithm in [
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Es512,
        Algorithm::EdDsa,
        Algorithm::Rs256,
        Algorithm::Ps256,
    ] {
        let db = Db::in_memory().await.unwrap();
        let ring = KeyRing::open(parts(&db, algorithm), day(0)).await.unwrap().current();
        let root = ring.published().root.as_ref().unwrap().to_pem();
        let jwks = KeySet::from_jwks(std::str::from_utf8(&ring.jwks()).unwrap()).unwrap();
        let by_root = registry_of_bundle(&root);
        let by_bundle = registry_of_bundle(&ring.bundle());
        let by_jwks = registry(Trust::new(TrustRoots::none(), jwks));
        let beside = registry(ring.trust());
        let token = |form| ring.mint(Signer::default(), form, &claims(day(0))).unwrap();
        for form in [KeyIdForm::X5c, KeyIdForm::Rfc7638, KeyIdForm::Libtrust] {
            let by_id = form != KeyIdForm::X5c;
            let in_bundle = !by_id || algorithm != Algorithm::EdDsa;
            assert!(beside.verify(&token(form), day(0)).is_ok(), "{algorithm} {form:?}");
            assert_eq!(
                by_root.verify(&token(form), day(0)).is_ok(),
                !by_id,
                "{algorithm} {form:?}"
            );
            assert_eq!(by_bundle.verify(&token(form), day(0)).is_ok(), in_bundle, "{algorithm}");
            assert_eq!(by_jwks.verify(&token(form), day(0)).is_ok(), by_id, "{algorithm}");
        }
    }
}

/// The bundle: root, then the announced and signing leaves that every registry reads.
#[tokio::test]
async fn the_bundle_holds_what_registries_need_and_nothing_that_one_cannot_read() {
    let db = Db::in_memory().await.unwrap();
    let keys = open(&db).await;
    let count =
        |ring: &Ring| CertificateChain::from_pem(&ring.bundle()).unwrap().certificates().len();
    assert_eq!(count(&keys.current()), 2);
    keys.tick(day(84)).await.unwrap();
    assert_eq!(phases(&keys.current()), ["signing", "announced"]);
    assert_eq!(count(&keys.current()), 3);
    keys.tick(day(92)).await.unwrap();
    assert_eq!(phases(&keys.current()), ["retired", "signing"]);
    assert_eq!(count(&keys.current()), 2);

    let db = Db::in_memory().await.unwrap();
    let edwards = KeyRing::open(parts(&db, Algorithm::EdDsa), day(0)).await.unwrap();
    let bundle = CertificateChain::from_pem(&edwards.current().bundle()).unwrap();
    assert_eq!(bundle.certificates(), [edwards.current().published().root.clone().unwrap()]);
}

/// A registry that trusts the root follows every rotation without being touched, and no token is
/// refused on the way, whichever day it is signed.
#[tokio::test]
async fn rotation_reaches_a_registry_that_read_its_bundle_once() {
    let db = Db::in_memory().await.unwrap();
    let keys = open(&db).await;
    let registry = registry_of_bundle(&keys.current().published().root.as_ref().unwrap().to_pem());
    let mut signers = Vec::new();
    for days in 0..400 {
        let now = day(days);
        keys.tick(now).await.unwrap();
        let ring = keys.current();
        let token = ring.mint(Signer::default(), KeyIdForm::X5c, &claims(now)).unwrap();
        let last = now + LIFETIME + portpass_token::verifier::LEEWAY;
        keys.tick(last).await.unwrap();
        assert!(registry.verify(&token, now).is_ok(), "day {days}");
        assert!(registry.verify(&token, last).is_ok(), "day {days}");
        assert!(registry_by_id(&keys).verify(&by_id(&ring, now), last).is_ok(), "day {days}");
        if signers.last() != Some(signing(&ring).id()) {
            signers.push(signing(&ring).id().clone());
        }
    }
    assert_eq!(signers.len(), 5, "a new key every ninety days");
    assert!(keys.current().published().keys.len() <= 2, "old keys are forgotten");
    let trail = db.latest_audit(100).await.unwrap();
    let count = |action| trail.iter().filter(|entry| entry.record.action == action).count();
    assert_eq!(count("root-key-made"), 1);
    assert_eq!(count("signing-key-promoted"), 5);
    assert_eq!(count("signing-key-forgotten"), 4);
}

fn registry_by_id(keys: &KeyRing) -> Verifier {
    registry(keys.current().trust())
}

fn by_id(ring: &Ring, now: SystemTime) -> String {
    ring.mint(Signer::default(), KeyIdForm::Rfc7638, &claims(now)).unwrap()
}

#[tokio::test]
async fn a_service_that_slept_for_years_signs_what_holds() {
    let db = Db::in_memory().await.unwrap();
    let first = open(&db).await.current();
    let registry = registry_of_bundle(&first.published().root.as_ref().unwrap().to_pem());
    let late = KeyRing::open(parts(&db, Algorithm::Es256), day(2000)).await.unwrap().current();
    assert_ne!(signing(&late).id(), signing(&first).id());
    let token = late.mint(Signer::default(), KeyIdForm::X5c, &claims(day(2000))).unwrap();
    assert!(registry.verify(&token, day(2000)).is_ok());
}

/// A machine that wakes up with its clock years ahead, serves, and is then told the right time: whatever
/// was made meanwhile has certificates that nobody takes yet.
#[tokio::test]
async fn a_clock_that_was_ahead_and_is_set_right_leaves_no_token_that_is_refused() {
    for ahead in [3, 85, 95, 200, 4000, 9000] {
        let db = Db::in_memory().await.unwrap();
        let keys = open(&db).await;
        let registry =
            registry_of_bundle(&keys.current().published().root.as_ref().unwrap().to_pem());
        keys.tick(day(ahead)).await.unwrap();
        keys.rotate(None, day(ahead)).await.unwrap();
        keys.tick(day(ahead + 84)).await.unwrap();

        // Set right while it runs; asked before anything looked at the ring, and afterwards.
        let ring = keys.ready(Signer::default(), KeyIdForm::X5c, day(1)).await.unwrap();
        let token = ring.mint(Signer::default(), KeyIdForm::X5c, &claims(day(1))).unwrap();
        assert_eq!(registry.verify(&token, day(1)).map(|_| ()), Ok(()), "{ahead} days ahead");
        keys.tick(day(1)).await.unwrap();
        assert!(Arc::ptr_eq(&ring, &keys.current()), "{ahead}: nothing else was due");

        // And after a restart, with the bundle that is exported then.
        let restarted =
            KeyRing::open(parts(&db, Algorithm::Es256), day(2)).await.unwrap().current();
        assert_eq!(signing(&restarted).id(), signing(&ring).id(), "{ahead}");
        let token = restarted.mint(Signer::default(), KeyIdForm::X5c, &claims(day(2))).unwrap();
        for registry in [registry, registry_of_bundle(&restarted.bundle())] {
            assert!(registry.verify(&token, day(2)).is_ok(), "{ahead} days ahead");
        }
        let retired = phases(&restarted).iter().filter(|phase| **phase == "retired").count();
        let forgotten =
            KeyRing::open(parts(&db, Algorithm::Es256), day(3)).await.unwrap().current();
        assert!(phases(&forgotten).len() <= phases(&restarted).len() - retired, "{ahead}");
    }
}

/// The first start before the time was fetched, with a clock that is ahead or behind.
#[tokio::test]
async fn a_ring_that_was_made_at_a_wrong_time_signs_what_holds() {
    for made in [0, 5000, 20_000] {
        let db = Db::in_memory().await.unwrap();
        let keys = KeyRing::open(parts(&db, Algorithm::Es256), day(made)).await.unwrap();
        let root = keys.current().published().root.clone().unwrap();
        let now = day(10_000);
        let ring = keys.ready(Signer::default(), KeyIdForm::X5c, now).await.unwrap();
        let renewed = ring.published().root.clone().unwrap();
        assert_eq!((renewed.subject(), renewed.key()), (root.subject(), root.key()));
        let token = ring.mint(Signer::default(), KeyIdForm::X5c, &claims(now)).unwrap();
        for registry in [registry_of_bundle(&renewed.to_pem()), registry(ring.trust())] {
            assert!(registry.verify(&token, now).is_ok(), "made on day {made}");
        }
    }
}

/// A bundle that was exported while the clock was ahead is good afterwards.
#[tokio::test]
async fn a_root_that_is_renewed_by_a_clock_that_is_ahead_holds_today() {
    let db = Db::in_memory().await.unwrap();
    let keys = open(&db).await;
    keys.tick(day(4000)).await.unwrap();
    let registry = registry_of_bundle(&keys.current().published().root.as_ref().unwrap().to_pem());
    let ring = keys.ready(Signer::default(), KeyIdForm::X5c, day(1)).await.unwrap();
    let token = ring.mint(Signer::default(), KeyIdForm::X5c, &claims(day(1))).unwrap();
    assert!(registry.verify(&token, day(1)).is_ok());
}

/// Its key and name stay, so registries with the old certificate notice nothing until it ends.
#[tokio::test]
async fn the_root_certificate_is_renewed_a_year_before_it_ends() {
    let db = Db::in_memory().await.unwrap();
    let keys = open(&db).await;
    let old = keys.current().published().root.clone().unwrap();
    let by_old = registry_of_bundle(&old.to_pem());
    keys.tick(day(9 * 365)).await.unwrap();
    assert_eq!(keys.current().published().root.as_ref(), Some(&old));

    let late = day(9 * 365 + 10);
    keys.tick(late).await.unwrap();
    let new = keys.current().published().root.clone().unwrap();
    assert_eq!((new.subject(), new.key()), (old.subject(), old.key()));
    assert!(new.not_after() > old.not_after() + 8 * 365 * DAY);
    keys.rotate(None, late).await.unwrap();
    let token = keys.current().mint(Signer::default(), KeyIdForm::X5c, &claims(late)).unwrap();
    assert!(by_old.verify(&token, late).is_ok());
    let by_both = registry_of_bundle(&(old.to_pem() + &new.to_pem()));
    assert!(by_both.verify(&token, late).is_ok());

    let after = day(11 * 365);
    keys.tick(after).await.unwrap();
    let token = keys.current().mint(Signer::default(), KeyIdForm::X5c, &claims(after)).unwrap();
    assert_eq!(by_old.verify(&token, after).unwrap_err().id(), "chain-expired");
    assert!(by_both.verify(&token, after).is_ok(), "the old one does not spoil the new");
}

#[tokio::test]
async fn another_algorithm_comes_by_rotation() {
    let db = Db::in_memory().await.unwrap();
    open(&db).await;
    let keys = KeyRing::open(parts(&db, Algorithm::EdDsa), day(1)).await.unwrap();
    assert_eq!(signing(&keys.current()).algorithm(), Algorithm::Es256);
    assert_eq!(phases(&keys.current()), ["signing", "announced"]);
    keys.tick(day(9)).await.unwrap();
    assert_eq!(signing(&keys.current()).algorithm(), Algorithm::EdDsa);
}

#[tokio::test]
async fn a_rotation_that_is_asked_for_takes_place_at_once() {
    let db = Db::in_memory().await.unwrap();
    let keys = open(&db).await;
    let mut changes = keys.subscribe();
    let before = keys.current();
    keys.rotate(None, day(1)).await.unwrap();
    let after = keys.current();
    assert_eq!(phases(&after), ["retired", "signing"]);
    assert_ne!(signing(&after).id(), signing(&before).id());
    assert_ne!(after.jwks_tag(), before.jwks_tag());
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();

    // Tokens of the old key hold until they end, and not for long after.
    let token = by_id(&before, day(1));
    assert!(registry_by_id(&keys).verify(&token, day(1) + LIFETIME).is_ok());
    keys.tick(day(1)).await.unwrap();
    assert!(!changes.has_changed().unwrap(), "nothing was due");
    keys.tick(day(2)).await.unwrap();
    assert!(changes.has_changed().unwrap());
    assert_eq!(phases(&keys.current()), ["signing"]);

    // The announced one is used if there is one.
    keys.tick(day(85)).await.unwrap();
    let announced = keys.current().published().keys[1].id.clone();
    keys.rotate(None, day(86)).await.unwrap();
    assert_eq!(*signing(&keys.current()).id(), announced);
}

/// Tokens signed just before a rotation, just after it and while it takes place hold at the registry
/// beside, however they name their key.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_token_is_refused_because_its_key_is_too_new_or_too_old() {
    let db = Db::in_memory().await.unwrap();
    let keys = Arc::new(open(&db).await);
    let verifier = Arc::new(registry(Trust::new(TrustRoots::new(Vec::new()), KeySet::new())));
    keys.trusted_by(verifier.clone());
    let rotating = tokio::spawn({
        let keys = keys.clone();
        async move {
            for _ in 0..30 {
                keys.rotate(None, day(1)).await.unwrap();
            }
        }
    });
    let mut signers = tokio::task::JoinSet::new();
    for form in [KeyIdForm::X5c, KeyIdForm::Libtrust, KeyIdForm::Rfc7638] {
        let (keys, verifier, rotating) = (keys.clone(), verifier.clone(), rotating.abort_handle());
        signers.spawn(async move {
            let mut before = keys.current().mint(Signer::default(), form, &claims(day(1))).unwrap();
            let mut signed = 0;
            while !rotating.is_finished() {
                let now = keys.current().mint(Signer::default(), form, &claims(day(1))).unwrap();
                for token in [&before, &now] {
                    assert!(verifier.verify(token, day(1)).is_ok(), "{form:?}");
                }
                before = now;
                signed += 1;
            }
            signed
        });
    }
    while let Some(signed) = signers.join_next().await {
        assert!(signed.unwrap() > 30);
    }
    rotating.await.unwrap();
}

/// Two processes on one database: one of them makes each key, and both use it.
#[tokio::test]
async fn whoever_loses_a_race_takes_the_winners_ring() {
    let db = Db::in_memory().await.unwrap();
    let (one, other) = tokio::join!(open(&db), open(&db));
    assert_eq!(signing(&one.current()).id(), signing(&other.current()).id());
    assert_eq!(one.current().published().root, other.current().published().root);

    for days in [84, 92, 93, 180] {
        let (first, second) = tokio::join!(one.tick(day(days)), other.tick(day(days)));
        first.unwrap();
        second.unwrap();
        let (one, other) = (one.current(), other.current());
        assert_eq!(signing(&one).id(), signing(&other).id(), "day {days}");
        assert_eq!(one.published().version, other.published().version, "day {days}");
    }
    let trail = db.latest_audit(100).await.unwrap();
    let made = trail.iter().filter(|entry| entry.record.action == "root-key-made").count();
    assert_eq!(made, 1);

    one.rotate(None, day(181)).await.unwrap();
    assert_ne!(signing(&one.current()).id(), signing(&other.current()).id());
    other.tick(day(181)).await.unwrap();
    assert_eq!(signing(&one.current()).id(), signing(&other.current()).id());
}

#[tokio::test]
async fn what_the_database_holds_is_of_no_use_without_the_seal_key() {
    let db = Db::in_memory().await.unwrap();
    let keys = open(&db).await;
    let rows = db.key_ring().await.unwrap().keys;
    let secret = signing(&keys.current()).to_pkcs8().unwrap();
    let needle = &secret[secret.len() - 16..];
    for row in &rows {
        assert!(!row.sealed.windows(16).any(|window| window == needle));
    }
    let mut wrong = parts(&db, Algorithm::Es256);
    wrong.seal = SealKey::new(&Zeroizing::new([8; 32])).unwrap();
    let why = KeyRing::open(wrong, day(0)).await.unwrap_err().to_string();
    assert!(why.contains("restore the seal key that belongs to this database"), "{why}");
    // What everybody may see can be read all the same.
    let published = Published::read(&db).await.unwrap().unwrap();
    assert_eq!(published.jwks(), &keys.current().jwks()[..]);
    assert_eq!(published.bundle(), keys.current().bundle());
}

/// A sealed key is bound to its row: swapping the private keys of two rows gives neither.
#[tokio::test]
async fn sealed_keys_cannot_be_swapped() {
    let db = Db::in_memory().await.unwrap();
    open(&db).await;
    let rows = db.key_ring().await.unwrap();
    let mut swapped: Vec<KeyRow> = rows.keys.clone();
    swapped[0].sealed.clone_from(&rows.keys[1].sealed);
    swapped[1].sealed.clone_from(&rows.keys[0].sealed);
    let _ = db.replace_key_ring(rows.version, &swapped, &[]).await.unwrap();
    let why = KeyRing::open(parts(&db, Algorithm::Es256), day(0)).await.unwrap_err();
    assert!(matches!(why, KeyRingError::Seal { why: SealError::Open, .. }), "{why}");
}

#[tokio::test]
async fn a_ring_that_lost_its_root_makes_no_other_in_silence() {
    let db = Db::in_memory().await.unwrap();
    open(&db).await;
    let rows = db.key_ring().await.unwrap();
    let leaves: Vec<_> =
        rows.keys.iter().filter(|row| row.role != KeyRole::Root).cloned().collect();
    let _ = db.replace_key_ring(rows.version, &leaves, &[]).await.unwrap();
    let keys = KeyRing::open(parts(&db, Algorithm::Es256), day(0)).await.unwrap();
    let why = keys.tick(day(85)).await.unwrap_err().to_string();
    assert!(why.starts_with("the key ring has signing keys, but no root"), "{why}");
}

#[tokio::test]
async fn a_key_from_files_never_changes() {
    let db = Db::in_memory().await.unwrap();
    let made = open(&db).await.current();
    let certified = SigningKey::from_der(&signing(&made).to_pkcs8().unwrap(), None)
        .unwrap()
        .with_chain(signing(&made).chain().unwrap().clone())
        .unwrap();
    let keys = KeyRing::fixed(certified);
    let ring = keys.current();
    assert_eq!(phases(&ring), ["fixed"]);
    keys.tick(day(1000)).await.unwrap();
    assert!(Arc::ptr_eq(&ring, &keys.current()));
    assert!(matches!(keys.rotate(None, day(0)).await, Err(KeyRingError::Fixed)));

    // The bundle is the certificate itself, and nobody else that its issuer vouches for is trusted.
    let outside = registry_of_bundle(&ring.bundle());
    for form in [KeyIdForm::X5c, KeyIdForm::Rfc7638, KeyIdForm::Libtrust] {
        let token = ring.mint(Signer::default(), form, &claims(day(0))).unwrap();
        assert!(outside.verify(&token, day(0)).is_ok(), "{form:?}");
        assert!(registry_by_id(&keys).verify(&token, day(0)).is_ok(), "{form:?}");
    }
    let db_keys = open(&db).await;
    db_keys.rotate(None, day(0)).await.unwrap();
    let sibling =
        db_keys.current().mint(Signer::default(), KeyIdForm::X5c, &claims(day(0))).unwrap();
    assert!(outside.verify(&sibling, day(0)).is_err());

    // Nothing is signed with it before it holds or when it has ended, unless nobody looks at it.
    for (form, now, signs) in [
        (KeyIdForm::X5c, day(0), true),
        (KeyIdForm::X5c, day(0) - 2 * DAY, false),
        (KeyIdForm::X5c, day(1000), false),
        (KeyIdForm::Libtrust, day(1000), true),
    ] {
        assert_eq!(keys.ready(Signer::default(), form, now).await.is_ok(), signs, "{form:?}");
    }

    let bare = KeyRing::fixed(SigningKey::generate(Algorithm::EdDsa).unwrap()).current();
    assert_eq!(bare.bundle(), "");
    assert!(registry(bare.trust()).verify(&by_id(&bare, day(0)), day(0)).is_ok());
}
