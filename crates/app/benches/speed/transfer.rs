//! Pull, push and copy of one large image, beside skopeo with the same servers.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use portpass_testkit::{Home, Layout, Portpass, run};

use crate::PROGRAM;

const LAYERS: u64 = 5;
const LAYER: usize = 40 * 1024 * 1024;
const ROUNDS: usize = 5;

/// Wall time, processor time and memory of both clients.
pub(crate) fn table() -> Vec<String> {
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::large(&scratch.path().join("layout"), LAYERS, LAYER);
    let mut lines = vec![
        "| work | client | wall | processor | peak memory |".to_owned(),
        "| --- | --- | --- | --- | --- |".to_owned(),
    ];
    let mut measured: BTreeMap<(Work, Client), Vec<Used>> = BTreeMap::new();
    for round in 0..ROUNDS {
        // skopeo remembers which registry has which blob, and would send none of them again.
        let bench =
            Bench { homes: Default::default(), layout: &layout, servers: [serve(), serve()] };
        bench.log_in();
        for work in [Work::Push, Work::Pull, Work::Copy] {
            // Whoever comes second finds warmer caches; so they take turns.
            for turn in 0..2 {
                let client = CLIENTS[(round + turn) % 2];
                let used = bench.measure(client, &bench.words(work, client));
                measured.entry((work, client)).or_default().push(used);
                bench.clean();
            }
        }
    }
    lines.extend(measured.iter().map(|((work, client), used)| row(*work, *client, used)));
    lines
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    Push,
    Pull,
    Copy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Client {
    Portpass,
    Skopeo,
}

const CLIENTS: [Client; 2] = [Client::Portpass, Client::Skopeo];

/// What a process has used, by `wait4`.
#[derive(Debug, Clone, Copy)]
struct Used {
    wall: f64,
    cpu: f64,
    peak: f64,
}

struct Bench<'a> {
    /// One for each client: they keep what they log in with in the same file, in different forms.
    homes: [Home; 2],
    layout: &'a Layout,
    servers: [Portpass; 2],
}

impl Bench<'_> {
    fn log_in(&self) {
        for server in &self.servers {
            let password = fs::read_to_string(server.folder().join("data/admin-password")).unwrap();
            let host = server.address().to_string();
            let words = ["login", "--username", "admin", "--password-stdin", &host];
            let [ours, theirs] = &self.homes;
            run(ours.command(PROGRAM).args(words), &password).expect_success();
            let skopeo = [&words[..], &["--tls-verify=false"]].concat();
            run(theirs.command("skopeo").args(skopeo), &password).expect_success();
        }
        let image = format!("{}/admin/app:v1", self.servers[0].address());
        let words = ["push", &self.layout.reference(), &image];
        run(self.homes[0].command(PROGRAM).args(words), "").expect_success();
    }

    /// A repository that has nothing yet for what is pushed, a folder for what is pulled.
    fn words(&self, work: Work, client: Client) -> Vec<String> {
        let [here, there] = self.servers.each_ref().map(Portpass::address);
        let fresh = format!("admin/{work:?}-{client:?}:v1").to_lowercase();
        let image = format!("{here}/admin/app:v1");
        let (from, to) = match work {
            Work::Push => (self.layout.reference(), format!("{here}/{fresh}")),
            Work::Pull => (image, "oci:pulled:v1".to_owned()),
            Work::Copy => (image, format!("{there}/{fresh}")),
        };
        let named = |place: &str| {
            if place.starts_with("oci:") { place.to_owned() } else { format!("docker://{place}") }
        };
        match client {
            Client::Portpass => ["copy", "--quiet", &from, &to].map(str::to_owned).to_vec(),
            Client::Skopeo => {
                let flags =
                    ["copy", "--quiet", "--src-tls-verify=false", "--dest-tls-verify=false"];
                let words = flags.map(str::to_owned).into_iter();
                words.chain([named(&from), named(&to)]).collect()
            }
        }
    }

    /// Runs a client below GNU time, which asks the kernel what it has used.
    fn measure(&self, client: Client, words: &[String]) -> Used {
        let (home, program) = match client {
            Client::Portpass => (&self.homes[0], PROGRAM),
            Client::Skopeo => (&self.homes[1], "skopeo"),
        };
        let mut command = home.command("/usr/bin/time");
        command.args(["--format", "%e %U %S %M", "--output", "used", program]).args(words);
        run(&mut command, "").expect_success();
        let used = fs::read_to_string(home.path().join("used")).unwrap();
        let used: Vec<f64> = used.split_whitespace().map(|word| word.parse().unwrap()).collect();
        Used { wall: used[0], cpu: used[1] + used[2], peak: used[3] / 1024.0 }
    }

    fn clean(&self) {
        for home in &self.homes {
            let _ = fs::remove_dir_all(home.path().join("pulled"));
        }
        // What the one has left to be written is not for the other to wait for.
        run(&mut Command::new("sync"), "").expect_success();
    }
}

fn serve() -> Portpass {
    Portpass::serve(Path::new(PROGRAM), &["--data", "{folder}/data", "--addr", "127.0.0.1:0"])
}

fn row(work: Work, client: Client, used: &[Used]) -> String {
    let median = |of: fn(&Used) -> f64| {
        let mut values: Vec<f64> = used.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let work = format!("{work:?}").to_lowercase();
    let client = format!("{client:?}").to_lowercase();
    let (wall, cpu, peak) = (median(|u| u.wall), median(|u| u.cpu), median(|u| u.peak));
    format!("| {work} | {client} | {wall:.2} s | {cpu:.2} s | {peak:.0} MiB |")
}
