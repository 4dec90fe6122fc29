use proptest::prelude::*;

use super::*;

fn parse(method: &str, path: &str) -> Result<Route, RouteError> {
    Route::parse(&method.parse().unwrap(), &path.parse().unwrap())
}

/// The route in a form that a table can hold: `op NAME detail…`.
fn told(method: &str, path: &str) -> String {
    match parse(method, path) {
        Ok(route) => describe(route),
        Err(error) => refused(&error).to_owned(),
    }
}

fn describe(route: Route) -> String {
    match route {
        Route::Base => "base".into(),
        Route::Catalog { page } => format!("catalog {}", paged(page)),
        Route::Tags { name, page } => format!("tags {name} {}", paged(page)),
        Route::Manifest { name, reference, op: ManifestOp::Read } => {
            format!("read {name} {reference}")
        }
        Route::Manifest { name, reference, op: ManifestOp::Write { also } } => {
            let also: Vec<String> = also.iter().map(Tag::to_string).collect();
            format!("write {name} {reference} {also:?}")
        }
        Route::Manifest { name, reference, op: ManifestOp::Delete } => {
            format!("delete {name} {reference}")
        }
        Route::Blob { name, digest: _, op } => format!("blob {op:?} {name}"),
        Route::StartUpload { name, start } => match start {
            Start::Session(algorithm) => format!("start {name} {algorithm}"),
            Start::Whole(digest) => format!("start {name} whole {}", digest.algorithm()),
            Start::Mount(Mount { digest: _, from }) => {
                format!(
                    "start {name} mount {}",
                    from.map_or("anywhere".into(), |from| from.to_string())
                )
            }
        },
        Route::Upload { name, id: _, op: UploadOp::Finish(digest) } => {
            format!("upload finish {name} {}", digest.algorithm())
        }
        Route::Upload { name, id: _, op } => format!("upload {op:?} {name}").to_lowercase(),
        Route::Referrers { name, digest: _, artifact_type, page } => {
            let narrowed =
                artifact_type.map_or(String::new(), |only| format!(" {}", only.as_str()));
            format!("referrers {name} {}{narrowed}", page.limit)
        }
    }
}

fn paged(page: Page) -> String {
    format!("{}{}", page.limit, page.after.map_or(String::new(), |last| format!(" after {last}")))
}

fn refused(error: &RouteError) -> &'static str {
    match error {
        RouteError::Digest(_) => "digest!",
        RouteError::Encoding => "encoding!",
        RouteError::Last => "last!",
        RouteError::Method { .. } => "method!",
        RouteError::MissingDigest => "digest missing!",
        RouteError::Name(_) => "name!",
        RouteError::NoReference(_) => "no reference!",
        RouteError::Number => "number!",
        RouteError::NumberTooLarge { .. } => "number too large!",
        RouteError::Options { .. } => "options",
        RouteError::Tag(_) => "tag!",
        RouteError::TooManyTags { .. } => "too many tags!",
        RouteError::Unknown => "unknown!",
        RouteError::UploadId => "upload!",
    }
}

const SHA256: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const UPLOAD: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8";

fn filled(path: &str) -> String {
    let sha512 = format!("sha512:{}", "ab".repeat(64));
    path.replace("SHA256", SHA256).replace("SHA512", &sha512).replace("ID", UPLOAD)
}

#[test]
fn every_endpoint_of_the_specification_has_its_route() {
    for (method, path, expected) in [
        ("GET", "/v2/", "base"),
        ("GET", "/v2", "base"), // R9: no redirect
        ("HEAD", "/v2/", "base"),
        ("GET", "/v2/_catalog", "catalog 100"),
        ("GET", "/v2/a/tags/list", "tags a 10000"),
        ("HEAD", "/v2/a/b/tags/list", "tags a/b 10000"),
        ("GET", "/v2/a/b/manifests/latest", "read a/b latest"),
        ("HEAD", "/v2/a/manifests/SHA256", &filled("read a SHA256")),
        ("PUT", "/v2/a/manifests/v1", "write a v1 []"),
        ("PUT", "/v2/a/manifests/SHA512", &filled("write a SHA512 []")),
        ("DELETE", "/v2/a/manifests/v1", "delete a v1"),
        ("GET", "/v2/a/blobs/SHA256", "blob Read a"),
        ("HEAD", "/v2/a/blobs/SHA512", "blob Read a"),
        ("DELETE", "/v2/a/blobs/SHA256", "blob Delete a"),
        ("POST", "/v2/a/blobs/uploads/", "start a sha256"),
        ("POST", "/v2/a/blobs/uploads", "start a sha256"), // OC7: no redirect either
        ("POST", "/v2/a/blobs/uploads/?digest-algorithm=sha512", "start a sha512"), // OC9
        ("POST", "/v2/a/blobs/uploads/?digest=SHA512", "start a whole sha512"), // OC8
        ("GET", "/v2/a/blobs/uploads/ID", "upload status a"),
        ("PATCH", "/v2/a/blobs/uploads/ID", "upload append a"),
        ("PUT", "/v2/a/blobs/uploads/ID?digest=SHA256", "upload finish a sha256"),
        ("DELETE", "/v2/a/blobs/uploads/ID", "upload cancel a"),
        ("GET", "/v2/a/referrers/SHA256", "referrers a 1000"),
        ("GET", "/v2/a/referrers/SHA256?artifactType=x%2Fy", "referrers a 1000 x/y"),
    ] {
        assert_eq!(told(method, &filled(path)), expected, "{method} {path}");
    }
}

/// AR11, and what axum's router cannot do.
#[test]
fn words_of_the_path_are_read_from_its_end() {
    for (method, path, expected) in [
        ("GET", "/v2/foo/bar/manifests/manifests/tags", "read foo/bar/manifests tags"),
        ("GET", "/v2/foo/bar/manifests/tags/list", "tags foo/bar/manifests 10000"),
        ("GET", "/v2/x/tags/list/manifests/v1", "read x/tags/list v1"),
        ("GET", "/v2/x/tags/list/tags/list", "tags x/tags/list 10000"),
        ("POST", "/v2/x/manifests/blobs/uploads/", "start x/manifests sha256"),
        ("GET", "/v2/x/blobs/uploads/manifests/v1", "read x/blobs/uploads v1"),
        ("PATCH", "/v2/blobs/uploads/blobs/uploads/ID", "upload append blobs/uploads"),
        ("GET", "/v2/v2/tags/list", "tags v2 10000"),
    ] {
        assert_eq!(told(method, &filled(path)), expected, "{method} {path}");
    }
}

/// AR8, AR10, AR11; docs/protocol.md §15: nothing is cleaned, redirected or decoded twice, and what is
/// authorized is what is served.
#[test]
fn a_path_is_decoded_once_and_never_cleaned() {
    let long = format!("/v2/{}/tags/list", "a".repeat(256));
    let longest = format!("/v2/{}/tags/list", "a".repeat(255));
    for (path, expected) in [
        ("/v2/foo%2Fbar/tags/list", "tags foo/bar 10000"),
        ("/v2/%66oo/bar/tags/list", "tags foo/bar 10000"),
        ("/%76%32/foo/tags/list", "tags foo 10000"),
        ("/v2/foo/tags%2flist", "tags foo 10000"),
        ("/v2/foo%252Fbar/tags/list", "name!"),
        ("/v2/foo/bar%2F..%2Fbaz/tags/list", "name!"),
        ("/v2/foo/../bar/tags/list", "name!"),
        ("/v2/../v2/foo/tags/list", "name!"),
        ("/v2/./foo/tags/list", "name!"),
        ("/v2//foo/tags/list", "name!"),
        ("/v2/foo//bar/tags/list", "name!"),
        ("/v2/foo%00/tags/list", "name!"),
        ("/v2/foo%0a/tags/list", "name!"),
        ("/v2/foo%20bar/tags/list", "name!"),
        ("/v2/FOO/tags/list", "name!"),
        ("/v2/localhost:5000/foo/tags/list", "name!"),
        ("/v2/[::1]:5000/foo/tags/list", "name!"),
        ("/v2/_catalog/tags/list", "name!"),
        ("/v2/é/tags/list", "name!"),
        ("/v2/foo%ff/tags/list", "encoding!"),
        (&long, "name!"), // OC28
        ("/v2/foo/manifests/%2e%2e", "no reference!"),
        ("/v2/foo/manifests/a%2Fb", "unknown!"),
        ("/v2/tags/list", "unknown!"),
        ("/v2/manifests/v1", "unknown!"),
        ("/v2/blobs/uploads/", "unknown!"),
        ("/v2/foo/manifests/", "unknown!"),
        ("/v2/foo/tags/list/", "unknown!"),
        ("/v2/_catalog/", "unknown!"),
        ("/v2/nope", "unknown!"),
        ("/v2/_oci/ext/discover", "unknown!"),
        ("/v2x/foo/tags/list", "unknown!"),
        ("/v1/_ping", "unknown!"),
        ("/", "unknown!"),
        ("*", "unknown!"),
    ] {
        assert_eq!(told("GET", path), expected, "{path}");
    }
    assert!(told("GET", &longest).starts_with("tags a"));
}

/// OC6: distribution takes broken digests for tags and answers 500 with a storage path.
#[test]
fn broken_digests_and_tags_are_no_references() {
    let uppercase = format!("/v2/a/manifests/{}", SHA256.to_uppercase().replace("SHA", "sha"));
    for (path, expected) in [
        ("/v2/a/manifests/sha256:abc", "digest!"),
        ("/v2/a/manifests/sha256:", "digest!"),
        ("/v2/a/manifests/md5:d41d8cd98f00b204e9800998ecf8427e", "digest!"),
        (&uppercase, "digest!"),
        ("/v2/a/manifests/-x", "tag!"),
        (&format!("/v2/a/manifests/{}", "t".repeat(129)), "tag!"),
    ] {
        // What is read is nowhere then; what is written is wrong.
        assert_eq!(told("GET", path), "no reference!", "{path}");
        assert_eq!(told("HEAD", path), "no reference!", "{path}");
        assert_eq!(told("PUT", path), expected, "{path}");
        assert_eq!(told("DELETE", path), expected, "{path}");
    }
    for path in [
        "/v2/a/blobs/sha256:abc",
        "/v2/a/blobs/latest",
        "/v2/a/referrers/sha256:abc",
        "/v2/a/referrers/latest",
    ] {
        assert_eq!(told("GET", path), "digest!", "{path}");
    }
    let as_tag = "/v2/a/manifests/d41d8cd98f00b204e9800998ecf8427e";
    assert!(told("GET", as_tag).starts_with("read a d41d"), "32 hex digits are a legal tag");
}

/// OC29
#[test]
fn methods_that_a_path_does_not_know_name_those_it_does() {
    for (path, known) in [
        ("/v2/", "GET, HEAD"),
        ("/v2/_catalog", "GET, HEAD"),
        ("/v2/a/tags/list", "GET, HEAD"),
        ("/v2/a/manifests/v1", "GET, HEAD, PUT, DELETE"),
        ("/v2/a/blobs/SHA256", "GET, HEAD, DELETE"),
        ("/v2/a/blobs/uploads/", "POST"),
        ("/v2/a/blobs/uploads/ID", "GET, HEAD, PATCH, PUT, DELETE"),
        ("/v2/a/referrers/SHA256", "GET, HEAD"),
    ] {
        let path = filled(path);
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"] {
            let refused = match parse(method, &path) {
                Err(RouteError::Method { method: named, allow }) => {
                    assert_eq!((named.as_str(), allow), (method, known), "{path}");
                    true
                }
                _ => false,
            };
            assert_eq!(refused, !known.split(", ").any(|each| each == method), "{method} {path}");
        }
        assert!(
            matches!(parse("OPTIONS", &path), Err(RouteError::Options { allow }) if allow == known),
            "{path}"
        );
    }
}

/// AR4, AR5, OC8, OC9, OC15, CH12
#[test]
fn an_upload_begins_in_the_way_that_its_query_says() {
    for (query, expected) in [
        ("mount=SHA256&from=c/d", "start a mount c/d"),
        ("from=c%2Fd&mount=SHA256", "start a mount c/d"),
        ("mount=SHA256", "start a mount anywhere"),
        ("mount=SHA256&from=", "start a mount anywhere"),
        ("mount=SHA256&from=c/d&from=x", "start a mount c/d"), // the first counts
        ("mount=SHA256&from=A+b%22c", "start a sha256"),       // CH12
        ("mount=SHA256&from=c/d;x=1", "start a sha256"),
        ("mount=SHA256&from=../d", "start a sha256"),
        ("mount=sha256:abc&from=c/d", "start a sha256"),
        ("from=c/d", "start a sha256"), // AR3: no mount, so no other repository
        ("mount=&from=c/d", "start a sha256"),
        ("mount=SHA256&from=c/d&digest=SHA256", "start a mount c/d"),
        ("digest=SHA256", "start a whole sha256"),
        ("digest=sha256:abc", "digest!"),
        ("digest-algorithm=sha512", "start a sha512"),
        ("digest-algorithm=md5", "digest!"),
        ("", "start a sha256"),
    ] {
        let path = filled(&format!("/v2/a/blobs/uploads/?{query}"));
        assert_eq!(told("POST", &path), expected, "{query}");
    }
}

/// OC12
#[test]
fn an_upload_is_finished_with_a_digest() {
    for (query, expected) in [
        ("?digest=SHA512", "upload finish a sha512"),
        ("", "digest missing!"),
        ("?digest=", "digest missing!"),
        ("?digest=sha256:abc", "digest!"),
        ("?digest=blake3:abc", "digest!"),
    ] {
        let path = filled(&format!("/v2/a/blobs/uploads/ID{query}"));
        assert_eq!(told("PUT", &path), expected, "{query}");
    }
}

/// `OC27b`
#[test]
fn an_upload_session_has_one_spelling() {
    let long = "x".repeat(3000);
    let upper = UPLOAD.to_uppercase();
    let bare = UPLOAD.replace('-', "");
    for id in [&*long, &upper, &bare, "tags", "%00", "..", "{67e55044-10b1-426f-9247-bb680e5fe0c8}"]
    {
        assert_eq!(told("GET", &format!("/v2/a/blobs/uploads/{id}")), "upload!", "{id}");
    }
}

/// OC21, `OC27b`, DX1, CVE-2023-2253
#[test]
fn lists_are_read_in_pages() {
    let long = format!("/v2/a/tags/list?last={}", "x".repeat(5000));
    for (path, expected) in [
        ("/v2/a/tags/list?n=2", "tags a 2"),
        ("/v2/a/tags/list?n=0", "tags a 0"),
        ("/v2/a/tags/list?n=2&last=v1", "tags a 2 after v1"),
        ("/v2/a/tags/list?last=not%20a%20tag", "tags a 10000 after not a tag"),
        ("/v2/a/tags/list?n=99999999999999999999999", "tags a 10000"),
        ("/v2/a/tags/list?n=", "tags a 10000"),
        ("/v2/a/tags/list?n=-1", "number!"),
        ("/v2/a/tags/list?n=%2B1", "number!"),
        ("/v2/a/tags/list?n=two", "number!"),
        ("/v2/a/tags/list?n=1.0", "number!"),
        ("/v2/a/tags/list?last=%00", "last!"),
        (&long, "last!"),
        ("/v2/_catalog?n=1000", "catalog 1000"),
        ("/v2/_catalog?n=0", "catalog 0"),
        ("/v2/_catalog?n=10000", "catalog 10000"),
        ("/v2/_catalog?n=10001", "number too large!"),
        ("/v2/_catalog?n=99999999999999999999999", "number too large!"),
        ("/v2/_catalog?n=5&last=x/y", "catalog 5 after x/y"),
        ("/v2/a/referrers/SHA256?n=5", "referrers a 5"),
        ("/v2/a/referrers/SHA256?n=5000", "referrers a 1000"),
        ("/v2/a/referrers/SHA256?last=v1", "digest!"),
    ] {
        assert_eq!(told("GET", &filled(path)), expected, "{path}");
    }
}

/// OC19
#[test]
fn a_push_by_digest_may_name_many_tags() {
    let by_digest = |query: &str| told("PUT", &filled(&format!("/v2/a/manifests/SHA256?{query}")));
    assert_eq!(by_digest("tag=a&tag=b&tag=a"), filled(r#"write a SHA256 ["a", "b"]"#));
    assert_eq!(by_digest("tag=-x"), "tag!");
    assert_eq!(by_digest("tag="), "tag!");
    let many = |count: usize| (0..count).map(|n| format!("tag=v{n}")).collect::<Vec<_>>().join("&");
    assert!(by_digest(&many(RouteError::MAX_TAGS)).ends_with(r#""v63"]"#));
    assert_eq!(by_digest(&many(RouteError::MAX_TAGS + 1)), "too many tags!");
    assert_eq!(told("PUT", "/v2/a/manifests/v1?tag=b"), "write a v1 []");
}

/// AR1, AR2, AR3, AR6, R8: the registry's whole table of rights. There is no right to make a tag that is
/// none to move it, so none can promise it (zot's CVE-2026-31801).
#[test]
fn every_route_needs_what_the_table_says() {
    for (method, path, needed) in [
        ("GET", "/v2/", ""),
        ("HEAD", "/v2/", ""),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
        ("GET", "/v2/a/b/tags/list", "repository:a/b:pull"),
        ("GET", "/v2/a/b/manifests/v1", "repository:a/b:pull"),
        ("HEAD", "/v2/a/b/manifests/SHA256", "repository:a/b:pull"),
        ("PUT", "/v2/a/b/manifests/v1", "repository:a/b:pull,push"),
        ("PUT", "/v2/a/b/manifests/SHA256?tag=x", "repository:a/b:pull,push"),
        ("DELETE", "/v2/a/b/manifests/v1", "repository:a/b:delete"),
        ("DELETE", "/v2/a/b/manifests/SHA256", "repository:a/b:delete"),
        ("GET", "/v2/a/b/blobs/SHA256", "repository:a/b:pull"),
        ("HEAD", "/v2/a/b/blobs/SHA256", "repository:a/b:pull"),
        ("DELETE", "/v2/a/b/blobs/SHA256", "repository:a/b:delete"),
        ("POST", "/v2/a/b/blobs/uploads/", "repository:a/b:pull,push"),
        ("POST", "/v2/a/b/blobs/uploads/?digest=SHA256", "repository:a/b:pull,push"),
        ("POST", "/v2/a/b/blobs/uploads/?mount=SHA256", "repository:a/b:pull,push"),
        (
            "POST",
            "/v2/a/b/blobs/uploads/?mount=SHA256&from=c/d",
            "repository:a/b:pull,push repository:c/d:pull",
        ),
        ("POST", "/v2/a/b/blobs/uploads/?from=c/d", "repository:a/b:pull,push"),
        ("GET", "/v2/a/b/blobs/uploads/ID", "repository:a/b:pull"),
        ("HEAD", "/v2/a/b/blobs/uploads/ID", "repository:a/b:pull"),
        ("PATCH", "/v2/a/b/blobs/uploads/ID", "repository:a/b:pull,push"),
        ("PUT", "/v2/a/b/blobs/uploads/ID?digest=SHA256", "repository:a/b:pull,push"),
        // Not `delete` as in distribution (AR2, docs/protocol.md §15).
        ("DELETE", "/v2/a/b/blobs/uploads/ID", "repository:a/b:pull,push"),
        ("GET", "/v2/a/b/referrers/SHA256", "repository:a/b:pull"),
        // `from` counts only where it is a mount's (AR3).
        ("GET", "/v2/a/b/tags/list?from=c/d", "repository:a/b:pull"),
    ] {
        let route = parse(method, &filled(path)).unwrap();
        let told: Vec<String> = route.access().iter().map(Access::to_string).collect();
        assert_eq!(told.join(" "), needed, "{method} {path}");
    }
}

proptest! {
    /// What is authorized is what the path says, decoded once (AR10); and nothing panics.
    #[test]
    fn any_path_is_a_route_or_an_error(
        method in "(GET|HEAD|PUT|POST|PATCH|DELETE|OPTIONS)",
        path in "/(v2/)?[a-zA-Z0-9%/._:;@-]{0,80}(/(tags/list|manifests/[a-z0-9:%]{0,20}|blobs/uploads/?|referrers/x))?(\\?[a-z=&%0-9;+]{0,40})?",
    ) {
        if let Ok(uri) = path.parse::<Uri>()
            && let Ok(route) = Route::parse(&method.parse().unwrap(), &uri)
        {
            let decoded = percent_encoding::percent_decode_str(uri.path()).decode_utf8().unwrap();
            for access in route.access() {
                let name = &*access.resource.name;
                prop_assert!(name == "catalog" || decoded.starts_with(&format!("/v2/{name}/")), "{name} in {decoded}");
            }
        }
    }

    #[test]
    fn any_bytes_that_make_a_uri_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(uri) = Uri::try_from(bytes) {
            let _ = Route::parse(&Method::GET, &uri);
        }
    }
}
