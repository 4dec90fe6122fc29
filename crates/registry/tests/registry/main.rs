//! The registry as its clients and its operators see it: requests in, answers and log lines out.
#![cfg(test)]

mod blobs;
mod bodies;
mod events;
mod fsck;
mod gc;
mod guesses;
mod harness;
mod immutable;
mod lists;
mod lost;
mod manifests;
mod pulls;
mod races;
mod read_only;
mod refusals;
mod retention;
mod settings;
mod staged;
mod upkeep;
mod upload_races;
mod uploads;
mod wardens;
mod work;
