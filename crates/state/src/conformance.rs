//! What every database must do: one list of tests, each run on each of them.
//!
//! A test is an `async fn(Db)` that gets an empty database. A second kind of database needs one
//! more line in [`databases`] and nothing else here.

mod accounts;
mod blobs;
mod copies;
mod events;
mod garbage;
mod immutable;
mod import;
mod key_files;
mod keys;
mod manifests;
mod not_before;
mod orphans;
mod plans;
mod pulls;
mod read_only;
mod refresh;
mod repositories;
mod retention;
mod robots;
mod uploads;
mod used_tokens;

use std::time::{Duration, SystemTime};

use portpass_protocol::{Digest, RepositoryName, Tag};

use crate::{AbsentChildren, AuditRecord, BlobCommit, Committed, Db, NewManifest, PutManifest};

/// Runs each test on each kind of database.
macro_rules! on_every_database {
    ($($module:ident :: $test:ident),* $(,)?) => {
        /// All of them, for who looks at what they have run.
        const TESTS: &[fn(Db) -> BoxFuture] = &[$(|db| Box::pin($module::$test(db))),*];

        mod in_memory {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$module::$test(super::databases::in_memory().await).await;
                }
            )*
        }

        mod in_a_file {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let (directory, db) = super::databases::in_a_file().await;
                    super::$module::$test(db.clone()).await;
                    db.close().await;
                    drop(directory);
                }
            )*
        }

        mod with_cache {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let (directory, db) = super::databases::in_a_file().await;
                    super::$module::$test(db.with_cache()).await;
                    drop(directory);
                }
            )*
        }
    };
}

on_every_database! {
    accounts::a_name_is_given_once,
    accounts::a_new_password_raises_the_version_and_ends_the_sessions,
    accounts::disabling_ends_the_sessions_and_enabling_does_not_bring_them_back,
    accounts::a_token_of_an_account_that_is_not_what_it_was_is_not_kept,
    accounts::a_token_of_an_account_that_is_not_what_it_was_is_not_used,
    accounts::groups_are_replaced_as_a_whole,
    accounts::removal_frees_the_name_but_not_the_identity,
    accounts::every_change_moves_the_version_and_leaves_a_record,
    accounts::a_change_of_an_unknown_account_changes_nothing,
    accounts::a_hash_is_never_printed,
    refresh::a_token_is_found_by_its_hash_with_all_that_was_kept,
    refresh::a_token_ends_at_the_earlier_of_idle_and_absolute_end,
    refresh::a_use_moves_the_idle_end_and_is_recorded,
    refresh::a_revoked_or_expired_token_cannot_be_used,
    refresh::a_token_in_use_outlives_logins_that_never_were_used,
    refresh::of_used_tokens_the_least_recently_used_one_goes,
    refresh::a_token_just_made_is_not_pushed_out_before_its_first_use,
    refresh::an_account_has_no_more_tokens_for_calling_its_clients_differently,
    refresh::of_the_dead_a_bounded_number_is_remembered_the_used_ones_first,
    refresh::an_expired_token_that_has_to_go_stays_an_expired_one,
    refresh::tokens_of_other_clients_and_accounts_are_not_crowded_out,
    refresh::tokens_are_revoked_by_id_and_by_account,
    refresh::dead_tokens_are_forgotten_after_a_while,
    refresh::a_token_revoked_without_a_reason_is_inconsistent,
    accounts::another_hash_of_the_same_password_ends_nothing,
    robots::a_robot_comes_back_as_it_was_made,
    robots::a_rotation_keeps_the_last_secret_for_a_while_and_no_other,
    robots::a_rotation_without_an_overlap_leaves_one_secret,
    robots::a_disabled_robot_stays_disabled_since_it_was,
    robots::every_change_of_a_robot_or_key_moves_the_version_and_leaves_a_record,
    robots::a_change_of_an_unknown_robot_changes_nothing,
    robots::a_key_is_there_until_it_is_revoked,
    robots::the_keys_of_a_removed_account_go_with_it_and_no_others,
    robots::a_secret_that_was_ended_is_known_until_it_is_forgotten,
    robots::a_use_is_remembered_and_never_moves_back,
    robots::what_a_removed_account_used_is_forgotten,
    robots::a_secret_that_is_no_hash_is_inconsistent,
    keys::a_new_ring_is_empty,
    keys::a_ring_comes_back_as_it_was_put,
    keys::of_two_changes_from_one_version_one_is_lost,
    keys::a_key_in_no_phase_is_inconsistent,
    keys::the_first_value_of_a_fact_counts,
    keys::a_pairing_counts_with_the_one_before_until_that_is_let_go,
    keys::a_copy_becomes_an_installation_once,
    keys::the_trail_keeps_its_order_and_is_read_from_both_ends,
    not_before::what_ends_an_account_s_sessions_ends_its_other_tokens,
    not_before::what_takes_nothing_away_ends_no_tokens,
    not_before::an_administrator_ends_the_tokens_of_a_name_in_every_source,
    not_before::entries_are_forgotten_when_they_end_nothing_any_more,
    not_before::within_a_second_the_next_one_counts,
    key_files::a_replaced_certificate_is_kept_until_its_last_token_ends,
    key_files::a_certificate_that_comes_back_signs_again,
    key_files::several_certificates_sign_at_once,
    repositories::an_upload_session_makes_no_repository,
    repositories::a_first_blob_mount_or_manifest_makes_a_repository,
    repositories::the_catalog_is_in_ascii_order_page_by_page,
    repositories::tags_are_in_ascii_order_page_by_page,
    repositories::a_repository_without_tags_is_not_an_unknown_one,
    repositories::a_strange_last_is_only_a_place_in_the_order,
    repositories::a_huge_page_is_cut,
    repositories::a_repository_goes_when_nothing_is_left_in_it,
    manifests::a_manifest_is_read_by_tag_and_by_digest_as_it_was_put,
    manifests::digests_of_both_algorithms_are_kept_as_given,
    manifests::everything_missing_is_named_once_and_nothing_is_kept,
    manifests::membership_is_of_this_repository_only,
    manifests::hundreds_of_layers_are_checked_and_linked,
    manifests::a_missing_subject_is_no_obstacle,
    manifests::a_tag_moves_to_the_manifest_put_last,
    manifests::several_tags_are_set_at_once,
    manifests::the_same_manifest_may_be_put_again,
    manifests::deleting_by_digest_takes_its_tags_and_no_others,
    manifests::an_index_may_come_before_what_it_names_where_that_is_allowed,
    manifests::deleting_a_tag_leaves_the_manifest,
    manifests::referrers_are_filtered_and_paged,
    manifests::a_page_of_referrers_is_bounded_in_bytes,
    manifests::a_deleted_referrer_is_listed_no_more,
    pulls::pulls_add_up_and_no_time_moves_back,
    pulls::pulls_of_what_is_gone_are_forgotten,
    pulls::a_tag_that_moves_keeps_its_pulls,
    pulls::pulls_are_listed_page_by_page_with_what_never_was,
    read_only::the_switch_is_turned_once_and_each_turn_leaves_a_record,
    events::what_is_done_is_told_and_what_is_not_done_is_not,
    events::an_endpoint_goes_on_from_where_it_is,
    events::an_event_is_told_once_more_where_it_is_still_there,
    events::the_oldest_events_go_and_places_are_not_given_again,
    blobs::a_blob_is_seen_only_where_it_was_committed,
    blobs::a_second_object_of_a_digest_is_superfluous_and_noted_as_garbage,
    blobs::the_same_commit_twice_is_not_garbage,
    blobs::a_lost_object_is_replaced_for_every_repository,
    blobs::of_many_blobs_those_that_the_repository_holds_are_told,
    blobs::a_mount_needs_the_source_to_hold_the_blob_now,
    blobs::a_mounted_blob_outlives_its_source,
    blobs::a_source_is_found_among_the_candidates_only,
    blobs::a_deleted_blob_is_gone_from_that_repository_only,
    blobs::one_of_many_simultaneous_commits_is_kept,
    uploads::a_session_belongs_to_its_repository,
    uploads::one_request_at_a_time_holds_the_lease,
    used_tokens::a_token_is_used_once_and_forgotten_when_it_has_expired,
    used_tokens::of_many_uses_at_once_one_is_the_first,
    uploads::an_expired_lease_is_taken_over_and_its_owner_finds_out,
    uploads::a_renewed_lease_is_not_taken_over,
    uploads::progress_is_saved_only_on_the_version_that_was_seen,
    uploads::a_released_session_can_be_leased_at_once,
    uploads::of_many_simultaneous_leases_one_is_given,
    uploads::a_commit_ends_the_session,
    uploads::a_commit_without_the_session_changes_nothing,
    uploads::a_cancelled_session_is_lost_to_its_writer,
    uploads::only_idle_sessions_without_a_lease_are_abandoned,
    uploads::a_sweep_sees_every_session,
    uploads::an_account_has_a_bounded_number_of_open_sessions,
    garbage::a_blob_that_no_repository_holds_becomes_garbage,
    garbage::a_blob_that_somebody_holds_is_not_retired,
    garbage::a_blob_pushed_after_its_end_lies_elsewhere,
    garbage::more_than_a_piece_goes_piece_by_piece,
    garbage::an_unlinked_blob_is_marked_and_later_removed,
    garbage::asking_for_a_marked_blob_saves_it,
    garbage::a_manifest_saves_the_blobs_it_links_to,
    garbage::a_blob_that_lost_its_manifest_is_marked_anew,
    garbage::what_nothing_keeps_is_listed,
    garbage::known_locations_are_those_of_blobs_and_garbage,
    immutable::a_tag_that_must_not_move_names_what_it_named,
    immutable::a_manifest_stays_with_a_tag_that_must_stay,
    retention::what_rules_look_at_comes_in_pages,
    retention::what_was_pushed_again_meanwhile_stays,
    retention::a_tag_that_follows_a_subject_goes_behind_it,
    import::what_was_reserved_and_imported_is_there_as_if_pushed,
    import::what_was_reserved_alone_is_garbage,
    import::a_blob_that_was_pushed_meanwhile_stays_and_the_new_object_is_garbage,
    import::an_import_moves_a_tag_forward_and_never_back,
    orphans::only_manifests_that_nothing_keeps_are_orphans,
    orphans::what_loses_its_tag_its_index_or_its_subject_is_an_orphan_from_then_on,
    orphans::what_is_named_again_is_none_any_more,
    orphans::asking_for_a_condemned_manifest_saves_it_for_a_while,
    orphans::what_was_pulled_lately_waits,
    orphans::what_goes_lets_go_of_its_blobs,
    copies::a_copy_names_no_object_that_it_does_not_need,
    copies::held_blobs_come_page_by_page,
}

type BoxFuture = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// How to get an empty database of each kind.
mod databases {
    use crate::Db;

    pub(super) async fn in_memory() -> Db {
        Db::in_memory().await.unwrap()
    }

    pub(super) async fn in_a_file() -> (tempfile::TempDir, Db) {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::open(&directory.path().join("state.db")).await.unwrap();
        (directory, db)
    }
}

/// Seconds after an arbitrary moment.
fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

fn repository(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

fn digest(content: &str) -> Digest {
    Digest::sha256(content.as_bytes())
}

fn record(action: &str, seconds: u64) -> AuditRecord {
    AuditRecord {
        at: at(seconds),
        action: action.to_owned(),
        actor: Some("admin".to_owned()),
        object: None,
        address: None,
        request: None,
        detail: serde_json::json!({}),
    }
}

/// Commits an object at `location` as the blob of this content.
async fn commit(db: &Db, name: &str, content: &str, location: &str, seconds: u64) -> Committed {
    let commit = BlobCommit {
        repository: &repository(name),
        digest: &digest(content),
        location,
        size: content.len() as u64,
        media_type: "application/octet-stream",
        upload: None,
    };
    db.commit_blob(&commit, at(seconds)).await.unwrap()
}

/// A manifest without links or tags, to be changed by `..`.
fn manifest<'a>(name: &'a RepositoryName, digest: &'a Digest, bytes: &'a str) -> NewManifest<'a> {
    NewManifest {
        repository: name,
        digest,
        media_type: "application/vnd.oci.image.manifest.v1+json",
        bytes: bytes.as_bytes(),
        blobs: &[],
        children: &[],
        absent_children: AbsentChildren::Refused,
        subject: None,
        artifact_type: None,
        annotations: None,
        tags: &[],
        immutable: &[],
    }
}

/// Puts a manifest of these bytes under these tags.
async fn put(db: &Db, name: &str, bytes: &str, tags: &[&str], seconds: u64) -> Digest {
    let (name, digest) = (repository(name), digest(bytes));
    let tags: Vec<Tag> = tags.iter().map(|name| tag(name)).collect();
    let manifest = NewManifest { tags: &tags, ..manifest(&name, &digest, bytes) };
    assert_eq!(db.put_manifest(&manifest, at(seconds)).await.unwrap(), PutManifest::Stored);
    digest
}
