//! Those who guess passwords, and those who should not notice.

use std::{
    sync::{Arc, atomic::Ordering},
    thread::{self, JoinHandle},
    time::Duration,
};

use portpass_testkit::Portpass;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use crate::world::{World, expect};

/// Somebody who has logged in.
pub(crate) struct Account {
    name: String,
    refresh_token: String,
}

/// Makes accounts and logs them in, before it gets busy.
pub(crate) async fn accounts(world: &World, portpass: &Portpass) -> Vec<Account> {
    let mut accounts = Vec::new();
    for number in 0..CALLERS {
        let name = format!("caller{number}");
        let words = ["user", "add", &name, "--password-stdin", "--config", "{folder}/portpass.yml"];
        portpass.command(&words, PASSWORD).expect_success();
        let query = [("service", "registry"), ("offline_token", "true"), ("client_id", "load")];
        let request = world.http.get(world.token_url()).query(&query);
        let request = request.basic_auth(&name, Some(PASSWORD));
        let answer = expect(request, StatusCode::OK).await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let refresh_token = answer["refresh_token"].as_str().unwrap().to_owned();
        accounts.push(Account { name, refresh_token });
    }
    accounts
}

/// Starts all of them, on threads of their own: how long an answer takes must not hang on how busy the
/// pullers of this program are.
pub(crate) fn start(world: &Arc<World>, accounts: Vec<Account>) -> Vec<JoinHandle<()>> {
    let (asked, guessed) = (world.clone(), world.clone());
    let ask = move || {
        let asking = accounts.into_iter().map(|account| ask(asked.clone(), account));
        alone(futures_util::future::join_all(asking));
    };
    vec![thread::spawn(ask), thread::spawn(move || alone(guess(guessed)))]
}

/// Runs on this thread.
fn alone<T>(work: impl Future<Output = T>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work);
}

/// Gets a token by password and one by refresh token, in turn.
async fn ask(world: Arc<World>, account: Account) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut timer = every(Duration::from_millis(50));
    while !world.is_over() {
        timer.tick().await;
        let query = [("service", "registry"), ("scope", "repository:public/load:pull")];
        let by_password = http.get(world.token_url()).query(&query);
        let by_password = by_password.basic_auth(&account.name, Some(PASSWORD));
        if let Some(took) = timed(&world, "a password", by_password).await {
            world.cached.lock().unwrap().push(took);
        }
        let form = [
            ("grant_type", "refresh_token"),
            ("service", "registry"),
            ("client_id", "load"),
            ("scope", "repository:public/load:pull"),
            ("refresh_token", account.refresh_token.as_str()),
        ];
        let by_refresh_token = http.post(world.token_url()).form(&form);
        if let Some(took) = timed(&world, "a refresh token", by_refresh_token).await {
            world.refreshed.lock().unwrap().push(took);
        }
    }
}

async fn timed(world: &World, what: &str, request: RequestBuilder) -> Option<Duration> {
    let began = Instant::now();
    let answer = async {
        let answer = expect(request, StatusCode::OK).await?;
        answer.bytes().await.map_err(|error| error.to_string())
    };
    match answer.await {
        Ok(_) => Some(began.elapsed()),
        Err(error) => {
            world.failed(format!("token for {what}: {error}"));
            None
        }
    }
}

/// Sends wrong passwords, however long the answers take. No account is asked twice, no address often.
async fn guess(world: Arc<World>) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut timer = every(Duration::from_secs(1) / GUESSES);
    let mut under_way = JoinSet::new();
    let mut number = 0_u32;
    while !world.is_over() {
        timer.tick().await;
        number += 1;
        let [_, a, b, c] = (number % ADDRESSES).to_be_bytes();
        let request = http.get(world.token_url()).query(&[("service", "registry")]);
        let request = request
            .basic_auth(format!("guessed{number}"), Some("wrong"))
            .header("x-forwarded-for", format!("10.{a}.{b}.{c}"))
            .header("x-forwarded-proto", "http");
        under_way.spawn(guess_once(world.clone(), request));
        while under_way.try_join_next().is_some() {}
    }
    under_way.join_all().await;
}

async fn guess_once(world: Arc<World>, request: RequestBuilder) {
    let guesses = &world.guesses;
    let counter = match request.send().await.map(|answer| answer.status()) {
        Ok(StatusCode::UNAUTHORIZED) => &guesses.hashed,
        Ok(StatusCode::TOO_MANY_REQUESTS) => &guesses.limited,
        Ok(StatusCode::SERVICE_UNAVAILABLE) => &guesses.busy,
        other => return world.failed(format!("a wrong password: {other:?}")),
    };
    counter.fetch_add(1, Ordering::Relaxed);
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut timer = interval(period);
    timer.set_missed_tick_behavior(MissedTickBehavior::Burst);
    timer
}

const CALLERS: usize = 8;
const PASSWORD: &str = "correct horse";
/// A second.
const GUESSES: u32 = 200;
const ADDRESSES: u32 = 20_000;
