//! Pull, push and copy of one large image, beside skopeo with the same servers in the same run:
//! `cargo bench -p portpass --bench transfer`. Prints the table of `docs/performance.md`.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for whoever measures")]

use std::{fs, path::Path, process::Command};

use portpass_testkit::{Home, Layout, Portpass, run};

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");
const LAYERS: u64 = 5;
const LAYER: usize = 40 * 1024 * 1024;
const ROUNDS: usize = 5;

fn main() {
    let scratch = tempfile::tempdir().unwrap();
    let layout = Layout::large(&scratch.path().join("layout"), LAYERS, LAYER);
    let bench = Bench { home: Home::default(), layout, servers: [serve(), serve()] };
    bench.log_in();
    println!("{LAYERS} layers of {} MiB, median of {ROUNDS} rounds", LAYER / 1024 / 1024);
    println!("| work | client | wall, s | CPU, s | peak memory, MiB |");
    println!("| --- | --- | --- | --- | --- |");
    for work in [Work::Push, Work::Pull, Work::Copy] {
        let mut measured: [Vec<Used>; 2] = Default::default();
        for round in 0..ROUNDS {
            // Whoever comes second finds warmer caches; so they take turns.
            for turn in 0..2 {
                let client = (round + turn) % 2;
                let words = bench.words(work, CLIENTS[client], round);
                measured[client].push(bench.measure(&words));
                bench.clean();
            }
        }
        for (client, used) in CLIENTS.iter().zip(measured) {
            println!("{}", row(work, *client, &used));
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Push,
    Pull,
    Copy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

struct Bench {
    home: Home,
    layout: Layout,
    servers: [Portpass; 2],
}

impl Bench {
    fn log_in(&self) {
        for server in &self.servers {
            let password = fs::read_to_string(server.folder().join("data/admin-password")).unwrap();
            let host = server.address().to_string();
            let words = ["login", "--username", "admin", "--password-stdin", &host];
            run(self.home.command(PROGRAM).args(words), &password).expect_success();
            let skopeo = [&words[..], &["--tls-verify=false"]].concat();
            run(self.home.command("skopeo").args(skopeo), &password).expect_success();
        }
        let image = format!("{}/admin/app:v1", self.servers[0].address());
        let words = ["push", &self.layout.reference(), &image];
        run(self.home.command(PROGRAM).args(words), "").expect_success();
    }

    /// A repository that has nothing yet for what is pushed, a folder for what is pulled.
    fn words(&self, work: Work, client: Client, round: usize) -> Vec<String> {
        let [here, there] = self.servers.each_ref().map(Portpass::address);
        let fresh = format!("admin/{work:?}-{client:?}-{round}:v1").to_lowercase();
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
    fn measure(&self, words: &[String]) -> Used {
        let program =
            if words.contains(&"--src-tls-verify=false".to_owned()) { "skopeo" } else { PROGRAM };
        let mut command = self.home.command("/usr/bin/time");
        command.args(["--format", "%e %U %S %M", "--output", "used", program]).args(words);
        run(&mut command, "").expect_success();
        let used = fs::read_to_string(self.home.path().join("used")).unwrap();
        let used: Vec<f64> = used.split_whitespace().map(|word| word.parse().unwrap()).collect();
        Used { wall: used[0], cpu: used[1] + used[2], peak: used[3] / 1024.0 }
    }

    fn clean(&self) {
        let _ = fs::remove_dir_all(self.home.path().join("pulled"));
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
    format!("| {work} | {client} | {wall:.2} | {cpu:.2} | {peak:.0} |")
}
