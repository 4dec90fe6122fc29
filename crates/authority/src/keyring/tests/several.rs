//! Several algorithms, each for services of its own.

use portpass_jose::Algorithm::{EdDsa, Es256, Rs256};

use super::*;

fn with(db: &Db, default: Algorithm, others: &[Algorithm]) -> KeyRingParts {
    let schedules = Schedules::new(default, others.iter().copied(), LIFETIME);
    KeyRingParts { schedules, ..parts(db, default) }
}

async fn opened(db: &Db, default: Algorithm, others: &[Algorithm], now: SystemTime) -> KeyRing {
    KeyRing::open(with(db, default, others), now).await.unwrap()
}

/// Of each signer, the name of its algorithm and its key.
fn signers(ring: &Ring) -> Vec<(Algorithm, String)> {
    ring.all_signing().map(|key| (key.algorithm(), key.id().to_string())).collect()
}

fn algorithms(ring: &Ring) -> Vec<Algorithm> {
    ring.all_signing().map(SigningKey::algorithm).collect()
}

/// Each algorithm has its own ninety days, and a registry that trusts the root takes the tokens of both on every
/// one of them.
#[tokio::test]
async fn each_algorithm_rotates_on_its_own_and_no_token_is_refused() {
    let db = Db::in_memory().await.unwrap();
    opened(&db, Es256, &[], day(0)).await;
    let keys = opened(&db, Es256, &[Rs256], day(40)).await;
    let registry = registry_of_bundle(&keys.current().published().root.as_ref().unwrap().to_pem());
    let mut seen = [Vec::new(), Vec::new()];
    for days in 40..240 {
        let now = day(days);
        keys.tick(now).await.unwrap();
        let ring = keys.current();
        assert_eq!(algorithms(&ring), [Es256, Rs256], "day {days}");
        let jwks = String::from_utf8(ring.jwks().to_vec()).unwrap();
        for (number, (algorithm, id)) in signers(&ring).into_iter().enumerate() {
            assert!(jwks.contains(&id), "day {days}: {algorithm}");
            let signer = Signer::numbered(number);
            for (form, registry) in
                [(KeyIdForm::X5c, &registry), (KeyIdForm::Rfc7638, &registry_by_id(&keys))]
            {
                let token = ring.mint(signer, form, &claims(now)).unwrap();
                let last = now + LIFETIME + portpass_token::verifier::LEEWAY;
                assert!(registry.verify(&token, last).is_ok(), "day {days}: {algorithm} {form:?}");
            }
            if seen[number].last().is_none_or(|(_, last)| *last != id) {
                seen[number].push((days, id));
            }
        }
    }
    let began = seen.map(|keys| keys.into_iter().map(|(day, _)| day).collect::<Vec<_>>());
    assert_eq!(began, [vec![40, 90, 180], vec![40, 130, 220]]);
}

#[tokio::test]
async fn a_rotation_may_be_of_one_algorithm() {
    let db = Db::in_memory().await.unwrap();
    let keys = opened(&db, Es256, &[EdDsa], day(0)).await;
    let before = signers(&keys.current());
    keys.rotate(Some(EdDsa), day(1)).await.unwrap();
    let after = signers(&keys.current());
    assert_eq!(before[0], after[0]);
    assert_ne!(before[1], after[1]);
    assert_eq!(phases(&keys.current()), ["signing", "retired", "signing"]);
    keys.rotate(None, day(2)).await.unwrap();
    let both = signers(&keys.current());
    assert!(both[0] != after[0] && both[1] != after[1]);
    let why = keys.rotate(Some(Rs256), day(2)).await.unwrap_err().to_string();
    assert_eq!(why, "no service signs by RS256; in use: ES256, EdDSA");
}

/// What nobody uses stays until its ninety days are over: another process may still use it.
#[tokio::test]
async fn an_algorithm_that_no_service_uses_any_more_ends_with_its_key() {
    let db = Db::in_memory().await.unwrap();
    opened(&db, Es256, &[EdDsa], day(0)).await;
    let keys = opened(&db, Es256, &[], day(1)).await;
    assert_eq!(algorithms(&keys.current()), [Es256]);
    assert_eq!(phases(&keys.current()), ["signing", "signing"]);
    assert!(keys.current().signing(Signer::numbered(1)).is_err());
    let other = opened(&db, Es256, &[EdDsa], day(1)).await;
    let version = other.current().published().version;
    keys.tick(day(1)).await.unwrap();
    assert_eq!(keys.current().published().version, version, "neither undoes what the other did");

    keys.tick(day(84)).await.unwrap();
    keys.tick(day(91)).await.unwrap();
    let left: Vec<_> = keys.current().published().keys.iter().map(|key| key.algorithm).collect();
    assert_eq!(left, [Es256, EdDsa, Es256]);
    assert_eq!(phases(&keys.current()), ["retired", "retired", "signing"]);
    keys.tick(day(92)).await.unwrap();
    assert_eq!(phases(&keys.current()), ["signing"]);
}

/// The default of yesterday may be the algorithm of a service today, and signs for the new default meanwhile.
#[tokio::test]
async fn the_default_changes_and_the_services_keep_their_keys() {
    let db = Db::in_memory().await.unwrap();
    let before = signers(&opened(&db, Es256, &[EdDsa], day(0)).await.current());
    let keys = opened(&db, Rs256, &[Es256, EdDsa], day(1)).await;
    let (es256, eddsa) = (before[0].clone(), before[1].clone());
    assert_eq!(signers(&keys.current()), [es256.clone(), es256.clone(), eddsa.clone()]);
    keys.tick(day(8)).await.unwrap();
    let after = signers(&keys.current());
    assert_eq!(after[0].0, Rs256);
    assert_eq!(after[1..], [es256, eddsa]);
}
