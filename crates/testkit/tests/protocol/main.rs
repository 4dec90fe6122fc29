//! The rules that comments cite by number, held against `docs/protocol.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

mod citations;
mod page;

use citations::{Citation, Tests, citations};
use page::{Rule, faults, rules};

#[test]
fn the_page_has_every_number_once_and_leaves_none_out() {
    let page = read("docs/protocol.md");
    assert!(rules(&page).len() > 150, "this test reads the page wrongly");
    assert_none(&faults(&rules(&page)));
}

#[test]
fn every_rule_and_section_that_is_cited_is_on_the_page() {
    let page = read("docs/protocol.md");
    let known: BTreeSet<String> = rules(&page).into_iter().map(|rule| rule.number).collect();
    let sections = page::sections(&page);
    let (mut missing, mut cited) = (Vec::new(), 0);
    for (name, text) in texts() {
        for Citation { rule, line } in citations(&text) {
            cited += 1;
            if !known.contains(&rule) {
                missing.push(format!("{name}:{line}: {rule} is not in docs/protocol.md"));
            }
        }
        for (section, line) in citations::sections(&text) {
            if !sections.contains(&section) {
                missing.push(format!("{name}:{line}: docs/protocol.md has no section {section}"));
            }
        }
    }
    assert!(cited > 700, "only {cited} citations were found");
    assert_none(&missing);
}

#[test]
fn every_must_is_cited_by_a_test() {
    let cited = cited_by_tests();
    let page = read("docs/protocol.md");
    assert_none(&without_test(&rules(&page), &cited));
}

fn without_test(rules: &[Rule], cited: &BTreeSet<String>) -> Vec<String> {
    let musts = rules.iter().filter(|rule| rule.level == "MUST");
    let untested = musts.filter(|rule| !cited.contains(&rule.number));
    let told = |rule: &Rule| {
        format!("docs/protocol.md:{}: {} is a MUST that no test cites", rule.line, rule.number)
    };
    untested.map(told).collect()
}

fn cited_by_tests() -> BTreeSet<String> {
    let mut crates: BTreeMap<String, Vec<(syn::File, String)>> = BTreeMap::new();
    for (name, text) in texts().into_iter().filter(|(name, _)| is_rust(Path::new(name))) {
        let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let of = name.split('/').take(2).collect::<Vec<_>>().join("/");
        crates.entry(of).or_default().push((file, text));
    }
    let mut cited = BTreeSet::new();
    for files in crates.values() {
        let tests = Tests::of(files.iter().map(|(file, _)| file));
        for (file, text) in files {
            cited.extend(tests.cited(file, text));
        }
    }
    cited
}

/// Everything that may cite: sources, pages, and the page of rules itself. Not this test, which cites
/// rules that do not exist.
fn texts() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for folder in ["crates", "docs", "fuzz/fuzz_targets", "xtask"] {
        collect(&root().join(folder), &mut files);
    }
    files.push(root().join("CONTRIBUTING.md"));
    let name = |path: PathBuf| {
        let name = path.strip_prefix(root()).expect("a file of the tree");
        let name = name.to_str().expect("a name that is text").to_owned();
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, text)
    };
    let own = root().join("crates/testkit/tests/protocol");
    files.into_iter().filter(|file| !file.starts_with(&own)).map(name).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry of the folder").path();
        if path.is_dir() {
            if !path.ends_with("target") {
                collect(&path, files);
            }
        } else if is_rust(&path) || path.extension().is_some_and(|kind| kind == "md") {
            files.push(path);
        }
    }
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind == "rs")
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the root of the tree")
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn numbers_are_read_in_lists_and_ranges_and_nowhere_else() {
    let cited = |text: &str| {
        let cited: Vec<String> = citations(text).into_iter().map(|cited| cited.rule).collect();
        cited.join(" ")
    };
    for (text, expected) in [
        ("/// JW3, JW4; `OC27b`", "JW3 JW4 OC27b"),
        ("(SC8, T6): both", "SC8 T6"),
        ("CH1 to CH4", "CH1 CH2 CH3 CH4"),
        ("HT1–HT3, JW1", "HT1 HT2 HT3 JW1"),
        ("CH3 to T5", "CH3 T5"),
        ("panic!(\"TG10\")", "TG10"),
        ("JW99", "JW99"),
        ("fn of<T1>(x: Y<R2>)", ""),
        ("YW5uOg/R1/T2+CH3=OC4%AR5", ""),
        ("F60, CHAL-05, JWT, JW, JW06, JW6ab, AWS4-HMAC", ""),
    ] {
        assert_eq!(cited(text), expected, "{text}");
    }
    let read =
        citations::sections("x\nprotocol.md §1, §3, JW2; §9\nprotocol, RFC 9110 §14\n§15\n§2.1");
    assert_eq!(read, [(1, 2), (3, 2)]);
}

#[test]
fn a_page_with_a_fault_is_found_out() {
    let page = "## 1. One\n| JW1 | MUST | x | y |\n| JW3 | ALWAYS | x | y |\n| JW1 | MAY | x | y |\n| letters | x |\n";
    assert_eq!(
        faults(&rules(page)),
        [
            "docs/protocol.md:3: JW3 has no level: \"ALWAYS\"",
            "docs/protocol.md:4: JW1 stands in line 2 too",
            "docs/protocol.md: JW2 is missing",
        ]
    );
    let untested = without_test(&rules(page), &BTreeSet::from(["JW3".to_owned()]));
    assert_eq!(untested, ["docs/protocol.md:2: JW1 is a MUST that no test cites"]);
    assert_eq!(page::sections(page), BTreeSet::from([1]));
}

/// A citation elsewhere in the code is none of a test.
#[test]
fn only_what_tests_cite_is_cited_by_tests() {
    let source = r#"//! JW1
/// JW2
fn plain() { /* JW3 */ }

// JW4
/// JW5
#[test]
fn of_a_test() {
    assert!(true, "JW6"); // JW7
}
// JW8

#[tokio::test(flavor = "multi_thread")]
async fn of_another() {} // JW9

macro_rules! on_both { ($($name:ident)*) => { $(#[tokio::test] async fn $name() {})* } }
/// JW10
async fn listed() {}
/// JW11
async fn not_listed() {}
on_both! { listed }

macro_rules! other { ($name:ident) => {} }
other! { plain }

mod tests {
    proptest! {
        /// JW12
        #[test]
        fn any(text in "x") {}
    }
}
"#;
    let file = syn::parse_file(source).expect("a source");
    let cited = Tests::of([&file].into_iter()).cited(&file, source);
    let cited: Vec<&str> = cited.iter().map(String::as_str).collect();
    assert_eq!(cited, ["JW10", "JW12", "JW4", "JW5", "JW6", "JW7", "JW9"]);
}
