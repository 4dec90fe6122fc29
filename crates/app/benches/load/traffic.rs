//! Those who push and those who pull.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use portpass_protocol::Digest;
use portpass_testkit::SeededRng;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    blobs::{Blob, digest_of},
    world::{PUSHERS, REPOSITORY, World, expect},
};

const PULLERS: u64 = 100;

/// One of each size, so that there is something to pull.
pub(crate) async fn first_images(world: &World) {
    let token = world.administrators_token().await.unwrap();
    let empty =
        world.request(Method::POST, &format!("blobs/uploads/?digest={}", Digest::sha256(b"{}")));
    let empty = empty.bearer_auth(&token).body("{}");
    expect(empty, StatusCode::CREATED).await.unwrap();
    for (size, _) in world.mix.sizes() {
        push(world, &token, *size, Way::Whole).await.unwrap();
    }
}

/// Starts all of them.
pub(crate) fn start(world: &Arc<World>, tasks: &mut JoinSet<()>) {
    for number in 0..PUSHERS {
        tasks.spawn(keep_pushing(world.clone(), SeededRng::new(number + 1)));
    }
    for number in 0..PULLERS {
        tasks.spawn(keep_pulling(world.clone(), SeededRng::new(number + 1000)));
    }
}

async fn keep_pushing(world: Arc<World>, mut rng: SeededRng) {
    while !world.is_over() {
        let size = weighted(&mut rng, world.mix.sizes());
        if !world.may_write(size) {
            sleep(Duration::from_millis(100)).await;
            continue;
        }
        let way = if rng.below(2) == 0 { Way::Whole } else { Way::Patched };
        let pushed = async { push(&world, &world.administrators_token().await?, size, way).await };
        match pushed.await {
            Ok(()) => {
                world.counts.pushes.fetch_add(1, Ordering::Relaxed);
                world.counts.pushed_bytes.fetch_add(size as u64, Ordering::Relaxed);
            }
            Err(error) => world.failed(format!("push of {size} bytes: {error}")),
        }
    }
}

async fn keep_pulling(world: Arc<World>, mut rng: SeededRng) {
    while !world.is_over() {
        let tag = {
            let images = world.images.lock().unwrap();
            rng.choose(&images)
        };
        match pull(&world, &tag).await {
            Ok(bytes) => {
                world.counts.pulls.fetch_add(1, Ordering::Relaxed);
                world.counts.pulled_bytes.fetch_add(bytes, Ordering::Relaxed);
            }
            Err(error) => world.failed(format!("pull of {tag}: {error}")),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Way {
    /// One request.
    Whole,
    /// A session.
    Patched,
}

async fn push(world: &World, token: &str, size: usize, way: Way) -> Result<(), String> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let blob = Blob { number: NUMBER.fetch_add(1, Ordering::Relaxed), size };
    let digest = blob.digest().await;
    let whole = |request: RequestBuilder| {
        request.bearer_auth(token).header("content-length", size).body(blob.body())
    };
    match way {
        Way::Whole => {
            let path = format!("blobs/uploads/?digest={digest}");
            expect(whole(world.request(Method::POST, &path)), StatusCode::CREATED).await?;
        }
        Way::Patched => {
            let begin = world.request(Method::POST, "blobs/uploads/").bearer_auth(token);
            let session = location(world, &expect(begin, StatusCode::ACCEPTED).await?);
            let patch = whole(world.http.patch(session));
            let session = location(world, &expect(patch, StatusCode::ACCEPTED).await?);
            let join = if session.contains('?') { '&' } else { '?' };
            let put = world.http.put(format!("{session}{join}digest={digest}"));
            expect(put.bearer_auth(token), StatusCode::CREATED).await?;
        }
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json",
                    "digest": Digest::sha256(b"{}").to_string(), "size": 2 },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar",
                     "digest": digest.to_string(), "size": size }],
    });
    let tag = format!("v{}", blob.number);
    let put = world.request(Method::PUT, &format!("manifests/{tag}")).bearer_auth(token);
    let put = put.header("content-type", MANIFEST).body(manifest.to_string());
    expect(put, StatusCode::CREATED).await?;
    world.images.lock().unwrap().push(tag);
    Ok(())
}

/// A client that knows nobody: token, manifest, layer, each byte looked at.
async fn pull(world: &World, tag: &str) -> Result<u64, String> {
    let scope = format!("repository:{REPOSITORY}:pull");
    let query = [("service", "registry"), ("scope", &scope)];
    let answer = expect(world.http.get(world.token_url()).query(&query), StatusCode::OK).await?;
    let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
    let token = answer["token"].as_str().unwrap();
    let get = world.request(Method::GET, &format!("manifests/{tag}")).bearer_auth(token);
    let manifest = expect(get, StatusCode::OK).await?;
    let manifest: Value = manifest.json().await.map_err(|error| error.to_string())?;
    let wanted = manifest["layers"][0]["digest"].as_str().unwrap();
    let get = world.request(Method::GET, &format!("blobs/{wanted}")).bearer_auth(token);
    let body = expect(get, StatusCode::OK).await?.bytes_stream();
    let (digest, length) = digest_of(body).await.map_err(|error| format!("{error:?}"))?;
    if digest.to_string() == wanted { Ok(length) } else { Err(format!("{digest}, not {wanted}")) }
}

fn location(world: &World, response: &Response) -> String {
    let location = response.headers()["location"].to_str().unwrap();
    if location.starts_with('/') { format!("{}{location}", world.url) } else { location.to_owned() }
}

/// One of the sizes, each as often as its weight says.
fn weighted(rng: &mut SeededRng, sizes: &[(usize, usize)]) -> usize {
    let mut left = rng.below(sizes.iter().map(|(_, weight)| weight).sum());
    for (size, weight) in sizes {
        if left < *weight {
            return *size;
        }
        left -= weight;
    }
    sizes[0].0
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
