use super::{at, digest, repository};
use crate::{
    Begun, BlobCommit, Committed, Db, Lease, LeaseOwner, Leased, NewUpload, Saved, Upload,
    UploadClaim, UploadId,
};

pub(super) async fn a_session_belongs_to_its_repository(db: Db) {
    begin(&db, 1, 7).await;
    let expected = Upload {
        id: id(1),
        repository: repository("a"),
        progress: b"begun".to_vec(),
        lease: Lease::Free,
        version: 1,
        started_at: at(7),
        updated_at: at(7),
    };
    assert_eq!(db.upload(&repository("a"), id(1)).await.unwrap(), Some(expected));
    let other = repository("b");
    assert_eq!(db.upload(&other, id(1)).await.unwrap(), None);
    assert_eq!(db.cancel_upload(&other, id(1)).await.unwrap(), None);
    let leased = db.lease_upload(&other, id(1), owner(1), at(20), at(8)).await.unwrap();
    assert_eq!(leased, Leased::Unknown);
    assert_eq!(db.upload(&repository("a"), id(2)).await.unwrap(), None);
}

/// A second writer gets the true offset and writes nothing.
pub(super) async fn one_request_at_a_time_holds_the_lease(db: Db) {
    begin(&db, 1, 0).await;
    let claim = lease(&db, 1, 1, 1, 30).await;
    assert_eq!(claim, UploadClaim { id: id(1), owner: owner(1), version: 2 });
    let Leased::Busy(upload) =
        db.lease_upload(&repository("a"), id(1), owner(2), at(60), at(2)).await.unwrap()
    else {
        panic!("the lease was given twice");
    };
    assert_eq!(upload.progress, b"begun");
    assert_eq!(upload.lease, Lease::Held { owner: owner(1), until: at(30) });
}

pub(super) async fn an_expired_lease_is_taken_over_and_its_owner_finds_out(db: Db) {
    begin(&db, 1, 0).await;
    let slow = lease(&db, 1, 1, 0, 30).await;
    let quick = lease(&db, 1, 2, 30, 60).await;
    assert_eq!(db.save_upload(slow, b"slow", at(31)).await.unwrap(), Saved::Lost);
    assert_eq!(db.renew_upload(slow, at(99)).await.unwrap(), Saved::Lost);
    assert_eq!(db.release_upload(slow, b"slow", at(31)).await.unwrap(), Saved::Lost);
    assert_eq!(finish(&db, slow, "o/1").await, Committed::SessionLost);
    assert!(matches!(db.save_upload(quick, b"quick", at(32)).await.unwrap(), Saved::Saved(_)));
    assert_eq!(find(&db, 1).await.unwrap().progress, b"quick");
}

pub(super) async fn a_renewed_lease_is_not_taken_over(db: Db) {
    begin(&db, 1, 0).await;
    let claim = lease(&db, 1, 1, 0, 30).await;
    assert_eq!(db.renew_upload(claim, at(90)).await.unwrap(), Saved::Saved(claim));
    let leased = db.lease_upload(&repository("a"), id(1), owner(2), at(99), at(40)).await.unwrap();
    assert!(matches!(leased, Leased::Busy(_)));
    assert!(matches!(db.save_upload(claim, b"more", at(41)).await.unwrap(), Saved::Saved(_)));
}

pub(super) async fn progress_is_saved_only_on_the_version_that_was_seen(db: Db) {
    begin(&db, 1, 0).await;
    let first = lease(&db, 1, 1, 0, 30).await;
    let Saved::Saved(second) = db.save_upload(first, b"one", at(1)).await.unwrap() else {
        panic!("the first save was lost");
    };
    assert_eq!(db.save_upload(first, b"stale", at(2)).await.unwrap(), Saved::Lost);
    assert!(matches!(db.save_upload(second, b"two", at(3)).await.unwrap(), Saved::Saved(_)));
    let upload = find(&db, 1).await.unwrap();
    assert_eq!((upload.progress.as_slice(), upload.updated_at), (&b"two"[..], at(3)));
    assert!(matches!(upload.lease, Lease::Held { .. }));
}

pub(super) async fn a_released_session_can_be_leased_at_once(db: Db) {
    begin(&db, 1, 0).await;
    let claim = lease(&db, 1, 1, 0, 30).await;
    let Saved::Saved(released) = db.release_upload(claim, b"part", at(1)).await.unwrap() else {
        panic!("the release was lost");
    };
    assert_eq!(find(&db, 1).await.unwrap().lease, Lease::Free);
    assert_eq!(db.save_upload(released, b"late", at(2)).await.unwrap(), Saved::Lost);
    lease(&db, 1, 2, 2, 30).await;
    assert_eq!(find(&db, 1).await.unwrap().progress, b"part");
}

pub(super) async fn of_many_simultaneous_leases_one_is_given(db: Db) {
    begin(&db, 1, 0).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let db = db.clone();
        tasks.spawn(async move {
            db.lease_upload(&repository("a"), id(1), owner(number), at(30), at(1)).await.unwrap()
        });
    }
    let outcomes = tasks.join_all().await;
    let taken = outcomes.iter().filter(|leased| matches!(leased, Leased::Taken { .. })).count();
    let busy = outcomes.iter().filter(|leased| matches!(leased, Leased::Busy(_))).count();
    assert_eq!((taken, busy), (1, 15));
}

pub(super) async fn a_commit_ends_the_session(db: Db) {
    begin(&db, 1, 0).await;
    let claim = lease(&db, 1, 1, 0, 30).await;
    assert_eq!(finish(&db, claim, "o/1").await, Committed::Stored);
    assert_eq!(find(&db, 1).await, None);
    assert!(db.blob(&repository("a"), &digest("x")).await.unwrap().is_some());
    assert_eq!(finish(&db, claim, "o/1").await, Committed::SessionLost, "a session ends once");
}

/// The object may be the segment that another request is committing: it must not become garbage.
pub(super) async fn a_commit_without_the_session_changes_nothing(db: Db) {
    begin(&db, 1, 0).await;
    let claim = lease(&db, 1, 1, 0, 30).await;
    let wrong = [
        UploadClaim { owner: owner(9), ..claim },
        UploadClaim { version: 1, ..claim },
        UploadClaim { id: id(9), ..claim },
    ];
    for claim in wrong {
        assert_eq!(finish(&db, claim, "o/1").await, Committed::SessionLost);
    }
    assert_eq!(db.blob(&repository("a"), &digest("x")).await.unwrap(), None);
    assert!(db.garbage(at(99), 10).await.unwrap().is_empty());
    assert!(!db.repository_exists(&repository("a")).await.unwrap());
    assert!(find(&db, 1).await.is_some());
}

/// OC14
pub(super) async fn a_cancelled_session_is_lost_to_its_writer(db: Db) {
    begin(&db, 1, 0).await;
    let claim = lease(&db, 1, 1, 0, 30).await;
    let cancelled = db.cancel_upload(&repository("a"), id(1)).await.unwrap().unwrap();
    assert_eq!(cancelled.progress, b"begun");
    assert_eq!(db.cancel_upload(&repository("a"), id(1)).await.unwrap(), None);
    assert_eq!(db.save_upload(claim, b"more", at(1)).await.unwrap(), Saved::Lost);
    assert_eq!(finish(&db, claim, "o/1").await, Committed::SessionLost);
}

pub(super) async fn only_idle_sessions_without_a_lease_are_abandoned(db: Db) {
    for number in 1..=4 {
        begin(&db, number, u64::from(number)).await;
    }
    lease(&db, 1, 1, 1, 500).await;
    lease(&db, 2, 1, 2, 60).await;
    let take = async |limit| {
        let taken = db.take_abandoned_uploads(at(4), at(100), limit).await.unwrap();
        taken.into_iter().map(|upload| upload.id).collect::<Vec<_>>()
    };
    assert_eq!(take(1).await.len(), 1);
    assert_eq!(take(10).await.len(), 1);
    assert!(take(10).await.is_empty());
    for (number, is_there) in [(1, true), (2, false), (3, false), (4, true)] {
        assert_eq!(find(&db, number).await.is_some(), is_there, "{number}");
    }
}

pub(super) async fn a_sweep_sees_every_session(db: Db) {
    for number in [5, 1, 4, 2, 3] {
        begin(&db, number, 0).await;
    }
    let mut seen = Vec::new();
    loop {
        let page = db.uploads(seen.last().copied(), 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        seen.extend(page.iter().map(|upload| upload.id));
    }
    assert_eq!(seen, [id(1), id(2), id(3), id(4), id(5)]);
}

pub(super) async fn an_account_has_a_bounded_number_of_open_sessions(db: Db) {
    let name = repository("a");
    let begin = async |number: usize, account: &str| {
        let mut bits = [0; 16];
        bits[..8].copy_from_slice(&number.to_be_bytes());
        let id = UploadId::from_random(bits);
        let upload = NewUpload { id, repository: &name, account, progress: b"begun" };
        db.begin_upload(&upload, at(0)).await.unwrap()
    };
    for number in 0..Db::UNFINISHED_UPLOADS {
        assert_eq!(begin(number, "ann").await, Begun::Begun);
    }
    assert_eq!(begin(2_000, "ann").await, Begun::TooMany);
    assert_eq!(begin(2_001, "bob").await, Begun::Begun);
    assert_eq!(begin(2_002, "").await, Begun::Begun);
    let first = db.uploads(None, 1).await.unwrap()[0].id;
    assert!(db.cancel_upload(&name, first).await.unwrap().is_some());
    assert_eq!(begin(2_003, "ann").await, Begun::Begun);
    assert_eq!(begin(2_004, "ann").await, Begun::TooMany);
}

async fn begin(db: &Db, number: u8, seconds: u64) {
    let name = repository("a");
    let upload = NewUpload { id: id(number), repository: &name, account: "", progress: b"begun" };
    assert_eq!(db.begin_upload(&upload, at(seconds)).await.unwrap(), Begun::Begun);
}

async fn lease(db: &Db, number: u8, by: u8, now: u64, until: u64) -> UploadClaim {
    let leased =
        db.lease_upload(&repository("a"), id(number), owner(by), at(until), at(now)).await.unwrap();
    match leased {
        Leased::Taken { upload, claim } => {
            assert_eq!(upload.lease, Lease::Held { owner: owner(by), until: at(until) });
            assert_eq!(upload.version, claim.version);
            claim
        }
        other => panic!("no lease: {other:?}"),
    }
}

async fn finish(db: &Db, claim: UploadClaim, location: &str) -> Committed {
    let commit = BlobCommit {
        repository: &repository("a"),
        digest: &digest("x"),
        location,
        size: 1,
        media_type: "application/octet-stream",
        upload: Some(claim),
    };
    db.commit_blob(&commit, at(50)).await.unwrap()
}

async fn find(db: &Db, number: u8) -> Option<Upload> {
    db.upload(&repository("a"), id(number)).await.unwrap()
}

fn id(number: u8) -> UploadId {
    UploadId::from_random([number; 16])
}

fn owner(number: u8) -> LeaseOwner {
    LeaseOwner::from_random([number; 16])
}
