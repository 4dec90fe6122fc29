//! What the scripts in `forge/` make: tokens, and the files with the keys to trust.

use std::{collections::BTreeMap, fs, path::Path, process::Command, sync::LazyLock};

use portpass_testkit::run;

/// Tokens and files of one run, by name.
pub(crate) struct Forged {
    files: BTreeMap<String, String>,
    tokens: BTreeMap<String, String>,
}

impl Forged {
    /// Of the one run that all tests share.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: LazyLock<Forged> =
            LazyLock::new(|| Forged::make(&["keys", "chains", "oracle"]));
        &SHARED
    }

    /// Of a run of its own, for tokens that would not wait for the other tests to end.
    pub(crate) fn oracle_anew() -> Self {
        Self::make(&["oracle"])
    }

    pub(crate) fn file(&self, name: &str) -> &str {
        self.files.get(name).unwrap_or_else(|| panic!("no file {name:?} was forged"))
    }

    /// # Panics
    /// If there is no token of that name.
    pub(crate) fn token(&self, name: &str) -> &str {
        self.tokens.get(name).unwrap_or_else(|| panic!("no token {name:?} was forged"))
    }

    pub(crate) fn has_token(&self, name: &str) -> bool {
        self.tokens.contains_key(name)
    }

    fn make(parts: &[&str]) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        // Debian's own: it is the one that finds Debian's packages.
        let mut python = Command::new("/usr/bin/python3");
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign_tokens/forge/forge.py");
        python.arg("-B").arg(script).arg(folder.path()).args(parts);
        run(&mut python, "").expect_success();
        let forged = fs::read_to_string(folder.path().join("forged.json")).unwrap();
        let mut forged: BTreeMap<String, BTreeMap<String, String>> =
            serde_json::from_str(&forged).unwrap();
        let mut take = |name| forged.remove(name).unwrap();
        Self { files: take("files"), tokens: take("tokens") }
    }
}
