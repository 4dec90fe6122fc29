//! Many small requests: challenges, tokens, manifests, small blobs, lists of tags.

use portpass_testkit::Process;

use crate::{
    Measure, directory,
    load::Load,
    report::{Row, Unit},
    take_turns,
    world::{Content, REPOSITORY, SERVICE, Server, World, basic, htpasswd, issued},
};

pub(crate) fn rows<'w>(world: &'w World, content: &'w Content) -> Vec<(&'static str, Measure<'w>)> {
    let tags = format!("/v2/{REPOSITORY}/tags/list");
    let page = format!("{tags}?n=100");
    vec![
        ("challenge, 32 connections", Box::new(|work| challenge(world, work))),
        ("anonymous token, ES256", Box::new(|work| anonymous_token(world, work))),
        ("token of a robot and by an API key", Box::new(|work| machine_token(world, work))),
        ("token for a bcrypt-10 password, again", Box::new(|work| password_token(world, work))),
        ("token by one of 1 000 rules", Box::new(|work| ruled_token(world, work))),
        ("token of a local account, LDAP hangs", {
            Box::new(|work| directory::local_token(world, work))
        }),
        ("manifest by tag, 32 connections", {
            let paths = vec![Content::by_tag()];
            Box::new(move |work| reads(world, work, &paths, 32, "50 000/s, 0.027 ms"))
        }),
        ("manifest by tag, 1 connection", {
            let paths = vec![Content::by_tag()];
            Box::new(move |work| reads(world, work, &paths, 1, "p50 0.1 ms"))
        }),
        ("1 000 blobs of 4 KiB, 32 connections", {
            let paths = content.small_blobs();
            Box::new(move |work| reads(world, work, &paths, 32, "40 000/s"))
        }),
        ("1 000 blobs of 4 KiB, 1 connection", {
            let paths = content.small_blobs();
            Box::new(move |work| reads(world, work, &paths, 1, "p50 0.15 ms"))
        }),
        ("list of 1 000 tags", { Box::new(move |work| lists(world, work, &tags, "20 000/s")) }),
        ("100 of 1 000 tags", Box::new(move |work| lists(world, work, &page, "40 000/s"))),
    ]
}

fn challenge(world: &World, work: &str) -> Row {
    let servers = [world.ours(), world.distribution()].map(|server| stranger(&server));
    let paths = ["/v2/".to_owned()];
    requests(world, work, "100 000/s", &servers, |_| Load { status: 401, ..load(&paths, 32) })
}

fn anonymous_token(world: &World, work: &str) -> Row {
    let paths = [format!("/token?service={SERVICE}&scope=repository:public/app:pull")];
    let servers = [stranger(&world.ours())];
    requests(world, work, "0.034 ms", &servers, |_| load(&paths, 32))
}

/// The same repository, by nobody, by a robot and by a key, of the same server.
fn machine_token(world: &World, work: &str) -> Row {
    let paths = [format!("/token?service={SERVICE}&scope=repository:public/app:pull")];
    let limits = ["--allow", "pull", "--repository", "public/**"];
    let by = |name: &'static str, words: [&str; 3]| Server {
        name,
        authorization: Some(issued(&world.portpass, &[&words[..], &limits].concat())),
        ..world.ours()
    };
    let servers = [
        Server { name: "portpass, anonymous", ..stranger(&world.ours()) },
        by("portpass, robot", ["robot", "add", "bench"]),
        by("portpass, API key", ["key", "add", "admin"]),
    ];
    requests(world, work, "1.15 × an anonymous one", &servers, |_| load(&paths, 32))
}

/// What was checked once is not hashed again.
fn password_token(world: &World, work: &str) -> Row {
    let paths = [format!("/token?service={SERVICE}&scope=repository:ann/app:pull")];
    let server = Server { authorization: Some(htpasswd()), ..world.ours() };
    requests(world, work, "5 500/s: 300 × the hash", &[server], |_| load(&paths, 32))
}

/// The account with four rules, and the one with a thousand more.
fn ruled_token(world: &World, work: &str) -> Row {
    let paths = [format!("/token?service={SERVICE}&scope=repository:team999/app:pull")];
    let few = Server {
        name: "portpass, 3 rules",
        authorization: Some(basic(&world.portpass)),
        ..world.ours()
    };
    let many = Server {
        name: "portpass, 1 003 rules",
        address: world.ruled.address(),
        process: Process(world.ruled.process_id()),
        authorization: Some(basic(&world.ruled)),
    };
    requests(world, work, "0.02 ms more than few", &[many, few], |_| load(&paths, 32))
}

fn reads(
    world: &World,
    work: &str,
    paths: &[String],
    connections: usize,
    goal: &'static str,
) -> Row {
    let servers = [world.ours(), world.open_distribution(), world.nginx()];
    requests(world, work, goal, &servers, |_| load(paths, connections))
}

/// distribution 2.8 lists all, however few it is asked for.
fn lists(world: &World, work: &str, path: &str, goal: &'static str) -> Row {
    let paths = [path.to_owned()];
    let servers = [world.ours(), world.open_distribution()];
    requests(world, work, goal, &servers, |_| load(&paths, 8))
}

fn requests<'l>(
    world: &World,
    work: &str,
    goal: &'static str,
    servers: &[Server],
    load: impl Fn(&Server) -> Load<'l>,
) -> Row {
    let runs = take_turns(
        servers,
        |server| server.name,
        |server, _| load(server).run(server, world.scratch.path()),
    );
    Row::new(work, Unit::Requests, goal, runs)
}

fn load(paths: &[String], connections: usize) -> Load<'_> {
    Load { paths, status: 200, connections, seconds: 4 }
}

/// As somebody without credentials sees it.
fn stranger(server: &Server) -> Server {
    Server { authorization: None, ..server.clone() }
}
