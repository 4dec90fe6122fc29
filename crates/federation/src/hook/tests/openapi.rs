//! What is sent and what is understood, held against `docs/http-accounts.yaml`.

use jsonschema::Validator;
use proptest::prelude::*;

use super::*;

const DOCUMENT: &str = include_str!("../../../../../docs/http-accounts.yaml");

fn document() -> Value {
    serde_saphyr::from_str(DOCUMENT).unwrap()
}

/// A schema of the document, which may refer to the others.
fn schema(name: &str) -> Validator {
    let document = document();
    let schema = json!({
        "$ref": format!("#/components/schemas/{name}"),
        "components": document["components"],
    });
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

#[test]
fn the_document_is_openapi_3_1_and_its_examples_are_what_it_says() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let post = &document["paths"]["/portpass"]["post"];
    for (body, name) in [(&post["requestBody"], "Question"), (&post["responses"]["200"], "Answer")]
    {
        let json = &body["content"]["application/json"];
        assert_eq!(json["schema"]["$ref"], format!("#/components/schemas/{name}"));
        let schema = schema(name);
        let examples = json["examples"].as_object().unwrap();
        assert!(examples.len() >= 3);
        for (title, example) in examples {
            let value = &example["value"];
            assert!(schema.is_valid(value), "{title}: {value}");
            if name == "Answer" {
                Answer::parse(value.to_string().as_bytes()).unwrap();
            }
        }
    }
}

/// Every question is what the document says, with nothing beside it.
#[test]
fn what_is_asked_is_described() {
    let schema = schema("Question");
    let password = PASSWORD.into();
    let own = Some("2001:db8::1".parse().unwrap());
    for question in [
        login(&password),
        Question::Login { name: "ann", password: &password, service: "", address: None },
        Question::Login { name: "ann", password: &password, service: "r", address: own },
        Question::Lookup { account: AccountKey::Name("ann") },
        Question::Lookup { account: AccountKey::Id("42") },
    ] {
        let value: Value = serde_json::from_slice(&question.to_json()).unwrap();
        assert!(schema.is_valid(&value), "{value}");
        let described = &document()["components"]["schemas"];
        let described = ["Login", "LookupByName", "LookupById"].map(|name| &described[name]);
        let kind = described.iter().find(|kind| {
            let properties = kind["properties"].as_object().unwrap();
            value.as_object().unwrap().keys().all(|member| properties.contains_key(member))
        });
        assert!(kind.is_some(), "{value}");
    }
    for wrong in [json!({ "question": "login", "name": "ann" }), json!({ "question": "lookup" })] {
        assert!(!schema.is_valid(&wrong), "{wrong}");
    }
}

/// One member of an answer or of what is in it, right, wrong or misspelt.
fn value() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just(json!("")),
        Just(json!("ann")),
        Just(json!("yes")),
        Just(json!("no")),
        Just(json!("unknown")),
        Just(json!("unavailable")),
        Just(json!("pull")),
        Just(json!("*")),
        Just(json!(null)),
        Just(json!(true)),
        Just(json!(0)),
        Just(json!(-1)),
        Just(json!(1.5)),
        Just(json!(1_798_761_600_u64)),
        Just(json!(1_798_761_600.0)),
        Just(json!(253_402_300_800_u64)),
    ];
    word.prop_recursive(3, 24, 4, |inner| {
        let name = prop_oneof![
            Just("answer"),
            Just("reason"),
            Just("account"),
            Just("id"),
            Just("name"),
            Just("version"),
            Just("groups"),
            Just("labels"),
            Just("ceiling"),
            Just("actions"),
            Just("repositories"),
            Just("valid_until"),
            Just("celing"),
        ];
        let name = name.prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::btree_map(name, inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// An answer that is nearly always right, with one member put in at one place.
fn answer() -> impl Strategy<Value = Value> {
    let whole = json!({
        "answer": "yes",
        "account": {
            "id": "42", "name": "ann", "version": "1", "groups": ["developers"], "labels": { "team": ["red"] },
            "ceiling": { "actions": ["pull"], "repositories": ["a/*"] }, "valid_until": 1_798_761_600,
        },
    });
    let starts = prop_oneof![
        4 => Just(whole),
        1 => Just(json!({ "answer": "no", "reason": "locked", "account": { "name": "ann" } })),
        1 => Just(json!({ "answer": "unknown" })),
        1 => Just(json!({ "answer": "unavailable", "reason": null })),
    ];
    let places = prop_oneof![
        Just("/answer"),
        Just("/reason"),
        Just("/account"),
        Just("/more"),
        Just("/account/id"),
        Just("/account/name"),
        Just("/account/version"),
        Just("/account/groups"),
        Just("/account/labels"),
        Just("/account/labels/team"),
        Just("/account/ceiling"),
        Just("/account/ceiling/actions"),
        Just("/account/ceiling/repositories"),
        Just("/account/ceiling/more"),
        Just("/account/valid_until"),
        Just("/account/more"),
    ];
    (starts, places, value()).prop_map(|(mut answer, place, value)| {
        let (parent, member) = place.rsplit_once('/').unwrap();
        if let Some(Value::Object(parent)) = answer.pointer_mut(parent) {
            parent.insert(member.to_owned(), value);
        }
        answer
    })
}

thread_local! {
    static ANSWER: Validator = schema("Answer");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    /// Whoever writes a service by the document is understood, and whatever is understood is in the document.
    #[test]
    fn what_is_understood_is_what_is_described(answer in prop_oneof![answer(), value()]) {
        let understood = Answer::parse(answer.to_string().as_bytes());
        let described = ANSWER.with(|schema| schema.is_valid(&answer));
        prop_assert_eq!(understood.is_ok(), described, "{}: {:?}", answer, understood);
    }

    #[test]
    fn foreign_bytes_never_panic_and_are_not_repeated(bytes in prop::collection::vec(any::<u8>(), 0..128)) {
        let _ = Answer::parse(&bytes);
    }
}
