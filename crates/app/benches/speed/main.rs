//! How fast it is, beside those who do the same work, with the same content in the same run:
//! `cargo xtask bench`. Prints the tables of `docs/performance.md`; with `PORTPASS_WRITE_DOCS` in the
//! environment, they are written there. A word as an argument runs the rows alone that have it in their name.
//!
//! ```text
//! world    the servers, and what lies in them      wire     HTTP/1.1 by hand
//! small    many small requests, by wrk             load     wrk
//! large    bodies of 100 MiB, uploads, deletes     transfer clients, beside skopeo
//! start    memory, and the first answer            report   figures, and the page
//! moving   an import, beside skopeo sync           directory  tokens while LDAP hangs
//! ```
//! Servers and load share the machine's cores, so a rate tells less than its ratio to another's, and both
//! less than the processor time that the server took for a request.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a program for whoever measures"
)]

mod directory;
mod large;
mod load;
mod moving;
mod report;
mod small;
mod start;
mod transfer;
mod wire;
mod world;

use std::path::Path;

use portpass_testkit::page;

use self::{
    report::{Row, Sample},
    world::World,
};

/// Does one kind of work, which is called so.
type Measure<'w> = Box<dyn FnOnce(&str) -> Row + 'w>;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portpass");

/// How often each server does each work; the median counts.
const ROUNDS: usize = 3;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    let writes = words.is_empty() && std::env::var_os("PORTPASS_WRITE_DOCS").is_some();
    let machine = report::machine();
    println!("{machine}");
    let mut tables = vec![("machine", vec![machine])];
    if wanted("transfers") {
        tables.push(("transfers", transfer::table()));
    }
    if wanted("moving") {
        tables.push(("moving", moving::table()));
    }
    if words != ["transfers"] && words != ["moving"] {
        tables.extend(servers(&wanted));
    }
    for (section, lines) in tables {
        println!("\n{section}\n{}", lines.join("\n"));
        if writes {
            page::write("performance.md", section, &lines.join("\n"));
        }
    }
}

/// The tables of what servers do.
fn servers(wanted: &dyn Fn(&str) -> bool) -> Vec<(&'static str, Vec<String>)> {
    let world = World::new(Path::new(PROGRAM));
    let content = world.fill();
    let mut lines = report::HEAD.map(str::to_owned).to_vec();
    let rows = small::rows(&world, &content).into_iter().chain(large::rows(&world, &content));
    for (name, measure) in rows.filter(|(name, _)| wanted(name)) {
        let row = measure(name).lines();
        println!("{}", row.join("\n"));
        lines.extend(row);
    }
    let mut tables = vec![("requests", lines)];
    if wanted("processes") {
        tables.push(("processes", start::table(world, &content)));
    }
    tables
}

/// Lets the servers take turns, so that what else the machine does harms all alike.
fn take_turns<S>(
    servers: &[S],
    name: impl Fn(&S) -> &'static str,
    measure: impl Fn(&S, usize) -> Sample,
) -> Vec<(&'static str, Vec<Sample>)> {
    let mut runs: Vec<(&'static str, Vec<Sample>)> =
        servers.iter().map(|server| (name(server), Vec::new())).collect();
    for round in 0..ROUNDS {
        for (server, (_, samples)) in servers.iter().zip(&mut runs) {
            samples.push(measure(server, round));
        }
    }
    runs
}
