//! Slips of people who come from docker, podman, skopeo, regctl, crane, kubectl and distribution: each is told the
//! right word, before anybody is asked for a password and before anything goes over the network.

#![expect(clippy::unwrap_used, reason = "what cannot be set up here fails the test")]

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
    thread,
};

use portpass_testkit::program::run;

/// What was typed; `EMPTY` stands for a word without letters.
const SLIPS: &[&str] = &[
    "versio",
    "-v",
    "server",
    "start",
    "users",
    "inspect r.example/team/app",
    "retag r.example/team/app:1 r.example/team/app:2",
    "tag r.example/team/app:1 r.example/team/app:2",
    "discover r.example/team/app:1",
    "ls r.example/team/app",
    "rmi r.example/team/app:1",
    "cp r.example/a s.example/a",
    "doctor r.example",
    "keys",
    "push docker-daemon:alpine:latest r.example/team/app",
    "push containers-storage:alpine r.example/team/app",
    "push oci-archive:x.tar r.example/team/app",
    "push dir:x r.example/team/app:1",
    "push alpine.tar r.example/team/app:1",
    "push r.example/team/app oci:x",
    "push team/app",
    "pull oci:x r.example/team/app",
    "pull https://r.example/team/app:1 oci:x",
    "pull r.example oci:x",
    "pull localhost:5000 oci:x",
    "pull r.example/ oci:x",
    "pull r.example/team/app: oci:x",
    "pull r.example/Team/App oci:x",
    "pull r.example/team/app:1",
    "pull r.example/team/app:1 ./folder",
    "pull r.example/team/app:1 folder/",
    "pull r.example/team/app:1 app.tar",
    "pull r.example/team/app:1 -o x.tar",
    "pull docker://r.example/team/app:1 docker://s.example/a",
    "pull -u ann r.example/team/app:1 oci:x",
    "pull --platform linux r.example/team/app:1 oci:x",
    "copy r.example/a:1",
    "copy --src-tls-verify=false r.example/a s.example/a",
    "copy --dest-tls-verify=false r.example/a s.example/a",
    "copy --src-creds ann:x r.example/a s.example/a",
    "copy --authfile a.json r.example/a s.example/a",
    "copy -a r.example/a s.example/a",
    "copy --plain-http r.example/a s.example/a",
    "tags",
    "tags r.example",
    "tags r.example/team/app:1",
    "catalog r.example/team",
    "delete r.example/team/app",
    "login",
    "login r.example/team/app -u ann",
    "login -u ann -p secret r.example",
    "login -u ann -psecret r.example",
    "login -u ann --password secret r.example",
    "login -u ann:secret --password-stdin r.example",
    "login --username EMPTY --password-stdin r.example",
    "login -k r.example",
    "login --insecure r.example",
    "login --cacert ca.crt r.example",
    "login --tls-verify=no r.example",
    "login --plain-http https://r.example -u ann --password-stdin",
    "login r.example:port -u ann --password-stdin",
    "login ftp://r.example -u ann --password-stdin",
    "logout --all",
    "token r.example --scope team/app:pull",
    "token r.example --scope repository:team/app",
    "token r.example --scope pull",
    "token r.example --scope repository:team/app:PULL",
    "token r.example repository:team/app:pull",
    "token r.example -s repository:team/app:pull",
    "policy explain ann",
    "user create ann",
    "user delete ann",
    "user passwd ann",
    "user ls",
    "user add -p secret ann",
    "session rm 7",
    "robots",
    "robot create ci",
    "robot refresh ci",
    "robot add ci --permission pull",
    "robot add ci --allow pull --repository a --output kubernetes",
    "robot add ci --allow pull --repository a --expires 90",
    "key create ann",
    "key rm 7",
    "user groups ann",
    "signing-key new",
    "config validate",
    "serve -c x.yml",
    "serve --port 5000",
    "diagnose docker-daemon:alpine",
    "diagnose --insecure r.example",
];

#[test]
fn slips_lead_to_the_right_word() {
    let home = tempfile::tempdir().unwrap();
    let mut told = String::new();
    for slip in SLIPS {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portpass"));
        command.env_clear().env("HOME", home.path()).env("NO_COLOR", "1").current_dir(home.path());
        command.args(slip.split(' ').map(|word| if word == "EMPTY" { "" } else { word }));
        let ran = run(&mut command, "");
        assert!(!ran.stderr.contains("secret"), "{slip}: {}", ran.stderr);
        // Usage and the pointer to --help are clap's, and the same everywhere.
        let said = ran.stderr.lines().take_while(|line| !line.starts_with("Usage:"));
        let said: Vec<&str> =
            said.filter(|line| !line.is_empty() && !line.starts_with("For more")).collect();
        writeln!(told, "$ portpass {slip}\n{}", said.join("\n")).unwrap();
    }
    insta::assert_snapshot!(told);
}

/// `https://` is a demand: on loopback too, where plain HTTP would do as for docker.
#[test]
fn https_that_was_typed_means_tls() {
    assert_eq!(first_bytes("").last(), Some(b"GET "), "HTTP, where nothing was demanded");
    let strict = first_bytes("https://");
    assert!(!strict.contains(b"GET ") && !strict.is_empty(), "{strict:?}");
}

/// Lists the repositories of a registry that speaks plain HTTP; how each connection to it began.
fn first_bytes(scheme: &str) -> Vec<[u8; 4]> {
    let home = tempfile::tempdir().unwrap();
    let registry = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = registry.local_addr().unwrap();
    let met = thread::spawn(move || {
        let mut met = Vec::new();
        for stream in registry.incoming() {
            let (mut stream, mut first) = (stream.unwrap(), [0; 4]);
            stream.read_exact(&mut first).unwrap();
            if &first == STOP {
                break;
            }
            met.push(first);
            // Whoever wanted TLS may be gone already.
            let _ = stream.write_all(
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
        met
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_portpass"));
    command.env_clear().env("HOME", home.path()).args(["catalog", &format!("{scheme}{address}")]);
    let ran = run(&mut command, "");
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
    TcpStream::connect(address).unwrap().write_all(STOP).unwrap();
    met.join().unwrap()
}

/// What ends the registry of the test.
const STOP: &[u8; 4] = b"STOP";
