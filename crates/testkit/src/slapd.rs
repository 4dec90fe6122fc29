//! `OpenLDAP`'s slapd: its own folder, its own port, nothing of the machine's set-up.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    Certificates, CommandOutput,
    program::run,
    server::{stop, wait_until},
};

/// A running slapd with an empty directory, stopped when dropped.
///
/// ```text
/// dc=example,dc=org            ou=people and ou=groups below it
/// cn=manager,dc=example,dc=org may do everything; its password is `manager`
/// ```
///
/// It keeps `memberOf`, and locks accounts after three wrong passwords where an entry asks for that policy.
#[derive(Debug)]
pub struct Slapd {
    process: Option<Child>,
    folder: TempDir,
    plain: SocketAddr,
    tls: Option<SocketAddr>,
}

impl Slapd {
    /// Starts it on ports that the kernel picks; on one of them with TLS if there is a certificate. Plain
    /// connections may begin TLS too then.
    ///
    /// # Panics
    /// If it does not answer within a minute; the panic has its log.
    pub fn start(certificates: Option<&Certificates>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("data")).expect("a folder");
        let configuration = configuration(folder.path(), certificates);
        fs::write(folder.path().join(CONFIGURATION), configuration).expect("a configuration");
        let plain = free_address();
        let tls = certificates.map(|_| free_address());
        let mut slapd = Self { process: None, folder, plain, tls };
        slapd.go_on();
        slapd.add(BASE);
        slapd
    }

    /// Starts it again, with what it held.
    ///
    /// # Panics
    /// As [`Slapd::start`].
    pub fn go_on(&mut self) {
        let log = File::create(self.folder.path().join(LOG)).expect("a log file");
        let tls = self.tls.map_or_else(String::new, |tls| format!(" ldaps://{tls}"));
        let addresses = format!("ldap://{}{tls}", self.plain);
        let process = Command::new("slapd")
            .args(["-d", "stats", "-h", &addresses, "-f"])
            .arg(self.folder.path().join(CONFIGURATION))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("slapd starts; `cargo xtask setup` installs it");
        self.process = Some(process);
        let answers = wait_until(|| self.search("", "(objectClass=*)").success);
        assert!(answers, "slapd does not answer:\n{}", self.log());
    }

    /// Ends it.
    pub fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Who stands still does not hear that it is to end.
            let _ = Command::new("kill").args(["-CONT", &process.id().to_string()]).status();
            stop(&mut process);
        }
    }

    /// Has it stand still with all its connections, as a machine does whose disk has failed.
    ///
    /// # Panics
    /// If it does not run.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Has it go on.
    ///
    /// # Panics
    /// As [`Slapd::freeze`].
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// `ldap://ADDRESS`.
    pub fn url(&self) -> String {
        format!("ldap://{}", self.plain)
    }

    /// `ldaps://ADDRESS`.
    ///
    /// # Panics
    /// If it was started without a certificate.
    pub fn tls_url(&self) -> String {
        format!("ldaps://{}", self.tls.expect("a certificate"))
    }

    /// Where it listens, without TLS.
    pub fn address(&self) -> SocketAddr {
        self.plain
    }

    /// Adds entries, in LDIF.
    ///
    /// # Panics
    /// If it does not take them.
    pub fn add(&self, ldif: &str) {
        self.manage("ldapadd", &[], ldif).expect_success();
    }

    /// Changes entries, in LDIF.
    ///
    /// # Panics
    /// If it does not take them.
    pub fn modify(&self, ldif: &str) {
        self.manage("ldapmodify", &[], ldif).expect_success();
    }

    /// What it has logged: one line or more for each operation.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default()
    }

    /// How many passwords it has been asked to check for that name.
    pub fn binds(&self, dn: &str) -> usize {
        let bind = format!("BIND dn=\"{dn}\" method=128");
        self.log().lines().filter(|line| line.contains(&bind)).count()
    }

    fn search(&self, base: &str, filter: &str) -> CommandOutput {
        let url = self.url();
        let arguments = ["-x", "-LLL", "-H", &url, "-s", "base", "-b", base, filter];
        run(Command::new("ldapsearch").args(arguments), "")
    }

    fn manage(&self, program: &str, arguments: &[&str], input: &str) -> CommandOutput {
        let url = self.url();
        let identity = ["-x", "-H", &url, "-D", MANAGER, "-w", "manager"];
        run(Command::new(program).args(identity).args(arguments), input)
    }

    fn signal(&self, signal: &str) {
        let id = self.process.as_ref().expect("it runs").id().to_string();
        run(Command::new("kill").args([signal, &id]), "").expect_success();
    }
}

impl Drop for Slapd {
    #[expect(clippy::print_stderr, reason = "a failed test shows what the server said")]
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            eprintln!("=== log of slapd\n{}", self.log());
        }
    }
}

fn configuration(folder: &Path, certificates: Option<&Certificates>) -> String {
    let here = folder.display();
    let tls = certificates.map_or_else(String::new, |files| {
        format!(
            "TLSCertificateFile {}\nTLSCertificateKeyFile {}\n",
            files.certificate().display(),
            files.key().display()
        )
    });
    format!(
        "\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload ppolicy
{tls}database mdb
suffix dc=example,dc=org
rootdn {MANAGER}
rootpw manager
directory {here}/data
maxsize 67108864
dbnosync
index objectClass,uid,member,entryUUID eq
access to attrs=userPassword by anonymous auth by self write by * none
access to dn.base=\"ou=secret,dc=example,dc=org\" by * none
access to * by dn.base=\"cn=blind,ou=people,dc=example,dc=org\" none by * read
overlay memberof
memberof-refint TRUE
overlay ppolicy
"
    )
}

/// The kernel's choice; slapd cannot be told to choose one and say which.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

const CONFIGURATION: &str = "slapd.conf";
const LOG: &str = "slapd.log";
const MANAGER: &str = "cn=manager,dc=example,dc=org";
const BASE: &str = "\
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=org
objectClass: organizationalUnit
ou: groups
";
