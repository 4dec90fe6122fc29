//! The documentation says what the program does: its configurations are taken, and it names every
//! command, flag, variable, key and refusal that there is, and no refusal that there is not.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use portpass_protocol::advice::{Advice, FAILURES, Failures, REGISTRY, TOKEN_SERVICE};
use portpass_testkit::{CommandOutput, Portpass, run};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");

#[test]
fn every_configuration_in_the_documentation_is_taken() {
    // Its data directory has what other registries trust.
    let neighbour =
        Portpass::serve(Path::new(PROGRAM), &["--data", "{folder}/data", "--addr", "127.0.0.1:0"]);
    let mut checked = 0;
    for (name, text) in pages() {
        for block in yaml_blocks(&text).filter(|block| is_ours(block)) {
            let folder = tempfile::tempdir().unwrap();
            let block = block.replace("/etc/portpass/", "files/");
            make_files(&block, folder.path(), &neighbour.folder().join("data"));
            fs::write(folder.path().join("portpass.yml"), &block).unwrap();
            let file = folder.path().join("portpass.yml");
            let ran = portpass(&["config", "check", file.to_str().unwrap()]);
            assert_eq!(ran.status, Some(0), "{name}:\n{block}\n{}", ran.stderr);
            checked += 1;
        }
    }
    assert!(checked > 10, "only {checked} configurations were found");
}

#[test]
fn the_page_of_commands_names_every_command_and_flag() {
    let page = page("command-line.md");
    let installation = ["--config", "--data"];
    for flag in installation.into_iter().chain(["--help", "--version"]) {
        assert!(page.contains(flag), "{flag}");
    }
    let (mut names, mut waiting) = (BTreeSet::new(), vec![String::new()]);
    while let Some(command) = waiting.pop() {
        let words: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let help = portpass(&words).stdout;
        let below = listed(&help, "Commands:").filter(|word| !word.starts_with('-'));
        let below: Vec<&str> = below.filter(|word| *word != "help").collect();
        waiting.extend(below.iter().map(|word| format!("{command} {word}").trim().to_owned()));
        // A group is only a way to its commands; `token` is both.
        if is_group(&help) {
            continue;
        }
        let section = section(&page, &format!("## {command}"));
        for flag in flags(&help) {
            let elsewhere = ["--help", "--version"].contains(&flag);
            let shared = installation.contains(&flag) && command != "serve";
            assert!(elsewhere || shared || section.contains(flag), "{command}: {flag}");
        }
        names.insert(command);
    }
    assert!(names.len() > 15, "{names:?}");
    let headings = page.lines().filter_map(|line| line.strip_prefix("## "));
    let headings: BTreeSet<String> = headings.map(str::to_owned).collect();
    assert_eq!(headings, names);
}

#[test]
fn the_page_of_the_configuration_names_every_variable_and_key() {
    let page = page("configuration.md");
    let variables = portpass(&["config", "environment"]).stdout;
    let rows: Vec<&str> = variables.lines().skip(1).collect();
    assert!(rows.len() > 30, "{variables}");
    for row in rows {
        let words: Vec<String> = row.split_whitespace().map(|word| format!("`{word}`")).collect();
        let line = page.lines().find(|line| line.starts_with(&format!("| {} |", words[0])));
        let line = line.unwrap_or_else(|| panic!("{row}"));
        assert!(words.iter().all(|word| line.contains(word)), "{row}: {line}");
    }
    let schema: Value = serde_json::from_str(&portpass(&["config", "schema"]).stdout).unwrap();
    let mut keys = BTreeSet::new();
    collect_keys(&schema, &schema, "", &mut keys);
    assert!(keys.len() > 50, "{keys:?}");
    let documented: BTreeSet<String> = first_cells(section(&page, "## Every key")).collect();
    assert_eq!(documented, keys);
}

#[test]
fn every_refusal_is_explained_and_none_is_invented() {
    let ids = refusal_ids();
    assert!(ids.len() > 80 && ids.contains("token-expired"), "{ids:?}");
    let (registry, tokens) = (page("registry.md"), page("token-service.md"));
    let documented: BTreeSet<String> = first_cells(section(&registry, "## Refusals"))
        .chain(first_cells(section(&tokens, "### Refusal ids")))
        .collect();
    assert_eq!(documented, ids);
}

/// `explain` and `token inspect` say what the pages say.
#[test]
fn the_advice_on_a_refusal_is_the_same_in_the_program_and_on_the_page() {
    let (registry, tokens) = (page("registry.md"), page("token-service.md"));
    for (table, section) in [
        (REGISTRY, section(&registry, "## Refusals")),
        (TOKEN_SERVICE, section(&tokens, "### Refusal ids")),
    ] {
        let written: Vec<(String, String)> =
            section.lines().filter(|line| line.starts_with("| `")).flat_map(advice_in).collect();
        let known: Vec<(String, String)> = table
            .iter()
            .map(|advice| (advice.id.to_owned(), advice.what_to_do.to_owned()))
            .collect();
        assert_eq!(written, known);
    }
}

#[test]
fn the_known_failures_are_the_same_in_the_program_and_on_the_page() {
    let page = page("registry.md");
    let section = section(&page, "### Known failures");
    let written: Vec<&str> = section.lines().filter(|line| line.starts_with("| F")).collect();
    let is = |row: &str, advice: &Advice| advice.failures.rows().contains(&row);
    let known = FAILURES.iter().map(|failure| {
        let mut ids: Vec<&str> = Vec::new();
        for advice in REGISTRY.iter().chain(TOKEN_SERVICE).filter(|advice| is(failure.row, advice))
        {
            if !ids.contains(&advice.id) {
                ids.push(advice.id);
            }
        }
        if Failures::OF_SCOPES.contains(&failure.row) {
            ids.push("insufficient-scope");
        }
        let ids: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
        format!("| {} | {} | {} |", failure.row, failure.what, ids.join(", "))
    });
    assert_eq!(written, known.collect::<Vec<String>>());
}

#[test]
fn the_pages_are_whole_and_links_between_them_lead_somewhere() {
    for (name, text) in pages() {
        assert!(!text.contains("\n<<<<<<< ") && !text.contains("\n>>>>>>> "), "{name}: two texts");
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let from = root().join(&name);
            let path = match file {
                "" => from,
                file => from.parent().unwrap().join(file),
            };
            let there = fs::read(&path).unwrap_or_else(|_| panic!("{name}: {target}"));
            let there = String::from_utf8_lossy(&there);
            let heading = |line: &str| line.starts_with('#') && anchor_of(line) == anchor;
            assert!(anchor.is_empty() || there.lines().any(heading), "{name}: {target}");
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A promise without its test would be a wish.
#[test]
fn the_tests_that_the_security_page_names_exist() {
    let page = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let code = all_code();
    let mut named = 0;
    for word in page.split('`').skip(1).step_by(2) {
        let is_name = word.matches('_').count() > 2 && !word.contains(['/', '.']);
        if is_name {
            assert!(code.contains(&format!("fn {word}(")), "{word}");
            named += 1;
        } else if word.starts_with("crates/") {
            assert!(root().join(word).exists(), "{word}");
        }
    }
    assert!(named > 15, "only {named} tests are named");
}

/// In the last column a `yes` names its test, and anything else is a `no`.
#[test]
fn each_yes_of_the_comparison_names_a_test_that_exists() {
    let (page, code) = (page("comparison.md"), all_code());
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let (mut yes, mut no) = (0, 0);
    for row in rows.filter(|row| !row.starts_with("| --- ") && !row.ends_with("| portpass |")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 9, "{row}");
        let ours = cells[8];
        if ours == "no" {
            no += 1;
            continue;
        }
        assert!(ours.starts_with("yes"), "{row}");
        let tests: Vec<&str> = ours.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "{row}");
        for test in tests {
            assert!(code.contains(&format!("fn {test}(")), "{row}");
        }
        yes += 1;
    }
    assert!(yes > 40 && no > 2, "{yes} {no}");
}

/// Of the crates whose tests a page may name.
fn all_code() -> String {
    let crates = [
        "admin",
        "app",
        "authority",
        "client",
        "config",
        "jose",
        "password",
        "registry",
        "server",
        "state",
        "token",
    ];
    let files = crates.iter().flat_map(|name| all_sources(&root().join("crates").join(name)));
    files.map(|file| fs::read_to_string(file).unwrap()).collect()
}

#[test]
fn the_page_of_operations_names_every_figure_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let text = "http: { addr: \"127.0.0.1:0\" }\nadmin: { addr: \"127.0.0.1:0\" }\nregistry: {}\ntoken_service: {}\n";
    fs::write(folder.path().join("portpass.yml"), text).unwrap();
    let arguments = ["--config", "{folder}/portpass.yml", "--data", "{folder}/data"];
    let portpass = Portpass::serve_in(Path::new(PROGRAM), &arguments, folder);
    portpass.wait_for_log(&["admin interface", "listens"]);
    let metrics: Vec<String> = portpass.addresses().into_iter().map(metrics_at).collect();
    let metrics = metrics.iter().find(|text| text.contains("portpass_build")).unwrap();
    let types = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let real: BTreeSet<String> = types
        .map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            let suffix = match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            format!("{name}{suffix}")
        })
        .collect();
    let page = page("operations.md");
    let written: BTreeSet<String> = first_cells(section(&page, "## What to watch"))
        .filter(|cell| cell.starts_with("portpass_"))
        .map(|cell| cell.split('{').next().unwrap().to_owned())
        .collect();
    assert_eq!(written, real);
}

fn metrics_at(address: SocketAddr) -> String {
    let ask = async move {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(format!("http://{address}/metrics")).send().await.unwrap().text().await.unwrap()
    };
    tokio::runtime::Runtime::new().unwrap().block_on(ask)
}

/// Both READMEs and everything in `docs`, each with its name.
fn pages() -> Vec<(String, String)> {
    let docs = fs::read_dir(root().join("docs")).unwrap();
    let docs = docs.map(|entry| format!("docs/{}", entry.unwrap().file_name().to_str().unwrap()));
    let names = docs
        .filter(|name| Path::new(name).extension().is_some_and(|kind| kind == "md"))
        .chain(["README.md", "README.zh-CN.md", "CHANGELOG.md"].map(str::to_owned));
    names.map(|name| (name.clone(), fs::read_to_string(root().join(name)).unwrap())).collect()
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).unwrap()
}

fn portpass(arguments: &[&str]) -> CommandOutput {
    let home = tempfile::tempdir().unwrap();
    run(Command::new(PROGRAM).args(arguments).env_clear().env("HOME", home.path()), "")
}

fn yaml_blocks(text: &str) -> impl Iterator<Item = &str> {
    text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap())
}

/// Distribution's own file begins with its version; a list is rules or what is expected of them.
fn is_ours(block: &str) -> bool {
    !block.starts_with("version:") && !block.starts_with("- ")
}

/// The rules of the page decide as the page says.
#[test]
fn the_expectations_on_the_page_of_rules_hold_and_its_rule_file_is_taken() {
    let text = page("rules.md");
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).unwrap();
    let blocks: Vec<&str> = yaml_blocks(&text).collect();
    let list = |key: &str| {
        *blocks.iter().find(|block| block.starts_with(&format!("- {{ {key}:"))).unwrap()
    };
    write("portpass.yml", blocks[0]);
    write("expected.yml", list("as"));
    let here = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let tested = ["policy", "test", &here("expected.yml"), "--config", &here("portpass.yml")];
    let tested = portpass(&tested);
    assert_eq!(tested.status, Some(0), "{tested}");
    write("rules.yml", list("allow"));
    write("own.yml", "data: data\ntoken_service: { policy_file: rules.yml }\n");
    let checked = portpass(&["config", "check", &here("own.yml")]);
    assert_eq!(checked.status, Some(0), "{checked}");
}

/// Puts the files in place that a configuration names.
fn make_files(block: &str, folder: &Path, trusted: &Path) {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let published = |name| fs::read_to_string(trusted.join(name)).unwrap();
    for (key, content) in [
        ("certificate: ", pair.cert.pem()),
        (" key: ", pair.signing_key.serialize_pem()),
        ("rootcertbundle: ", published("root.crt")),
        ("jwks: ", published("jwks.json")),
        ("path: ", USERS.to_owned()),
        (" ca: ", pair.cert.pem()),
        ("_file: ", "opensesame".to_owned()),
        ("docker-auth: ", "acl: []\n".to_owned()),
    ] {
        for rest in block.split(key).skip(1) {
            let name = rest.split([',', ' ', '}', '\n']).next().unwrap();
            // `path:` is the path of a URL too.
            if !name.starts_with('/') {
                let path = folder.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, &content).unwrap();
            }
        }
    }
}

/// The first line of usage ends with what a group needs: one of its commands.
fn is_group(help: &str) -> bool {
    help.lines().any(|line| line.starts_with("Usage:") && line.ends_with("<COMMAND>"))
}

/// The first words of the lines below a heading of `--help`.
fn listed<'a>(help: &'a str, heading: &str) -> impl Iterator<Item = &'a str> {
    let below = help.split_once(heading).map_or("", |(_, below)| below);
    let lines = below.lines().skip(1).take_while(|line| !line.is_empty());
    lines
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
}

/// The long flags of a command.
fn flags(help: &str) -> impl Iterator<Item = &str> {
    let options = help.split_once("Options:").map_or("", |(_, below)| below);
    let heads = options.lines().filter(|line| line.trim_start().starts_with('-'));
    heads.filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")))
}

/// From a heading to the next that is not below it.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let level = heading.split(' ').next().unwrap().len();
    let start = page.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("{heading}"));
    let text = &page[start + heading.len() + 2..];
    let ends = (1..=level).filter_map(|level| text.find(&format!("\n{} ", "#".repeat(level))));
    &text[..ends.min().unwrap_or(text.len())]
}

/// What stands as code in the first cells of tables.
fn first_cells(text: &str) -> impl Iterator<Item = String> {
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    cells.flat_map(|cell| {
        let words = cell.split('`').step_by(2).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect::<Vec<_>>()
    })
}

/// The ids of a row, and what its last cell says to do; a link as a terminal shows it.
fn advice_in(row: &str) -> Vec<(String, String)> {
    let advice = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
    let mut plain = String::new();
    let mut rest = advice;
    while let Some((before, link)) = rest.split_once('[') {
        let (text, target) = link.split_once("](").unwrap();
        let (target, after) = target.split_once(')').unwrap();
        let file = target.split('#').next().unwrap();
        plain.extend([before, text, " in docs/", file]);
        rest = after;
    }
    plain.push_str(rest);
    first_cells(row).map(|id| (id, plain.clone())).collect()
}

/// Every property of a schema, as a path from the top.
fn collect_keys(whole: &Value, node: &Value, path: &str, keys: &mut BTreeSet<String>) {
    if let Some(reference) = node["$ref"].as_str() {
        let target = whole.pointer(reference.trim_start_matches('#')).unwrap();
        collect_keys(whole, target, path, keys);
    }
    for word in ["anyOf", "oneOf", "allOf"] {
        for alternative in node[word].as_array().into_iter().flatten() {
            collect_keys(whole, alternative, path, keys);
        }
    }
    if node["items"].is_object() {
        collect_keys(whole, &node["items"], &format!("{path}[]"), keys);
    }
    for (name, below) in node["properties"].as_object().into_iter().flatten() {
        let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect_keys(whole, below, &key, keys);
        keys.insert(key);
    }
}

/// The ids in the sources: what methods called `id` give, and what refusals are made with.
fn refusal_ids() -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for name in ["authority", "federation", "jose", "registry", "server", "token"] {
        for file in sources(&root().join("crates").join(name).join("src")) {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            for body in code.split("fn id(").skip(1).filter(|rest| is_word(rest)) {
                ids.extend(words(until_closed(body, '{', '}')));
            }
            for maker in [
                "RequestOutcome::refused",
                "Refusal::new",
                "because",
                "Refusal::internal",
                "Refusal::unavailable",
            ] {
                for call in code.split(&format!("{maker}(")).skip(1) {
                    ids.extend(words(until_closed(&format!("({call}"), '(', ')')));
                }
            }
        }
    }
    ids
}

/// Whether the method gives a word, not an id of another kind.
fn is_word(method: &str) -> bool {
    method.split('{').next().unwrap().contains("-> &'static str")
}

fn all_sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found =
        entries.flat_map(|path| if path.is_dir() { all_sources(&path) } else { vec![path] });
    found.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    let is_code = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "rs")
            && !path
                .components()
                .any(|part| ["tests", "tests.rs"].map(Some).contains(&part.as_os_str().to_str()))
    };
    found.filter(is_code).collect()
}

/// The text up to the bracket that closes the first one.
fn until_closed(text: &str, open: char, close: char) -> &str {
    let mut depth = 0;
    for (at, character) in text.char_indices() {
        depth += i32::from(character == open) - i32::from(character == close);
        if character == close && depth == 0 {
            return &text[..at];
        }
    }
    text
}

/// Literals that are one word in lower case, with dashes.
fn words(code: &str) -> impl Iterator<Item = String> {
    let plain = |text: &&str| {
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(known)
    };
    code.split('"').skip(1).step_by(2).filter(plain).map(str::to_owned)
}

/// What a heading is called in a link.
fn anchor_of(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

const USERS: &str = "ann:$2y$05$Ldt2JY77LMtMeeRB9fe.3etCZ520N8TBAb0FoajNAtK1zbeyCOrMu\n";
