use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn pointer(media_type: &str, of: &str, size: i64) -> Value {
    json!({ "mediaType": media_type, "digest": Digest::sha256(of.as_bytes()).to_string(), "size": size })
}

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OciManifest.as_str(),
        "config": pointer(CONFIG, "config", 6),
        "layers": [pointer(LAYER, "one", 3), pointer(LAYER, "two", 3)],
        "somebody.elses": { "Digest": [1, 2] },
    })
}

fn index() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OciIndex.as_str(),
        "manifests": [pointer(MediaType::OciManifest.as_str(), "amd64", 5), pointer(MediaType::OciManifest.as_str(), "arm64", 5)],
    })
}

/// `base` with members put in; null takes a member out.
fn with(mut base: Value, members: &Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        match value {
            Value::Null => drop(base.as_object_mut().unwrap().remove(name)),
            value => base[name] = value.clone(),
        }
    }
    base
}

fn parse(document: &Value, media_type: MediaType) -> Result<Links, ManifestError> {
    Links::parse(document.to_string().as_bytes(), media_type)
}

fn refusal(document: &Value, media_type: MediaType) -> String {
    parse(document, media_type).unwrap_err().to_string()
}

fn digests<'a>(descriptors: impl IntoIterator<Item = &'a Descriptor>) -> Vec<Digest> {
    descriptors.into_iter().map(|descriptor| descriptor.digest).collect()
}

#[test]
fn the_links_of_every_kind_are_read() {
    let of = |text: &str| Digest::sha256(text.as_bytes());
    for kind in [MediaType::OciManifest, MediaType::DockerManifest] {
        let links = parse(&with(image(), &json!({ "mediaType": kind.as_str() })), kind).unwrap();
        assert_eq!(digests(links.blobs()), [of("config"), of("one"), of("two")]);
        assert!(links.manifests.is_empty());
    }
    for kind in [MediaType::OciIndex, MediaType::DockerManifestList] {
        let links = parse(&with(index(), &json!({ "mediaType": kind.as_str() })), kind).unwrap();
        assert_eq!(digests(&links.manifests), [of("amd64"), of("arm64")]);
        assert_eq!(links.blobs().count(), 0);
    }
}

/// OC18, OC24
#[test]
fn a_referrer_names_its_subject_and_its_type() {
    let subject = pointer(MediaType::OciManifest.as_str(), "subject", 7);
    let referrer = with(image(), &json!({ "subject": subject, "annotations": { "a": "b" } }));
    let links = parse(&referrer, MediaType::OciManifest).unwrap();
    assert_eq!(links.subject.as_ref().unwrap().digest, Digest::sha256(b"subject"));
    assert_eq!(links.referrer_type(), Some(CONFIG));
    assert_eq!(links.annotations["a"], "b");
    let typed = with(referrer, &json!({ "artifactType": "application/vnd.example" }));
    assert_eq!(
        parse(&typed, MediaType::OciManifest).unwrap().referrer_type(),
        Some("application/vnd.example")
    );
    let list = with(index(), &json!({ "subject": subject }));
    let links = parse(&list, MediaType::OciIndex).unwrap();
    assert!(links.subject.is_some());
    assert_eq!(links.referrer_type(), None);
    let docker = with(list, &json!({ "mediaType": MediaType::DockerManifestList.as_str() }));
    assert_eq!(parse(&docker, MediaType::DockerManifestList).unwrap().subject, None);
}

/// OC16
#[test]
fn content_types_are_those_of_manifests_whatever_their_parameters() {
    for kind in MediaType::ALL {
        let header = format!(" {} ; charset=utf-8", kind.as_str());
        assert_eq!(MediaType::from_content_type(&header), Ok(kind));
    }
    let refused = |header| MediaType::from_content_type(header).unwrap_err().to_string();
    assert_snapshot!(refused("application/json"), @r#"media type "application/json" is not that of a manifest or index of OCI or docker (schema 2)"#);
    assert_snapshot!(refused("application/vnd.docker.distribution.manifest.v1+prettyjws"), @"docker manifests of schema 1 are not supported; push the image again as schema 2 or OCI");
    assert!(MediaType::from_content_type("").is_err());
}

/// OC17, GHSA-qq97-vm5h-rrhg
#[test]
fn a_manifest_that_two_clients_could_take_for_two_things_is_refused() {
    let both = with(image(), &json!({ "manifests": [] }));
    assert_snapshot!(refusal(&both, MediaType::OciManifest), @r#"application/vnd.oci.image.manifest.v1+json must not have the member "manifests""#);
    let both = with(index(), &json!({ "layers": [] }));
    assert_snapshot!(refusal(&both, MediaType::OciIndex), @r#"application/vnd.oci.image.index.v1+json must not have the member "layers""#);
    let both = with(index(), &json!({ "config": pointer(CONFIG, "config", 6) }));
    assert_snapshot!(refusal(&both, MediaType::OciIndex), @r#"application/vnd.oci.image.index.v1+json must not have the member "config""#);
    assert_snapshot!(refusal(&image(), MediaType::OciIndex), @r#"manifest says it is "application/vnd.oci.image.manifest.v1+json", but came as application/vnd.oci.image.index.v1+json"#);
    assert_snapshot!(refusal(&image(), MediaType::DockerManifest), @r#"manifest says it is "application/vnd.oci.image.manifest.v1+json", but came as application/vnd.docker.distribution.manifest.v2+json"#);
    let bare = with(image(), &json!({ "mediaType": null }));
    assert!(parse(&bare, MediaType::OciManifest).is_ok());
    assert_snapshot!(refusal(&bare, MediaType::DockerManifest), @r#"manifest says it is "", but came as application/vnd.docker.distribution.manifest.v2+json"#);
    let spelt = with(image(), &json!({ "Manifests": [] }));
    assert_snapshot!(refusal(&spelt, MediaType::OciManifest), @r#"manifest member "Manifests" must be spelt "manifests""#);
    let spelt = with(image(), &json!({ "layerſ": [] }));
    assert_snapshot!(refusal(&spelt, MediaType::OciManifest), @r#"manifest member "layerſ" must be spelt "layers""#);
    let twice = image().to_string().replacen('{', "{\"layers\":[],", 1);
    assert_snapshot!(Links::parse(twice.as_bytes(), MediaType::OciManifest).unwrap_err(), @r#"manifest has the member "layers" twice"#);
}

/// OC17, GHSA-qq97-vm5h-rrhg: readers differ in how they match the names of members.
#[test]
fn what_a_manifest_points_at_is_the_same_to_every_reader() {
    let stranger = Digest::sha256(b"another").to_string();
    for (document, kind, list) in
        [(image(), MediaType::OciManifest, "layers"), (index(), MediaType::OciIndex, "manifests")]
    {
        for (member, value) in [
            ("Digest", json!(stranger)),
            ("DIGEST", json!(stranger)),
            ("Size", json!(1)),
            ("\u{17f}ize", json!(1)),
            ("MediaType", json!("x")),
        ] {
            let mut document = document.clone();
            document[list][0][member] = value;
            let error = parse(&document, kind).unwrap_err();
            assert!(matches!(error, ManifestError::Case { .. }), "{member}: {error}");
        }
        let text = document.to_string().replacen("\"digest\":", "\"x\":1,\"x\":2,\"digest\":", 1);
        let error = Links::parse(text.as_bytes(), kind).unwrap_err();
        assert_eq!(error, ManifestError::Duplicate { key: "x".to_owned() });
    }
    for member in ["config", "subject"] {
        let mut document = with(image(), &json!({ "subject": pointer(CONFIG, "subject", 7) }));
        document[member]["Digest"] = json!(stranger);
        assert!(
            matches!(parse(&document, MediaType::OciManifest), Err(ManifestError::Case { .. })),
            "{member}"
        );
    }
    // Elsewhere names are nobody's business.
    let free = with(
        image(),
        &json!({ "annotations": { "a": "1", "A": "2" }, "x": { "digest": 1, "Digest": 2 } }),
    );
    assert!(parse(&free, MediaType::OciManifest).is_ok());
}

/// RFC 8259 §8.1: of what is not UTF-8, or no number, some readers make something and others nothing.
#[test]
fn values_that_nobody_asks_for_have_to_be_json_too() {
    let place = |value: &[u8]| {
        let text = image().to_string().replacen('{', "{\"x\":VALUE,", 1);
        let (before, after) = text.split_once("VALUE").unwrap();
        let bytes = [before.as_bytes(), value, after.as_bytes()].concat();
        Links::parse(&bytes, MediaType::OciManifest)
    };
    for value in [
        &b"\"\xff\""[..],
        b"\"\xc3\x28\"",
        b"\"\\ud800\"",
        b"1e999",
        b"[\"\xff\"]",
        b"{\"\xff\":1}",
    ] {
        let refused = matches!(place(value), Err(ManifestError::Json { .. }));
        assert!(refused, "{}", String::from_utf8_lossy(value));
    }
    for value in ["\"\u{e9}\"", "\"\\ud83d\\ude00\"", "-1.5e3", "[[null,true]]", "{\"a\":{}}"] {
        assert!(place(value.as_bytes()).is_ok(), "{value}");
    }
}

/// What distribution takes negative sizes.
#[test]
fn sizes_are_numbers_that_clients_can_hold() {
    for size in ["-1", "9223372036854775808", "18446744073709551616", "1.5", "1e3"] {
        let text = image().to_string().replace("\"size\":6", &format!("\"size\":{size}"));
        let error = Links::parse(text.as_bytes(), MediaType::OciManifest).unwrap_err();
        assert!(matches!(error, ManifestError::Size { .. }), "{size}: {error}");
    }
    let text = image().to_string().replace("\"size\":6", "\"size\":9223372036854775807");
    assert!(Links::parse(text.as_bytes(), MediaType::OciManifest).is_ok());
}

#[test]
fn what_is_no_manifest_is_refused_by_name() {
    let kind = MediaType::OciManifest;
    assert_snapshot!(refusal(&with(image(), &json!({ "schemaVersion": 1 })), kind), @"docker manifests of schema 1 are not supported; push the image again as schema 2 or OCI");
    assert_snapshot!(refusal(&with(image(), &json!({ "schemaVersion": null })), kind), @"manifest schema version must be 2");
    assert_snapshot!(refusal(&with(image(), &json!({ "config": null })), kind), @r#"application/vnd.oci.image.manifest.v1+json must have the member "config""#);
    assert_snapshot!(refusal(&json!([]), kind), @"manifest is not readable: invalid type: sequence, expected a JSON object at line 1 column 0");
    assert_snapshot!(Links::parse(b"not json", kind).unwrap_err(), @"manifest is not readable: expected ident at line 1 column 2");
    assert_snapshot!(Links::parse(b"{} {}", kind).unwrap_err(), @"manifest is not readable: trailing characters at line 1 column 4");
    let foreign = image().to_string().replace("sha256:", "md5:");
    assert_snapshot!(Links::parse(foreign.as_bytes(), kind).unwrap_err(), @r#"manifest is not readable: digest algorithm "md5" is not supported; `sha256` and `sha512` are at line 1 column 90"#);
}

/// OC16: 4 MiB exactly is the most.
#[test]
fn the_longest_manifest_is_four_mebibytes() {
    let mut text = image().to_string().into_bytes();
    text.resize(MAX_LENGTH, b' ');
    assert!(Links::parse(&text, MediaType::OciManifest).is_ok());
    text.push(b' ');
    assert_snapshot!(Links::parse(&text, MediaType::OciManifest).unwrap_err(), @"manifest of 4194305 bytes is longer than 4194304");
}

#[test]
fn what_a_manifest_has_is_bounded_in_number() {
    let kind = MediaType::OciManifest;
    // With the config they are one more.
    let layers = |number| json!({ "layers": vec![pointer(LAYER, "one", 3); number] });
    assert_eq!(parse(&with(image(), &layers(4095)), kind).unwrap().layers.len(), 4095);
    assert_snapshot!(refusal(&with(image(), &layers(4096)), kind), @"manifest has 4097 descriptors, and may have 4096 at the most");
    assert_snapshot!(refusal(&with(image(), &layers(9000)), kind), @"manifest has 9001 descriptors, and may have 4096 at the most");
    let subject = json!({ "subject": pointer(MediaType::OciManifest.as_str(), "amd64", 5) });
    let both = with(with(image(), &layers(4095)), &subject);
    assert_snapshot!(refusal(&both, kind), @"manifest has 4097 descriptors, and may have 4096 at the most");
    let entries = vec![pointer(MediaType::OciManifest.as_str(), "amd64", 5); 4097];
    let entries = with(index(), &json!({ "manifests": entries }));
    assert_snapshot!(refusal(&entries, MediaType::OciIndex), @"manifest has 4097 descriptors, and may have 4096 at the most");

    let annotations = |number: usize, value: &str| {
        let all = (0..number).map(|number| (format!("{number:04}"), value.into()));
        json!({ "annotations": all.collect::<serde_json::Map<_, _>>() })
    };
    assert!(parse(&with(image(), &annotations(1024, &"x".repeat(252))), kind).is_ok());
    assert_snapshot!(refusal(&with(image(), &annotations(1025, "")), kind), @"manifest has 1025 annotations, and may have 1024 at the most");
    assert_snapshot!(refusal(&with(image(), &annotations(1, &"x".repeat(262_141))), kind), @"manifest has 262145 bytes of annotations, and may have 262144 at the most");
}

/// A body that is full of them would be held many times over.
#[test]
fn no_more_annotations_are_held_than_a_manifest_may_have() {
    let many: serde_json::Map<_, _> =
        (0..5000).map(|number| (number.to_string(), "".into())).collect();
    let read: Annotations = serde_json::from_value(many.into()).unwrap();
    assert_eq!((read.found, read.kept.len()), (5000, MAX_ANNOTATIONS));
    let long: serde_json::Map<_, _> =
        (0..9).map(|number| (number.to_string(), "x".repeat(100_000).into())).collect();
    let read: Annotations = serde_json::from_value(long.into()).unwrap();
    assert_eq!((read.found, read.kept.len(), read.length), (9, 2, 900_009));
}

/// Go writes no layers at all as null, and depth is bounded.
#[test]
fn go_s_nulls_are_taken_and_deep_nesting_is_not() {
    let text = image().to_string().replace("\"layers\":[", "\"layers\":null,\"was\":[");
    assert!(Links::parse(text.as_bytes(), MediaType::OciManifest).unwrap().layers.is_empty());
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
    assert!(Links::parse(deep.as_bytes(), MediaType::OciManifest).is_err());
}

/// DX3
#[test]
fn foreign_layers_need_not_be_here() {
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let windows = with(
        image(),
        &json!({ "layers": [pointer(foreign, "base", 9), pointer(LAYER, "own", 3)] }),
    );
    let links = parse(&windows, MediaType::OciManifest).unwrap();
    assert_eq!(digests(links.blobs()), [Digest::sha256(b"config"), Digest::sha256(b"own")]);
    assert_eq!(links.layers.len(), 2);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = Links::parse(&bytes, MediaType::OciManifest);
    }

    #[test]
    fn a_known_name_is_taken_in_one_spelling_only(name in prop::sample::select(vec!["manifests", "config", "layers", "mediaType", "subject"]), upper: u16) {
        let spelt: String = name.chars().enumerate()
            .map(|(at, c)| if upper >> at & 1 == 1 { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect();
        prop_assume!(spelt != name);
        let document = with(image(), &json!({ spelt: [] }));
        let refused = matches!(parse(&document, MediaType::OciManifest), Err(ManifestError::Case { .. }));
        prop_assert!(refused);
    }

    /// GHSA-qq97-vm5h-rrhg: to nobody is one document two kinds of manifest, and what it points at is
    /// what a reader of plain JSON sees.
    #[test]
    fn a_document_is_of_one_kind_and_points_at_what_it_says(
        members in prop::collection::vec((prop::sample::select(MEMBERS), any_value()), 0..7),
    ) {
        let members: Vec<String> = members.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
        let text = format!("{{{}}}", members.join(","));
        let mut taken = MediaType::ALL.into_iter().filter_map(|kind| Links::parse(text.as_bytes(), kind).ok());
        if let Some(links) = taken.next() {
            prop_assert_eq!(taken.next(), None, "{}", text);
            let document: Value = serde_json::from_str(&text).unwrap();
            let listed = |name: &str| document[name].as_array().map_or(0, Vec::len);
            prop_assert_eq!(links.layers.len(), listed("layers"));
            prop_assert_eq!(links.manifests.len(), listed("manifests"));
            let config = links.config.map(|config| config.digest.to_string());
            prop_assert_eq!(config.as_deref(), document["config"]["digest"].as_str());
        }
    }
}

const MEMBERS: &[&str] =
    &["schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "Layers", "x"];

/// Values that members of a manifest have, right or wrong.
fn any_value() -> impl Strategy<Value = String> {
    let one = pointer("a/b", "x", 3).to_string();
    let values = [
        "2".to_owned(),
        "1".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "[null]".to_owned(),
        format!("[{one}]"),
        format!("[{one},{one}]"),
        one,
    ];
    let kinds = MediaType::ALL.map(|kind| format!("{:?}", kind.as_str()));
    prop::sample::select([&values[..], &kinds[..]].concat())
}
