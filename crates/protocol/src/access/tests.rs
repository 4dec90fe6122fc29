use proptest::prelude::*;

use super::*;

fn set(text: &str) -> AccessSet {
    text.parse().unwrap()
}

fn access(text: &str) -> Access {
    set(text).into_iter().next().unwrap()
}

/// SC7
#[test]
fn entries_of_one_resource_are_merged() {
    let merged = set("repository:a:pull repository:b:pull repository:a:push,pull");
    assert_eq!(merged.to_string(), "repository:a:pull,push repository:b:pull");
}

#[test]
fn coverage_is_exact_in_type_name_and_action() {
    // (granted, needed, covered): SC5, SC6
    let table = [
        ("repository:a/b:pull", "repository:a/b:pull", true),
        ("repository:a/b:pull,push", "repository:a/b:pull,push", true),
        ("repository:a/b:pull", "repository:a/b:pull,push", false),
        ("repository:a/b:*", "repository:a/b:pull,push,delete", true),
        ("repository:a/b:PULL", "repository:a/b:pull", false),
        ("Repository:a/b:pull", "repository:a/b:pull", false),
        ("repository:*:pull", "repository:a/b:pull", false),
        ("*:a/b:pull", "repository:a/b:pull", false),
        ("repository:a:pull", "repository:a/b:pull", false),
        ("registry:catalog:*", "registry:catalog:*", true),
        ("registry:catalog:pull", "registry:catalog:*", false),
    ];
    for (granted, needed, covered) in table {
        let granted: AccessSet = granted
            .split(' ')
            .map(|entry| {
                let mut parts = entry.splitn(3, ':');
                let resource_type = parts.next().unwrap().into();
                let name = parts.next().unwrap().into();
                let actions = parts.next().unwrap().split(',').map(Action::from).collect();
                Access { resource: Resource { resource_type, name }, actions }
            })
            .collect();
        assert_eq!(granted.covers(&access(needed)), covered, "{granted} covers {needed}");
    }
}

#[test]
fn the_claim_keeps_empty_entries_and_refuses_what_is_no_entry() {
    let json = r#"[{"type":"repository","name":"a","actions":[]},{"type":"repository","name":"b","actions":["pull"]}]"#;
    let read: AccessSet = serde_json::from_str(json).unwrap();
    assert_eq!(read.actions_on(&Resource::repository("a")), Some(&Actions::none()));
    assert_eq!(serde_json::to_string(&read).unwrap(), json);
    // JW7
    for broken in ["[5]", "{}", r#"[{"type":"repository","name":"a","actions":"pull"}]"#] {
        assert!(serde_json::from_str::<AccessSet>(broken).is_err(), "{broken}");
    }
    let missing: AccessSet =
        serde_json::from_str(r#"[{"type":"repository","name":"a","actions":null}]"#).unwrap();
    assert_eq!(missing.len(), 1);
}

#[test]
fn an_intersection_writes_a_star_out() {
    let asked = set("repository:a:* repository:b:pull,push repository:c:pull");
    let held = set("repository:a:pull,delete repository:b:*");
    assert_eq!(
        asked.intersection(&held).to_string(),
        "repository:a:pull,delete repository:b:pull,push repository:c:"
    );
}

proptest! {
    #[test]
    fn an_intersection_is_covered_by_both_sides(
        left in "(repository:[ab]:(pull|push|delete|\\*)(,(pull|push|delete|\\*)){0,2} ){1,4}",
        right in "(repository:[ab]:(pull|push|delete|\\*)(,(pull|push|delete|\\*)){0,2} ){1,4}",
    ) {
        let (left, right) = (set(left.trim()), set(right.trim()));
        for access in &left.intersection(&right) {
            prop_assert!(left.covers(access), "{left} covers {access}");
            prop_assert!(right.covers(access), "{right} covers {access}");
        }
    }

    /// JW2, JW7, SC7: whatever a claim lists is merged, and stays so when it is written and read again.
    #[test]
    fn a_list_reads_back_as_it_was_written(
        entries in prop::collection::vec(
            ("(repository|registry|\\*|\\PC{0,6})", "([ab](/[ab]){0,2}|\\PC{0,8})", prop::collection::vec("(pull|push|\\*|\\PC{0,4})", 0..4)),
            0..6,
        ),
    ) {
        let list: Vec<_> = entries.iter().map(|(resource_type, name, actions)| {
            serde_json::json!({ "type": resource_type, "name": name, "actions": actions })
        }).collect();
        let read: AccessSet = serde_json::from_value(list.into()).unwrap();
        let again: AccessSet = serde_json::from_str(&serde_json::to_string(&read).unwrap()).unwrap();
        prop_assert_eq!(&again, &read);
        prop_assert!(read.len() <= entries.len());
        for access in &read {
            prop_assert!(read.covers(access));
        }
        prop_assert_eq!(&read.intersection(&read), &read);
    }

    #[test]
    fn any_text_is_a_list_or_none(text in "(\\PC|repository:|pull|,| ){0,40}") {
        if let Ok(list) = text.parse::<AccessSet>() {
            prop_assert_eq!(list.to_string().parse::<AccessSet>().unwrap(), list);
        }
    }
}
