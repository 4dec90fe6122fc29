use insta::assert_snapshot;
use portpass_protocol::{Digest, Reference};
use portpass_testkit::http::{Reply, Seen, reply};
use reqwest::header::{self, HeaderName};

use crate::{Manifest, fixture::Fixture};

const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#;
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

fn tag() -> Reference {
    "v1".parse().unwrap()
}

fn digest() -> Digest {
    Digest::sha256(MANIFEST.as_bytes())
}

fn manifest_as(media_type: &str) -> Reply {
    reply(200, MANIFEST).with(header::CONTENT_TYPE, media_type)
}

/// OC4, OC5
#[tokio::test]
async fn a_manifest_is_asked_for_in_every_kind_and_checked() {
    let stage = Fixture::start(|seen, gate| match gate.check(seen, "repository:team/app:pull") {
        Ok(()) => manifest_as(&format!("{OCI_MANIFEST}; charset=utf-8"))
            .with(DIGEST, digest().to_string()),
        Err(refused) => refused,
    })
    .await;
    let remote = stage.remote("team/app");
    for reference in [tag(), Reference::Digest(digest())] {
        let manifest = remote.manifest(&reference).await.unwrap();
        assert_eq!(manifest, Manifest::new(OCI_MANIFEST, MANIFEST));
    }
    let seen = &stage.seen()[0];
    assert_eq!(seen.path, "/v2/team/app/manifests/v1");
    assert_eq!(seen.headers.get_all(header::ACCEPT).iter().count(), 4);
}

/// GHSA-qv35-3gw6-8q4j, CVE-2024-3727
#[tokio::test]
async fn a_manifest_that_is_not_its_digest_is_refused() {
    let other = Digest::sha256(b"other");
    let long = Digest::of(portpass_protocol::DigestAlgorithm::Sha512, MANIFEST.as_bytes());
    let asked = Reference::Digest(digest());
    for (reference, said, good) in [
        (tag(), None, true),
        (tag(), Some(other.to_string()), false),
        (tag(), Some(long.to_string()), true),
        (tag(), Some("../../etc/passwd".to_owned()), false),
        (tag(), Some("md5:00".to_owned()), false),
        (asked.clone(), None, true),
        // Announced under another algorithm, but what was asked for decides (OC20).
        (asked.clone(), Some(long.to_string()), true),
        (asked, Some(other.to_string()), false),
        (Reference::Digest(other), None, false),
        (Reference::Digest(other), Some(other.to_string()), false),
        (Reference::Digest(long), None, true),
    ] {
        let header = said.clone();
        let stage = Fixture::start(move |_, _| {
            let manifest = manifest_as(OCI_MANIFEST);
            header.clone().into_iter().fold(manifest, |reply, said| reply.with(DIGEST, said))
        })
        .await;
        let found = stage.remote("a").manifest(&reference).await;
        assert_eq!(found.is_ok(), good, "{reference} with {said:?}: {found:?}");
    }
}

/// GHSA-qq97-vm5h-rrhg, CVE-2021-41190, GHSA-5j5w-g665-5m35, GHSA-xmmx-7jpf-fx42
#[tokio::test]
async fn a_manifest_is_of_one_kind_for_all_who_read_it() {
    let index = format!(r#"{{"manifests":[],{}"#, &MANIFEST[1..]);
    let bare = r#"{"schemaVersion":2,"manifests":[]}"#.to_owned();
    let mut heard = Vec::new();
    for (media_type, body) in [
        (OCI_INDEX, MANIFEST.to_owned()),
        (OCI_MANIFEST, index.clone()),
        (OCI_INDEX, index),
        (OCI_MANIFEST, bare.clone()),
        ("application/vnd.docker.distribution.manifest.v2+json", MANIFEST.to_owned()),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", bare.clone()),
        ("text/html", "<html>".to_owned()),
        ("", bare),
    ] {
        let stage = Fixture::start(move |_, _| {
            reply(200, body.clone()).with(header::CONTENT_TYPE, media_type)
        })
        .await;
        heard.push(stage.said(&stage.remote("a").manifest(&tag()).await.unwrap_err()));
    }
    assert_snapshot!(heard.join("\n"), @r#"
        http://REGISTRY/v2/a/manifests/v1: manifest says it is "application/vnd.oci.image.manifest.v1+json", but came as application/vnd.oci.image.index.v1+json
        http://REGISTRY/v2/a/manifests/v1: application/vnd.oci.image.manifest.v1+json must not have the member "manifests"
        http://REGISTRY/v2/a/manifests/v1: manifest says it is "application/vnd.oci.image.manifest.v1+json", but came as application/vnd.oci.image.index.v1+json
        http://REGISTRY/v2/a/manifests/v1: application/vnd.oci.image.manifest.v1+json must not have the member "manifests"
        http://REGISTRY/v2/a/manifests/v1: manifest says it is "application/vnd.oci.image.manifest.v1+json", but came as application/vnd.docker.distribution.manifest.v2+json
        http://REGISTRY/v2/a/manifests/v1: docker manifests of schema 1 are not supported; push the image again as schema 2 or OCI
        http://REGISTRY/v2/a/manifests/v1: media type "text/html" is not that of a manifest or index of OCI or docker (schema 2)
        http://REGISTRY/v2/a/manifests/v1: media type "" is not that of a manifest or index of OCI or docker (schema 2)
        "#);
}

#[tokio::test]
async fn what_is_there_is_told_without_reading_it() {
    let stage = Fixture::start(|seen, _| match seen.path.as_str() {
        "/v2/a/manifests/v1" => {
            manifest_as(&format!("{OCI_MANIFEST}; x=y")).with(DIGEST, digest().to_string())
        }
        "/v2/a/manifests/silent" => manifest_as(OCI_MANIFEST),
        _ => reply(404, ""),
    })
    .await;
    let remote = stage.remote("a");
    let expected = Manifest::new(OCI_MANIFEST, MANIFEST).descriptor();
    assert_eq!(remote.head_manifest(&tag()).await.unwrap().as_ref(), Some(&expected));
    assert_eq!(stage.seen()[0].method, "HEAD");
    assert_eq!(remote.head_manifest(&"none".parse().unwrap()).await.unwrap(), None);
    // A registry that does not say the digest is asked for the manifest itself.
    assert_eq!(remote.head_manifest(&"silent".parse().unwrap()).await.unwrap(), Some(expected));
    let methods: Vec<String> = stage.seen().iter().map(|seen| seen.method.to_string()).collect();
    assert_eq!(methods, ["HEAD", "HEAD", "HEAD", "GET"]);
    let lie = Digest::sha256(b"other");
    assert!(remote.head_manifest(&Reference::Digest(lie)).await.unwrap().is_none());
    let stage =
        Fixture::start(move |_, _| manifest_as(OCI_MANIFEST).with(DIGEST, lie.to_string())).await;
    assert!(stage.remote("a").head_manifest(&Reference::Digest(digest())).await.is_err());
}

#[tokio::test]
async fn a_missing_manifest_is_an_error_with_the_registrys_words() {
    let body = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
    let stage = Fixture::start(move |_, _| reply(404, body)).await;
    let error = stage.remote("a").manifest(&tag()).await.unwrap_err();
    assert!(error.is_not_found() && !error.is_transient());
    assert_snapshot!(stage.said(&error), @"http://REGISTRY/v2/a/manifests/v1 responds with 404 Not Found: manifest unknown (MANIFEST_UNKNOWN)");
}

/// OC16
#[tokio::test]
async fn a_manifest_is_put_as_it_is() {
    let stage = Fixture::start(|seen, gate| match gate.check(seen, "repository:a:pull,push") {
        Ok(()) => reply(201, "").with(DIGEST, Digest::sha256(&seen.body).to_string()),
        Err(refused) => refused,
    })
    .await;
    let manifest = Manifest::new(OCI_MANIFEST, MANIFEST);
    let remote = stage.remote("a");
    remote.put_manifest(&tag(), &manifest).await.unwrap();
    remote.put_manifest(&Reference::Digest(manifest.digest), &manifest).await.unwrap();
    let seen = stage.seen();
    assert_eq!((seen[0].method.as_str(), &*seen[0].body), ("PUT", MANIFEST.as_bytes()));
    assert_eq!(seen[0].headers[header::CONTENT_TYPE], OCI_MANIFEST);
    assert_eq!(seen[1].path, format!("/v2/a/manifests/{}", digest()));
}

#[tokio::test]
async fn what_would_be_refused_is_not_sent() {
    let stage = Fixture::start(|_, _| reply(201, "")).await;
    let remote = stage.remote("a");
    let good = Manifest::new(OCI_MANIFEST, MANIFEST);
    let other = Digest::sha256(b"other");
    let wrong = [
        Manifest { digest: other, ..good.clone() },
        Manifest::new(OCI_INDEX, MANIFEST),
        Manifest::new("text/plain", MANIFEST),
        Manifest::new(OCI_MANIFEST, vec![b' '; 4 * 1024 * 1024 + 1]),
    ];
    let mut heard = Vec::new();
    for manifest in &wrong {
        heard.push(stage.said(&remote.put_manifest(&tag(), manifest).await.unwrap_err()));
    }
    heard.push(
        stage.said(&remote.put_manifest(&Reference::Digest(other), &good).await.unwrap_err()),
    );
    assert_eq!(stage.registry.seen().len(), 0);
    assert_snapshot!(heard.join("\n"), @r#"
        the manifest to send has the wrong content: its digest is sha256:aebe5b78f401a93ac344af2a85f218cdf8fc05fbbac41d7a3d960a44e0d2ee71, not sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa
        the manifest to send: manifest says it is "application/vnd.oci.image.manifest.v1+json", but came as application/vnd.oci.image.index.v1+json
        the manifest to send: media type "text/plain" is not that of a manifest or index of OCI or docker (schema 2)
        the manifest to send: manifest of 4194305 bytes is longer than 4194304
        the manifest to send has the wrong content: its digest is sha256:aebe5b78f401a93ac344af2a85f218cdf8fc05fbbac41d7a3d960a44e0d2ee71, not sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa
        "#);
}

#[tokio::test]
async fn a_registry_that_keeps_something_else_is_told_of() {
    let other = Digest::sha256(b"other").to_string();
    let stage = Fixture::start(move |_, _| reply(201, "").with(DIGEST, other.clone())).await;
    let manifest = Manifest::new(OCI_MANIFEST, MANIFEST);
    assert!(stage.remote("a").put_manifest(&tag(), &manifest).await.is_err());
}

/// OC22
#[tokio::test]
async fn deleting_needs_the_right_to_delete() {
    let answer = |seen: &Seen| match seen.path.as_str() {
        "/v2/a/manifests/none" => reply(404, ""),
        "/v2/a/manifests/fixed" => {
            reply(405, r#"{"errors":[{"code":"UNSUPPORTED","message":"no deletes here"}]}"#)
        }
        _ => reply(202, ""),
    };
    let stage = Fixture::start(move |seen, gate| {
        gate.check(seen, "repository:a:delete").map_or_else(|refused| refused, |()| answer(seen))
    })
    .await;
    let remote = stage.remote("a");
    remote.delete_manifest(&tag()).await.unwrap();
    assert!(remote.delete_manifest(&"none".parse().unwrap()).await.unwrap_err().is_not_found());
    let error = remote.delete_manifest(&"fixed".parse().unwrap()).await.unwrap_err();
    assert_snapshot!(stage.said(&error), @"http://REGISTRY/v2/a/manifests/fixed responds with 405 Method Not Allowed: no deletes here (UNSUPPORTED)");
    assert!(stage.seen().iter().all(|seen| seen.method == "DELETE"));
}
