use base64::prelude::*;
use portpass_jose::{Certificate, KeyIdForm};
use portpass_token::{Audience, Claims, Issuer, NumericDate, ServiceName, Verifier};
use tempfile::TempDir;

use super::{super::issue, *};
use crate::keyring::{KeyRing, Phase};

const LIFETIME: Duration = Duration::from_mins(5);

/// Seconds since the start, far from any real date.
fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000) + Duration::from_secs(seconds)
}

/// A key, its certificate, and both as files have them.
struct Pair {
    id: String,
    key: String,
    certificate: String,
}

impl Pair {
    /// Of a certificate that begins a day before.
    fn made(now: SystemTime) -> Self {
        let (key, certificate) = issue::root(now).unwrap();
        Self::of(&key, &certificate)
    }

    fn of(key: &SigningKey, certificate: &Certificate) -> Self {
        let text = BASE64_STANDARD.encode(key.to_pkcs8().unwrap());
        Self {
            id: key.id().to_string(),
            key: format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n"),
            certificate: certificate.to_pem(),
        }
    }
}

struct Bench {
    folder: TempDir,
    db: Db,
}

impl Bench {
    async fn new(pair: &Pair) -> Self {
        let bench =
            Self { folder: tempfile::tempdir().unwrap(), db: Db::in_memory().await.unwrap() };
        bench.put(pair, 0);
        bench
    }

    fn files(&self) -> KeyFiles {
        let [certificate, key] = ["tls.crt", "tls.key"].map(|name| self.folder.path().join(name));
        KeyFiles { certificate, key, algorithm: None }
    }

    async fn open(&self, now: SystemTime) -> KeyRing {
        let files = self.files();
        let signing = Arc::new(files.read().unwrap());
        let pairs = vec![KeyPair { files, signing }];
        let parts = FileRingParts { pairs, db: self.db.clone(), token_lifetime: LIFETIME };
        KeyRing::from_files(parts, now).await.unwrap()
    }

    fn put(&self, pair: &Pair, second: u64) {
        self.write("tls.key", &pair.key, second);
        self.write("tls.crt", &pair.certificate, second);
    }

    /// At a time of its own: a test is faster than the times of files.
    fn write(&self, name: &str, text: &str, second: u64) {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(at(second)).unwrap();
    }
}

fn token(keys: &KeyRing, form: KeyIdForm, now: SystemTime) -> String {
    let claims = Claims {
        issuer: Issuer::new("dtest"),
        subject: "ann".to_owned(),
        audience: Audience::one(ServiceName::new("registry")),
        expires: NumericDate::from(now + LIFETIME),
        not_before: None,
        issued_at: None,
        id: None,
        access: portpass_protocol::AccessSet::new(),
    };
    keys.current().mint(Signer::default(), form, &claims).unwrap()
}

fn registry(keys: &KeyRing) -> Arc<Verifier> {
    let verifier = Arc::new(Verifier::new("dtest", "registry", keys.current().trust()));
    keys.trusted_by(Arc::clone(&verifier));
    verifier
}

fn signing(keys: &KeyRing) -> String {
    keys.current().signing(Signer::default()).unwrap().id().to_string()
}

#[tokio::test]
async fn a_replaced_pair_signs_and_what_the_old_one_signed_counts_until_it_ends() {
    let (old, new) = (Pair::made(at(0)), Pair::made(at(0)));
    let bench = Bench::new(&old).await;
    let keys = bench.open(at(0)).await;
    let verifier = registry(&keys);
    let forms = [KeyIdForm::X5c, KeyIdForm::Rfc7638, KeyIdForm::Libtrust];
    keys.tick(at(5)).await.unwrap();
    let before = keys.current();
    keys.tick(at(10)).await.unwrap();
    assert!(Arc::ptr_eq(&before, &keys.current()), "nothing has changed");
    let tokens = forms.map(|form| token(&keys, form, at(10)));

    bench.put(&new, 11);
    keys.tick(at(15)).await.unwrap();
    assert_eq!(signing(&keys), new.id);
    let published = keys.current().published().keys.clone();
    let [first, second] = published.as_slice() else { panic!("{published:?}") };
    let needed = at(15) + LIFETIME + 2 * portpass_token::verifier::LEEWAY;
    assert_eq!(
        (first.id.as_str(), first.phase),
        (&*old.id, Some(Phase::Retired { until: needed }))
    );
    assert_eq!((second.id.as_str(), second.phase), (&*new.id, None));
    assert_eq!(keys.current().bundle(), format!("{}{}", old.certificate, new.certificate));
    for (form, token) in forms.iter().zip(&tokens) {
        assert!(verifier.verify(token, at(20)).is_ok(), "{form:?}");
    }
    for form in forms {
        assert!(verifier.verify(&token(&keys, form, at(20)), at(20)).is_ok(), "{form:?}");
    }

    // A restart forgets nothing, and when nobody needs the old one any more, it is forgotten.
    let again = bench.open(at(16)).await;
    assert_eq!(again.current().published().keys.len(), 2);
    assert!(registry(&again).verify(&tokens[0], at(20)).is_ok());
    keys.tick(needed).await.unwrap();
    assert_eq!(keys.current().published().keys.len(), 2);
    keys.tick(needed + Duration::from_secs(1)).await.unwrap();
    assert_eq!(keys.current().published().keys.len(), 1);
    assert!(verifier.verify(&tokens[0], at(20)).is_err(), "nobody vouches for it any more");
    assert_eq!(bench.db.key_files().await.unwrap().len(), 1);
}

/// Two files cannot change at once.
#[tokio::test]
async fn a_pair_that_cannot_be_used_leaves_the_old_one_and_is_tried_again() {
    let (old, new) = (Pair::made(at(0)), Pair::made(at(0)));
    let bench = Bench::new(&old).await;
    let keys = bench.open(at(0)).await;
    let half = &new.key[..new.key.len() / 2];
    for (second, (name, text)) in
        (1..).zip([("tls.key", half), ("tls.key", &*new.key), ("tls.crt", ""), ("tls.crt", "x")])
    {
        bench.write(name, text, second);
        keys.tick(at(second)).await.unwrap();
        assert_eq!(signing(&keys), old.id, "{name}: {text}");
        keys.ready(Signer::default(), KeyIdForm::X5c, at(second)).await.unwrap();
    }
    fs::remove_file(bench.files().certificate).unwrap();
    keys.tick(at(9)).await.unwrap();
    assert_eq!(signing(&keys), old.id);
    // With the very stamp that the broken one had: it is read again all the same.
    bench.write("tls.crt", &new.certificate, 4);
    keys.tick(at(10)).await.unwrap();
    assert_eq!(signing(&keys), new.id);
}

#[tokio::test]
async fn a_pair_that_was_replaced_while_nobody_looked_still_counts() {
    let (old, new) = (Pair::made(at(0)), Pair::made(at(0)));
    let bench = Bench::new(&old).await;
    let token = token(&bench.open(at(0)).await, KeyIdForm::X5c, at(0));
    bench.put(&new, 1);
    let keys = bench.open(at(100)).await;
    assert_eq!(signing(&keys), new.id);
    assert!(registry(&keys).verify(&token, at(100)).is_ok());
    let trail = bench.db.latest_audit(10).await.unwrap();
    let ids: Vec<_> = trail.iter().map(|entry| entry.record.object.clone().unwrap()).collect();
    assert_eq!(ids, [new.id, old.id]);
}

/// One key, two certificates: tokens carry the one that held when they were signed.
#[tokio::test]
async fn a_renewed_certificate_of_the_same_key_leaves_the_old_tokens() {
    let (key, certificate) = issue::root(at(0)).unwrap();
    let bench = Bench::new(&Pair::of(&key, &certificate)).await;
    let keys = bench.open(at(0)).await;
    let verifier = registry(&keys);
    let old = token(&keys, KeyIdForm::X5c, at(0));
    let renewed = issue::root_certificate(&key, at(0), at(50)).unwrap();
    bench.put(&Pair::of(&key, &renewed), 50);
    keys.tick(at(50)).await.unwrap();
    let new = token(&keys, KeyIdForm::X5c, at(50));
    assert_ne!(old.split('.').next(), new.split('.').next());
    for token in [old, new] {
        assert!(verifier.verify(&token, at(60)).is_ok());
    }
}

/// Each pair signs for services of its own, and is watched on its own.
#[tokio::test]
async fn one_pair_of_several_is_replaced() {
    let (first, second, new) = (Pair::made(at(0)), Pair::made(at(0)), Pair::made(at(0)));
    let bench = Bench::new(&first).await;
    bench.write("second.key", &second.key, 0);
    bench.write("second.crt", &second.certificate, 0);
    let path = |name: &str| bench.folder.path().join(name);
    let [one, other] = [("tls.crt", "tls.key"), ("second.crt", "second.key")]
        .map(|(certificate, key)| (path(certificate), path(key)));
    let pair = |(certificate, key): &(PathBuf, PathBuf)| {
        let files =
            KeyFiles { certificate: certificate.clone(), key: key.clone(), algorithm: None };
        KeyPair { signing: Arc::new(files.read().unwrap()), files }
    };
    let pairs = vec![pair(&one), pair(&other)];
    let parts = FileRingParts { pairs, db: bench.db.clone(), token_lifetime: LIFETIME };
    let keys = KeyRing::from_files(parts, at(0)).await.unwrap();
    let ids = || keys.current().all_signing().map(|key| key.id().to_string()).collect::<Vec<_>>();
    assert_eq!(ids(), [first.id.as_str(), &second.id]);
    assert_eq!(bench.db.key_files().await.unwrap().len(), 2);

    bench.write("second.key", &new.key, 5);
    keys.tick(at(5)).await.unwrap();
    assert_eq!(ids(), [first.id.as_str(), &second.id], "the other half is not there yet");
    bench.write("second.crt", &new.certificate, 6);
    keys.tick(at(6)).await.unwrap();
    assert_eq!(ids(), [first.id.as_str(), &new.id]);
    let published = keys.current().published().keys.clone();
    let retired = published.iter().filter(|key| key.phase.is_some());
    assert_eq!(retired.map(|key| key.id.as_str()).collect::<Vec<_>>(), [&second.id]);
    let trail = bench.db.latest_audit(10).await.unwrap();
    let promoted: Vec<_> =
        trail.iter().filter_map(|entry| entry.record.object.as_deref()).collect();
    assert_eq!(promoted[0], new.id);
    assert_eq!(promoted.len(), 3, "the one that stays is not promoted again");
}

/// Somebody puts next year's certificate there too early.
#[tokio::test]
async fn a_certificate_that_does_not_hold_yet_waits_for_its_time() {
    let old = Pair::made(at(0));
    let bench = Bench::new(&old).await;
    let keys = bench.open(at(0)).await;
    let two_days = 2 * 24 * 60 * 60;
    let new = Pair::made(at(two_days));
    bench.put(&new, 1);
    keys.tick(at(5)).await.unwrap();
    assert_eq!(signing(&keys), old.id);
    keys.tick(at(two_days)).await.unwrap();
    assert_eq!(signing(&keys), new.id);
}
