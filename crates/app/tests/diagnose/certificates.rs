//! What is said of certificates is what the real programs do: skopeo (Go), Python (OpenSSL), and this one.

use std::{fs, path::PathBuf, process::Command};

use portpass_testkit::{CommandOutput, Home, Nginx, faketime, run};
use tempfile::TempDir;

use crate::{PROGRAM, asked::diagnose_as_nobody};

/// A folder in which `openssl` makes keys and certificates, as operators do.
struct Workbench(TempDir);

const LEAF: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1\n";
const LOCALHOST: &str = "subjectAltName=DNS:localhost";

impl Workbench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, at: Option<&str>, words: &str) {
        let mut command = match at {
            None => Command::new("openssl"),
            Some(at) => faketime::at(at, "openssl"),
        };
        run(command.args(words.split_whitespace()).current_dir(&self.0), "").expect_success();
    }

    /// `openssl req -x509`, as docker's manual has it: it makes an authority.
    fn signs_itself(&self, name: &str, subject: &str, extensions: &[&str], at: Option<&str>) {
        let extensions: Vec<String> =
            extensions.iter().map(|extension| format!("-addext {extension}")).collect();
        self.openssl(
            at,
            &format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN={subject} -keyout {name}.key -out {name}.crt {}",
                extensions.join(" ")
            ),
        );
    }

    /// A certificate below an authority, with these extensions.
    fn signed(&self, name: &str, by: &str, subject: &str, extensions: &str) {
        fs::write(self.file(&format!("{name}.ext")), extensions).unwrap();
        self.openssl(
            None,
            &format!(
                "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={subject} -keyout {name}.key -out {name}.csr"
            ),
        );
        self.openssl(
            None,
            &format!(
                "x509 -req -in {name}.csr -CA {by}.crt -CAkey {by}.key -CAcreateserial -days 20 -extfile {name}.ext -out {name}.crt"
            ),
        );
    }

    /// A server with this certificate. It answers nothing but 404.
    fn serve(&self, name: &str) -> Nginx {
        Nginx::start(&format!(
            "server {{ listen {{address}} ssl; ssl_certificate {0}; ssl_certificate_key {1}; location / {{ return 404; }} }}",
            self.file(&format!("{name}.crt")).display(),
            self.file(&format!("{name}.key")).display()
        ))
    }
}

/// Whether a client of Go, rustls and OpenSSL connects, with this file of authorities.
#[derive(Debug, PartialEq, Eq)]
struct Connects {
    go: bool,
    rustls: bool,
    open_ssl: bool,
}

/// No text for people has what `Debug` writes.
#[track_caller]
fn has_no_debug_text(ran: &CommandOutput) {
    let said = ran.output();
    for sign in ["Other(", "OtherError", "Error(", "UnknownIssuer", "CaUsed", "NotValid", "[67,"] {
        assert!(!said.contains(sign), "{sign:?}: {ran}");
    }
}

/// What the programs do. `portpass tags` stands for rustls, but for a certificate that is named itself.
fn tried(bench: &Workbench, address: &str, ca: &str) -> Connects {
    let (home, folder) = (Home::default(), tempfile::tempdir().unwrap());
    let file = bench.file(&format!("{ca}.crt"));
    fs::copy(&file, folder.path().join("ca.crt")).unwrap();
    let go = run(
        home.command("skopeo")
            .args(["list-tags", "--cert-dir"])
            .arg(folder.path())
            .arg(format!("docker://{address}/x")),
        "",
    );
    // They are all answered 404; what counts is whether they come as far as that. A port may have 404 in it.
    go.expect_failure();
    let said = go.output().replace(address, "ADDRESS");
    assert!(said.contains("x509: ") != said.contains("404"), "{go}");
    let tags = ["tags", "--ca", file.to_str().unwrap(), &format!("{address}/x/y")];
    let ours = run(home.command(PROGRAM).args(tags), "");
    ours.expect_failure();
    has_no_debug_text(&ours);
    let python = run(
        home.command("/usr/bin/python3").args(["-c", GREET, file.to_str().unwrap(), address]),
        "",
    );
    assert!(python.success || python.output().contains("CERTIFICATE_VERIFY_FAILED"), "{python}");
    Connects {
        go: !go.output().contains("x509: "),
        rustls: !ours.output().contains("is not trusted"),
        open_ssl: python.success,
    }
}

const GREET: &str = "
import socket, ssl, sys
host, port = sys.argv[2].split(':')
context = ssl.create_default_context(cafile=sys.argv[1])
context.wrap_socket(socket.create_connection((host, int(port))), server_hostname=host)
";

/// What `diagnose` says of the same.
fn said(bench: &Workbench, address: &str, ca: &str) -> Connects {
    let file = bench.file(&format!("{ca}.crt"));
    let diagnosis = diagnose_as_nobody(address, &["--ca", file.to_str().unwrap()]);
    has_no_debug_text(&diagnosis.ran);
    assert_eq!(diagnosis.verdict("NET-03"), "pass", "{:#}", diagnosis.check("NET-03"));
    let check = diagnosis.check("NET-04");
    let evidence: Vec<&str> = check["evidence"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|line| line.as_str().and_then(|line| line.split_once("): ")))
        .filter(|(who, _)| ["Go (", "rustls (", "OpenSSL ("].iter().any(|one| who.starts_with(one)))
        .map(|(_, verdict)| verdict)
        .collect();
    let connects = match evidence.as_slice() {
        // All say the same, and it is told once.
        [] => [check["verdict"] == "pass"; 3],
        [go, rustls, open_ssl] => [go, rustls, open_ssl].map(|verdict| *verdict == "connects"),
        _ => panic!("{check:#}"),
    };
    let [go, rustls, open_ssl] = connects;
    assert_eq!(check["breaks"].as_array().unwrap().is_empty(), go, "{check:#}");
    // Over a connection that somebody verifies, more is asked.
    let asked = diagnosis.requests() > 0;
    assert_eq!(asked, go || rustls, "{check:#}");
    Connects { go, rustls, open_ssl }
}

#[test]
fn what_is_said_of_a_certificate_is_what_real_clients_do() {
    let bench = Workbench::new();
    bench.signs_itself("own", "localhost", &[LOCALHOST], None);
    bench.signs_itself("plain", "localhost", &[LOCALHOST, "basicConstraints=CA:FALSE"], None);
    bench.signs_itself("client", "localhost", &[LOCALHOST, "extendedKeyUsage=clientAuth"], None);
    bench.signs_itself("strange", "localhost", &[LOCALHOST, "1.2.3.4=critical,DER:0500"], None);
    bench.signs_itself("other", "localhost", &["subjectAltName=DNS:other.example"], None);
    bench.signs_itself("past", "localhost", &[LOCALHOST], Some("2020-01-01 00:00:00"));
    bench.signs_itself("root", "root", &[], None);
    bench.signs_itself("old", "old", &[], Some("2020-01-01 00:00:00"));
    bench.signs_itself("none", "none", &["basicConstraints=critical,CA:FALSE"], None);
    bench.signs_itself("mute", "mute", &["keyUsage=critical,digitalSignature"], None);
    bench.signs_itself(
        "bound",
        "bound",
        &["nameConstraints=critical,permitted;DNS:a.example"],
        None,
    );
    bench.signed("good", "root", "localhost", LEAF);
    bench.signed(
        "ca-leaf",
        "root",
        "localhost",
        &format!("{LEAF}basicConstraints=critical,CA:TRUE\n"),
    );
    bench.signed(
        "policy",
        "root",
        "localhost",
        &format!("{LEAF}certificatePolicies=critical,1.2.3.4\n"),
    );
    bench.signed("nameless", "root", "localhost", "basicConstraints=CA:FALSE\n");
    bench.signed("between", "root", "between", "basicConstraints=critical,CA:TRUE\n");
    bench.signed("below", "between", "localhost", LEAF);
    bench.signed("of-old", "old", "localhost", LEAF);
    bench.signed("of-none", "none", "localhost", LEAF);
    bench.signed("of-mute", "mute", "localhost", LEAF);
    bench.signed("of-bound", "bound", "localhost", LEAF);
    let (yes, no) = (true, false);
    for (shown, given, [go, rustls, open_ssl]) in [
        ("good", "root", [yes, yes, yes]),
        ("own", "own", [yes, no, yes]),
        ("plain", "plain", [yes, yes, yes]),
        ("ca-leaf", "root", [yes, no, yes]),
        ("policy", "root", [yes, no, yes]),
        ("good", "good", [yes, no, no]),
        ("below", "between", [yes, yes, no]),
        ("of-old", "old", [no, yes, no]),
        ("of-none", "none", [no, yes, no]),
        ("of-mute", "mute", [no, yes, no]),
        ("nameless", "root", [no, no, yes]),
        ("client", "client", [no, no, no]),
        ("strange", "strange", [no, no, no]),
        ("other", "other", [no, no, no]),
        ("past", "past", [no, no, no]),
        ("of-bound", "bound", [no, no, no]),
        ("below", "root", [no, no, no]),
        ("own", "root", [no, no, no]),
    ] {
        let server = bench.serve(shown);
        let address = format!("localhost:{}", server.address().port());
        let expected = Connects { go, rustls, open_ssl };
        assert_eq!(said(&bench, &address, given), expected, "{shown} with {given}");
        // What is named itself is taken by this program, as Go takes it.
        let expected = Connects { rustls: rustls || (go && shown == given), ..expected };
        assert_eq!(tried(&bench, &address, given), expected, "{shown} with {given}");
    }
}
