//! Refusals of the htpasswd controller work the same, whoever is named and whatever is stored: what a
//! caller could measure is the same by construction, and nothing here reads a clock.

use std::{fs, num::NonZeroUsize, sync::Arc, time::Duration};

use portpass_password::{
    CredentialCache, Formats, HashPool, HtpasswdFile, Limits, PasswordCheck, cost::Work,
    htpasswd::HtpasswdSettings, pool::PoolSettings,
};
use portpass_registry::{
    AccessController as _, Caller, Credentials,
    controller::{Denial, HtpasswdController},
};

use crate::wardens::{StoppedClock, now, quotable};

/// Every kind of hash that counts, cheap and dear (HT5); `opensesame` but for the last.
const USERS: &str = "\
bcrypt:$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu
apr1:$apr1$1xE0yyFr$BOgI8TVk.iP7HKjZrgHCQ0
sha1:{SHA}F2GPAaOiG5EcklvLUlodIavTBnM=
sha256:$5$EhQl2uqVKKYK75cs$5nrNIRch.H1qVy6Ta3fBzOIbB6EAKndIKBhtqpkIH25
sha512:$6$JAu96dy01u7V9.WV$0nPHD/x4lAY08YA.T6SP7Kja1ygjb8nZYZHchrAv0M5fAmg64qsgUhoYHj8lTdU3RU4NBBwYmGkrs2RMy1QMC0
dear:$6$rounds=20000$5BPhiz6itnwQsLAS$LgSlydHRIidFBE9KPjn542dqzndBeEw89gdnqUBlc/G6zztMZIaPi8RF/vQ7vQcSTFjTGEcQaHskio.DTIpvz0
argon2id:$argon2id$v=19$m=64,t=3,p=1$c29tZXNhbHRzb21lc2FsdA$3d5OJMl9nIPkVTU4F4f1PC+WVfHWgQyNSzSxFKUmAHE
plain:opensesame
";

/// HT7, HT8: known or unknown, of whatever kind, with a hash that counts or one that does not.
#[tokio::test]
async fn every_refusal_works_the_same_for_every_kind_of_hash() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), USERS).unwrap();
    let pool = HashPool::new(PoolSettings { threads: NonZeroUsize::MIN, queue: 8 });
    let settings = HtpasswdSettings { path: file.path().to_owned(), formats: Formats::Legacy };
    let known = HtpasswdFile::open(settings, pool.source(), now()).unwrap();
    assert_eq!(known.warnings().len(), 1, "{:?}", known.warnings());
    let cache = CredentialCache::new([1; 32], NonZeroUsize::MIN, Duration::from_mins(1));
    let controller = HtpasswdController {
        file: Arc::new(known),
        check: PasswordCheck::new(pool.clone(), Arc::new(cache)),
        // More is tried than anybody may.
        limits: Arc::new(Limits::off()),
        realm: quotable("the registry"),
        clock: Arc::new(StoppedClock),
    };
    let refused = async |name: &str, password: &str| {
        let before = pool.work_done();
        let credentials =
            Credentials::Basic { username: name.to_owned(), password: password.into() };
        let caller = Caller { address: None, credentials };
        let denial = controller.authorize(caller).await.unwrap_err();
        assert!(matches!(denial, Denial::WrongPassword { .. }), "{name}: {denial:?}");
        pool.work_done().since(before)
    };
    let unknown = refused("nobody", "wrong").await;
    let expected = Work {
        apr1: 1,
        argon2id: 64 * 3,
        bcrypt: 1 << 5,
        sha256_crypt: 5_000,
        sha512_crypt: 20_000,
    };
    assert_eq!(unknown, expected);
    for line in USERS.lines() {
        let name = line.split(':').next().unwrap();
        for password in ["wrong", "", &"x".repeat(1000)] {
            assert_eq!(refused(name, password).await, unknown, "{name}");
            assert_eq!(refused("", password).await, unknown, "nobody");
        }
    }
    assert_eq!(refused("plain", "opensesame").await, unknown, "a hash that does not count");
}
