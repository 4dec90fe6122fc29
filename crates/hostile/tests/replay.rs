//! The corpora of the fuzzer on the stable toolchain: each file as it is, and changed a little.

#![expect(clippy::unwrap_used, reason = "what cannot be read here fails the test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use portpass_hostile::{TARGETS, Target};
use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config, TestRunner},
};

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The seeds of a target, each with the name of its file.
fn seeds(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = fuzz().join("corpus").join(target.name);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect()
}

#[test]
fn no_seed_breaks_a_promise() {
    let mut broken = Vec::new();
    for target in TARGETS {
        let seeds = seeds(target);
        assert!(seeds.len() >= 3, "{} has {} seeds", target.name, seeds.len());
        for (file, bytes) in seeds {
            assert!(bytes.len() <= 16 * 1024, "{file} is no small seed");
            if std::panic::catch_unwind(|| (target.check)(&bytes)).is_err() {
                broken.push(file);
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// What becomes of a seed.
#[derive(Debug, Clone)]
enum Change {
    Cut(Index),
    Drop(Index),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    /// A stretch of it again, somewhere else.
    Repeat(Index, Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<Index>;
    let odd = prop::sample::select(ODD).prop_map(<[u8]>::to_vec);
    let piece = prop_oneof![odd, prop::collection::vec(any::<u8>(), 1..8)];
    prop_oneof![
        index().prop_map(Change::Cut),
        index().prop_map(Change::Drop),
        (index(), any::<u8>()).prop_map(|(at, bits)| Change::Flip(at, bits)),
        (index(), piece).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (index(), index(), index()).prop_map(|(from, to, at)| Change::Repeat(from, to, at)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let at = |index: &Index| index.index(bytes.len().max(1)).min(bytes.len());
        match change {
            Change::Cut(to) => bytes.truncate(at(to)),
            Change::Drop(index) => {
                let at = at(index);
                bytes.drain(at..(at + 1).min(bytes.len()));
            }
            Change::Flip(index, bits) => {
                let at = at(index);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bits;
                }
            }
            Change::Insert(index, piece) => {
                let at = at(index);
                bytes.splice(at..at, piece.iter().copied());
            }
            Change::Repeat(from, to, into) => {
                let (from, to) = (at(from).min(at(to)), at(from).max(at(to)));
                let (stretch, into) = (bytes[from..to].to_vec(), at(into));
                bytes.splice(into..into, stretch);
            }
        }
    }
    bytes
}

#[test]
fn no_changed_seed_breaks_a_promise() {
    let mut broken = Vec::new();
    for target in TARGETS {
        let seeds: Vec<Vec<u8>> = seeds(target).into_iter().map(|(_, bytes)| bytes).collect();
        let changes = prop::collection::vec(change(), 1..5);
        let strategy = (prop::sample::select(seeds), changes)
            .prop_map(|(seed, changes)| changed(seed, &changes));
        let mut runner = TestRunner::new(Config {
            cases: CASES,
            // Names its own: there is one test for all targets.
            failure_persistence: None,
            ..Config::default()
        });
        let outcome = runner.run(&strategy, |bytes| {
            (target.check)(&bytes);
            Ok(())
        });
        if let Err(error) = outcome {
            broken.push(format!("{}: {error}", target.name));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_target_is_fuzzed_and_every_corpus_is_a_targets() {
    let names: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    let corpora: BTreeSet<String> = fs::read_dir(fuzz().join("corpus"))
        .unwrap()
        .map(|folder| folder.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(corpora.iter().map(String::as_str).eq(names.iter().copied()), "{corpora:?}");
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in &names {
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} is not in fuzz/Cargo.toml"
        );
        let file = fuzz().join(format!("fuzz_targets/{name}.rs"));
        let text =
            fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(text.contains(&format!("portpass_hostile::{name}(")), "{file:?}");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), names.len());
}

/// How often each target's seeds are changed.
const CASES: u32 = 400;

/// What parsers stumble over.
const ODD: &[&[u8]] = &[
    b"\0",
    b"\r\n",
    b"\n",
    b"%2F",
    b"%2e%2e",
    b"%00",
    b"..",
    b"//",
    b"\\",
    b"\"",
    b"'",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b" ",
    b"=",
    b"&",
    b"+",
    b"*",
    b"-1",
    b"18446744073709551616",
    b"1e400",
    b"null",
    b"\xff",
    b"\xc3\x28",
    "\u{202e}".as_bytes(),
    "\u{feff}".as_bytes(),
    "\u{430}".as_bytes(),
    b"${account}",
    b"<<: *a",
    b"&a ",
];
