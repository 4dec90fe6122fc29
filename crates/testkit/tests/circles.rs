//! Holds the modules of each crate to an order: of two siblings at most one knows the other, also by way of
//! others. A parent and its own children may know each other.
//!
//! Who knows whom is read in the source: `use` statements, and paths that begin with `crate`, `self` or
//! `super`. A name that a module only passes on (`pub use`) is followed to where it comes from. Tests may
//! know what they like.

mod modules;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use modules::{Crate, Name};

#[test]
fn no_siblings_know_each_other_in_a_circle() {
    let mut found = Vec::new();
    let mut modules = 0;
    for (name, root) in crates() {
        let read = Crate::read(&root);
        modules += read.modules.len();
        for circle in circles(&read.knows()) {
            found.push(format!("{name}: {circle}"));
        }
    }
    assert!(modules > 300, "only {modules} modules were read");
    assert!(found.is_empty(), "modules know each other in a circle:\n{}", found.join("\n"));
}

/// One edge by `use`, one by a name that a third module passes on, one within a macro, one in an attribute;
/// none in what is for tests.
#[test]
fn paths_are_found_wherever_they_stand() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
    write("lib.rs", "mod a; mod b; mod c; mod d; mod e; pub use self::a::One;").expect("a file");
    write("a.rs", "use crate::b::Two; pub struct One; mod tests { use crate::e::Five; }")
        .expect("a file");
    write("b.rs", "pub struct Two; fn f() -> crate::One { crate::One }").expect("a file");
    write("c.rs", "fn g() { println!(\"{}\", super::d::FOUR); }").expect("a file");
    write("d.rs", "#[error(\"{}\", x = crate::e::FIVE)] pub struct Four;").expect("a file");
    write("e.rs", "#[cfg(test)] mod tests { use crate::c::Three; }").expect("a file");
    let read = Crate::read(&folder.path().join("lib.rs"));
    let edges: Vec<String> = read
        .knows()
        .into_keys()
        .map(|(from, to)| format!("{} {}", from.join("::"), to.join("::")))
        .collect();
    assert_eq!(edges, [" a", "a b", "a::tests e", "b a", "c d", "d e"]);
}

#[test]
fn a_circle_is_found_and_a_parent_is_none() {
    let knows = |pairs: &[(&str, &str)]| -> BTreeMap<(Name, Name), String> {
        let name = |text: &str| text.split("::").map(str::to_owned).collect::<Name>();
        pairs.iter().map(|(one, other)| ((name(one), name(other)), String::new())).collect()
    };
    assert_eq!(circles(&knows(&[("a", "a::b"), ("a::b", "a"), ("a", "c")])).len(), 0);
    assert_eq!(circles(&knows(&[("a::b", "c"), ("c::d", "a")])).len(), 1);
    assert_eq!(circles(&knows(&[("x::a", "x::b"), ("x::b", "x::c"), ("x::c", "x::a")])).len(), 1);
    assert_eq!(circles(&knows(&[("a", "b"), ("b", "c"), ("a", "c")])).len(), 0);
}

/// The roots of all our crates, by folder name.
fn crates() -> BTreeMap<String, PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut roots = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("the crates") {
        let path = entry.expect("a folder").path();
        let root = ["src/lib.rs", "src/main.rs"].map(|name| path.join(name));
        let root = root.into_iter().find(|root| root.is_file()).expect("a root");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        roots.insert(name, root);
    }
    assert!(roots.len() > 10, "{roots:?}");
    roots
}

/// The circles among siblings, each told by the statements that close it.
fn circles(knows: &BTreeMap<(Name, Name), String>) -> Vec<String> {
    let mut siblings: BTreeMap<Name, BTreeMap<(String, String), Vec<String>>> = BTreeMap::new();
    for ((from, to), at) in knows {
        let shared = from.iter().zip(to).take_while(|(one, other)| one == other).count();
        if let (Some(one), Some(other)) = (from.get(shared), to.get(shared)) {
            let edges = siblings.entry(from[..shared].to_vec()).or_default();
            let text = format!("    {} knows {} {at}", from.join("::"), to.join("::"));
            edges.entry((one.clone(), other.clone())).or_default().push(text);
        }
    }
    let mut circles = Vec::new();
    for (parent, edges) in siblings {
        let names: BTreeSet<&String> = edges.keys().flat_map(|(from, to)| [from, to]).collect();
        let mut seen = BTreeSet::new();
        for name in names {
            let circle = circle_of(name, &edges);
            if circle.len() < 2 || !seen.insert(circle.clone()) {
                continue;
            }
            let inside =
                |(from, to): &(String, String)| circle.contains(from) && circle.contains(to);
            let why: Vec<&str> = edges
                .iter()
                .filter(|(edge, _)| inside(edge))
                .flat_map(|(_, why)| why.iter().map(String::as_str))
                .collect();
            let members: Vec<&str> = circle.iter().map(String::as_str).collect();
            let parent = parent.join("::");
            circles.push(format!(
                "{{{}}} below `{parent}`\n{}",
                members.join(", "),
                why.join("\n")
            ));
        }
    }
    circles
}

/// All that `name` reaches and that reach it.
fn circle_of(name: &String, edges: &BTreeMap<(String, String), Vec<String>>) -> BTreeSet<String> {
    let reach = |forward: bool| {
        let mut reached = BTreeSet::new();
        let mut open = vec![name];
        while let Some(next) = open.pop() {
            for (from, to) in edges.keys() {
                let (at, leads) = if forward { (from, to) } else { (to, from) };
                if at == next && reached.insert(leads.clone()) {
                    open.push(leads);
                }
            }
        }
        reached
    };
    reach(true).intersection(&reach(false)).cloned().collect()
}
