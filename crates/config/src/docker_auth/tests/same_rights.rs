use super::*;

/// Numbers that follow from a seed (`SplitMix64`).
struct Rng(u64);

impl Rng {
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

    fn maybe(&mut self, of: usize, things: &[&str]) -> Option<String> {
        (self.below(of) == 0).then(|| self.choose(things).to_owned())
    }

    fn entry(&mut self) -> EntryText {
        let actions: &[&str] = match self.below(5) {
            0 => &["*"],
            1 => &[],
            2 => &["pull", "push", "delete"],
            3 => &["pull", "push"],
            _ => &["pull"],
        };
        EntryText {
            account: self.maybe(2, ACCOUNTS),
            resource_type: self.maybe(3, &["repository", "registry", "*"]),
            name: self.maybe(2, NAMES),
            service: self.maybe(8, &["registry", "other"]),
            ip: self.maybe(8, &["10.0.0.7/8", "10.1.2.3", "::ffff:10.1.2.3"]),
            actions: actions.iter().map(|word| (*word).to_owned()).collect(),
            ..EntryText::default()
        }
    }
}

const ACCOUNTS: &[&str] =
    &["ann", "bob", "", "/.+/", "*", "/^(ann|bob)$/", "a*", "/^ann$/", "?ob", "/.*/"];
const NAMES: &[&str] = &[
    "team/*",
    "team/app",
    "*",
    "/^team\\/.*$/",
    "${account}/*",
    "/^${account}\\/.+$/",
    "catalog",
    "/.*/",
    "/^team$/",
    "te?m/*/x",
    "team-*",
    "/^team\\/[^\\/]+$/",
    "",
    "*/app",
];

/// All that can be told apart with these patterns.
fn requests() -> Vec<(Option<&'static str>, &'static str, &'static str, Option<IpAddr>)> {
    let mut all = Vec::new();
    for account in [None, Some("ann"), Some("bob"), Some("carl")] {
        for name in [
            "team/app", "team", "team/a/x", "ann/app", "ann/a/b", "app", "team-1", "x/app",
            "catalog",
        ] {
            for service in ["registry", "other"] {
                for address in [None, Some("10.1.2.3"), Some("11.0.0.1")] {
                    all.push((account, name, service, address.map(|ip| ip.parse().unwrap())));
                }
            }
        }
    }
    all
}

fn granted(
    policy: &dyn Policy,
    (account, name, service, address): (Option<&str>, &str, &str, Option<IpAddr>),
    catalog: bool,
) -> String {
    let subject = account.map_or(Subject::Anonymous, |name| {
        Subject::from(Account {
            source: SourceName::htpasswd(),
            id: AccountId::new(name),
            version: CredentialVersion::new("1"),
            name: name.parse().unwrap(),
            groups: [].into(),
            labels: Labels::default(),
            kind: AccountKind::Person,
            ceiling: None,
            valid_until: None,
        })
    });
    let service = ServiceName::new(service);
    let request =
        Request { subject: &subject, service: &service, address, now: SystemTime::UNIX_EPOCH };
    let requested = if catalog {
        Access { resource: Resource::catalog(), actions: [Action::Any].into_iter().collect() }
    } else {
        Access::repository(name, [Action::Pull, Action::Push, Action::Delete])
    };
    policy.decide(&request, &requested).granted.to_string()
}

/// Whatever is written as rules gives everybody what the ACL gives.
#[test]
fn rules_give_what_the_entries_give() {
    let seed = match std::env::var_os("PORTPASS_IMPORT_SEED") {
        Some(seed) => seed.to_str().and_then(|seed| seed.parse().ok()).unwrap(),
        None => std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), "import"),
    };
    println!("PORTPASS_IMPORT_SEED={seed}");
    let (mut rng, requests) = (Rng(seed), requests());
    let (mut rules, mut inexact) = (0, 0);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portpass.yml");
    for _ in 0..2_000 {
        let entries: Vec<EntryText> = (0..=rng.below(4)).map(|_| rng.entry()).collect();
        let Ok(translated) = rules::translate(&entries, true) else {
            inexact += 1;
            continue;
        };
        if translated.is_empty() || rules >= 150 {
            continue;
        }
        rules += 1;
        let text = format!(
            "data: /tmp\ntoken_service:\n  services: [{{ name: registry }}, {{ name: other }}]\n  policy:\n    {}\n",
            translated.join("\n    ")
        );
        std::fs::write(&file, &text).unwrap();
        let sources = Sources { config: Some(file.clone()), ..Sources::default() };
        let config = Config::load(&sources, &Environment::default());
        let config = config.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}"));
        let ours = config.token_service.unwrap().policy.policy();
        let theirs = Acl::parse(entries.clone()).unwrap();
        for request in &requests {
            for catalog in [false, true] {
                let (ours, theirs) =
                    (granted(&*ours, *request, catalog), granted(&theirs, *request, catalog));
                assert_eq!(
                    ours, theirs,
                    "seed {seed}: {request:?} catalog {catalog}\n{text}{entries:#?}"
                );
            }
        }
    }
    assert!(rules > 100 && inexact > 100, "{rules} {inexact}");
}
