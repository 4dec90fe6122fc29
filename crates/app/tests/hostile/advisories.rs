//! The table of known vulnerabilities in `docs/hardening.md`, compared with the tests that it names.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_advisory_on_the_page_has_a_test_that_names_it() {
    let page = fs::read_to_string(root().join("docs/hardening.md")).unwrap();
    let table =
        page.split("## Known vulnerabilities").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut named = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [ids, _, test] = cells[..] else { panic!("{row}") };
        let (file, name) =
            test.trim_matches('`').split_once(' ').unwrap_or_else(|| panic!("{row}"));
        let path = root().join("crates").join(file);
        let source = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        assert!(source.contains(&format!("fn {name}(")), "{file} has no test {name}");
        for id in ids.split(", ") {
            let said = comment_above(&source, name);
            assert!(
                said.contains(id),
                "the comment of {name} in {file} does not name {id}: {said}"
            );
            named.insert(id.to_owned());
        }
    }
    let missing: Vec<&&str> = ADVISORIES.iter().filter(|id| !named.contains(**id)).collect();
    assert!(missing.is_empty(), "no row of the page has {missing:?}");
}

/// The comment that stands before a test.
fn comment_above(source: &str, name: &str) -> String {
    let before = source.split(&format!("fn {name}(")).next().unwrap_or_default();
    // Without the line that the test's name stands on.
    let before = before.rsplit_once('\n').map_or("", |(before, _)| before);
    let lines = before.lines().rev().map(str::trim);
    let comment = lines.take_while(|line| line.starts_with("///") || line.starts_with("#["));
    comment.collect::<Vec<_>>().join(" ")
}

/// What others have had, and we must not.
const ADVISORIES: &[&str] = &[
    // Registries and token services
    "CVE-2025-24976",
    "CVE-2023-2253",
    "CVE-2017-11468",
    "GHSA-qq97-vm5h-rrhg",
    "CVE-2021-41190",
    "CVE-2026-35172",
    "CVE-2026-41888",
    "CVE-2024-39897",
    "CVE-2025-23208",
    "CVE-2025-48374",
    "CVE-2026-31801",
    "CVE-2020-29662",
    "CVE-2019-19030",
    "CVE-2020-13794",
    "CVE-2023-20902",
    "GHSA-prh4-vhfh-24mj",
    "CVE-2026-28699",
    "CVE-2024-5037",
    // Clients
    "CVE-2026-33540",
    "CVE-2020-15157",
    "CVE-2026-48978",
    "CVE-2026-50151",
    "GHSA-vh4v-2xq2-g5cg",
    "CVE-2026-49349",
    "CVE-2019-10214",
    "CVE-2021-41092",
    "CVE-2021-32690",
    "CVE-2024-3727",
    "GHSA-qv35-3gw6-8q4j",
    "CVE-2023-46737",
    // Tokens, and the crates that read them
    "CVE-2025-30204",
    "CVE-2016-9122",
    "CVE-2026-34986",
    "CVE-2026-25537",
    "RUSTSEC-2026-0199",
    "RUSTSEC-2023-0071",
    // The wire
    "CVE-2023-44487",
];
