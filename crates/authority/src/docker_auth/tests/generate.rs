//! Lists and requests as people have them, mixed by a seed, with placeholders wherever they may stand.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::docker_auth::EntryText;

/// What is asked, and by whom.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) account: String,
    #[serde(rename = "type")]
    pub(super) resource_type: String,
    pub(super) name: String,
    pub(super) service: String,
    #[serde(default)]
    pub(super) ip: Option<String>,
    pub(super) labels: BTreeMap<String, Vec<String>>,
    pub(super) actions: Vec<String>,
}

/// Numbers that follow from a seed (`SplitMix64`).
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) >> 1).unwrap() % bound
    }

    fn choose<'a>(&mut self, things: &[&'a str]) -> &'a str {
        things[self.below(things.len())]
    }

    fn some(&mut self, things: &[&str]) -> Vec<String> {
        let chosen: Vec<&str> = things.iter().copied().filter(|_| self.below(3) == 0).collect();
        chosen.into_iter().map(str::to_owned).collect()
    }

    fn maybe(&mut self, of: usize, things: &[&str]) -> Option<String> {
        (self.below(of) == 0).then(|| self.choose(things).to_owned())
    }

    /// One to six entries.
    pub(super) fn acl(&mut self) -> Vec<EntryText> {
        (0..=self.below(6)).map(|_| self.entry()).collect()
    }

    fn entry(&mut self) -> EntryText {
        let mut labels = BTreeMap::new();
        for _ in 0..self.below(3).saturating_sub(self.below(2)) {
            labels.insert(self.choose(LABELS).to_owned(), self.choose(LABEL_PATTERNS).to_owned());
        }
        EntryText {
            account: self.maybe(2, ACCOUNT_PATTERNS),
            resource_type: self.maybe(5, TYPE_PATTERNS),
            name: (self.below(4) > 0).then(|| self.name_pattern()),
            service: self.maybe(8, SERVICE_PATTERNS),
            ip: self.maybe(8, NETWORKS),
            labels,
            actions: match self.below(4) {
                0 => vec!["*".to_owned()],
                1 => vec![],
                _ => self.some(ACTIONS),
            },
            comment: None,
        }
    }

    /// From a list, or of pieces.
    fn name_pattern(&mut self) -> String {
        if self.below(2) == 0 {
            return self.choose(NAME_PATTERNS).to_owned();
        }
        let pieces: Vec<&str> = (0..=self.below(4)).map(|_| self.choose(PIECES)).collect();
        match self.below(3) {
            0 => format!("/{}/", pieces.concat()),
            1 => format!("/^{}$/", pieces.concat()),
            _ => pieces.concat(),
        }
    }

    pub(super) fn asked(&mut self) -> Asked {
        let mut labels = BTreeMap::new();
        for name in LABELS {
            let values = self.some(LABEL_VALUES);
            if !values.is_empty() {
                labels.insert((*name).to_owned(), values);
            }
        }
        let account = self.choose(ACCOUNTS).to_owned();
        if account.is_empty() {
            labels.clear();
        }
        let mut actions = self.some(ACTIONS);
        actions.push("pull".to_owned());
        actions.sort();
        actions.dedup();
        Asked {
            account,
            resource_type: self
                .choose(&["repository", "repository", "repository", "registry"])
                .to_owned(),
            name: self.choose(NAMES).to_owned(),
            service: self.choose(&["registry", "Docker registry"]).to_owned(),
            ip: self.maybe(2, ADDRESSES),
            labels,
            actions,
        }
    }
}

const ACTIONS: &[&str] = &["pull", "push", "delete", "*", "read"];

const ACCOUNTS: &[&str] = &["", "ann", "bob", "ci-1", "ann@test.com", "dev.team"];

const NAMES: &[&str] = &[
    "ann/app",
    "bob/app",
    "team/app",
    "team/app/x",
    "prod",
    "my-product-x",
    "red/app",
    "red-blue/x",
    "dev.team/x",
    "devxteam/x",
    "test.com/app",
    "catalog",
    "a",
    "test/deep/er",
    "ci-1",
    "blue-red",
];

const ACCOUNT_PATTERNS: &[&str] = &[
    "",
    "ann",
    "bob",
    "*",
    "ci-*",
    "/.+/",
    "/.*/",
    "/^(ann|bob)$/",
    "/a/",
    "/^(.+)@(test.com)$/",
    "ann@*",
    "[a-c]*",
    "[^a]*",
    "?*",
    "${labels:group}",
    "/^${labels:group}$/",
    "${name:1}",
    "/^(b)?(.*)$/",
    "//",
    "/^${name}/",
];

const TYPE_PATTERNS: &[&str] =
    &["repository", "registry", "*", "/^repo/", "reg?stry", "${account}"];

const NAME_PATTERNS: &[&str] = &[
    "*",
    "**",
    "*/*",
    "team/*",
    "team/**",
    "prod",
    "/prod/",
    "/^prod$/",
    "${account}/*",
    "/^${account}/",
    "/^${account}\\//",
    "${account:1}/*",
    "${account:2}/app",
    "${Account:2}/*",
    "${account:9}/*",
    "${labels:group}/*",
    "${labels:group}-${labels:tier}/*",
    "/^${labels:tier}-x?/",
    "{labels:tier}/*",
    "${labels:none}/*",
    "test.com/*",
    "my-*-?",
    "[a-t]*/app",
    "catalog",
    "/^(team|red)\\/(.+)$/",
    "*-*/x",
    "/(x|app)$/",
    "",
    "te*/*p*",
    "${name}",
    "/^${type}/",
    "${labels:group}",
    "/${labels:group}/",
    "${account:0}",
    "ann\\/app",
    "team/[",
    "/^(.*)-(.*)$/",
    "*[^a]*",
    "*p/[^x]*",
];

const PIECES: &[&str] = &[
    "team",
    "/",
    "*",
    "a",
    "pp",
    "?",
    "[a-z]",
    "[^/]",
    "${account}",
    "${labels:group}",
    "${labels:tier}",
    "red",
    "-",
    "prod",
    "blue",
    "x",
    ".",
    ".+",
    "(a|b)",
];

const SERVICE_PATTERNS: &[&str] =
    &["registry", "*registry", "/docker/", "Docker*", "${service}", "/^${type}?/"];

const NETWORKS: &[&str] =
    &["10.0.0.0/8", "10.1.2.3", "192.168.0.0/16", "0.0.0.0/0", "::1", "10.1.2.3/30"];

const ADDRESSES: &[&str] = &["10.1.2.3", "10.1.2.2", "192.168.7.7", "11.0.0.1", "::1"];

const LABELS: &[&str] = &["group", "tier", "team"];

const LABEL_VALUES: &[&str] = &[
    "dev", "VIP", "red", "blue", "*", ".*", "test/*", "team", "(", "my", "ann", "[", "prod",
    "a|red", "app",
];

const LABEL_PATTERNS: &[&str] = &[
    "dev",
    "VIP",
    "/dev|VIP/",
    "*",
    "${account}",
    "/^${name}$/",
    "${labels:tier}",
    "r?d",
    "/^[a-z]+$/",
    "${type}*",
];
