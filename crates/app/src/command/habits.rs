//! Habits from other programs: the right word for what does not exist here.

use std::ffi::OsString;

use clap::{
    Parser as _,
    builder::StyledStr,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::CommandLine;

/// A word or flag that people bring along, and what to type here in its place.
struct Habit {
    /// The command that it was typed for; `""` for all of them.
    command: &'static str,
    typed: &'static [&'static str],
    say: &'static str,
}

/// Reads the command line of this process. Help and wrong usage end the process, as clap does it.
pub(crate) fn parse() -> CommandLine {
    let words: Vec<OsString> = std::env::args_os().collect();
    CommandLine::try_parse_from(&words)
        .unwrap_or_else(|error| with_suggestion(error, &words).exit())
}

/// The same error, with what the typed word was meant for. clap's own guess is taken out: it goes by the letters
/// alone.
fn with_suggestion(mut error: clap::Error, words: &[OsString]) -> clap::Error {
    let typed = match error.kind() {
        ErrorKind::UnknownArgument => error.get(ContextKind::InvalidArg),
        // The second: `token` takes the word behind its registry for a subcommand.
        ErrorKind::InvalidSubcommand | ErrorKind::ArgumentConflict => {
            error.get(ContextKind::InvalidSubcommand)
        }
        _ => None,
    };
    let typed = match typed {
        Some(ContextValue::String(typed)) => typed.clone(),
        _ => String::new(),
    };
    let mut command = words.iter().skip(1).filter_map(|word| word.to_str());
    let command = command.find(|word| !word.starts_with('-')).unwrap_or_default();
    let meant = HABITS.iter().find(|habit| {
        [command, ""].contains(&habit.command) && habit.typed.contains(&typed.as_str())
    });
    let say = match meant {
        Some(habit) => habit.say,
        None if command == "token" && error.kind() == ErrorKind::ArgumentConflict => SCOPE,
        None => return error,
    };
    for guess in [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand] {
        error.remove(guess);
    }
    let tip = ContextValue::StyledStrs(vec![StyledStr::from(say)]);
    error.insert(ContextKind::Suggested, tip);
    error
}

const fn habit(command: &'static str, typed: &'static [&'static str], say: &'static str) -> Habit {
    Habit { command, typed, say }
}

const SCOPE: &str = "a scope is given as `--scope repository:team/app:pull`";
const LOGIN: &str = "credentials are those of `portpass login` or `docker login`";
const PASSWORD: &str =
    "others can read a password on the command line: give it on stdin with `--password-stdin`";

/// For each command first what is special there.
const HABITS: &[Habit] = &[
    habit("login", &["-p", "--password"], PASSWORD),
    habit("login", &["--get-login"], "`~/.docker/config.json` says who is logged in where"),
    habit("logout", &["-a", "--all"], "name a registry: you log out of each one separately"),
    habit("user", &["-p", "--password"], PASSWORD),
    habit("user", &["create", "new"], "`portpass user add NAME` adds an account"),
    habit("user", &["ls", "show"], "`portpass user list` lists all accounts"),
    habit("user", &["rm", "delete", "del"], "`portpass user remove NAME` removes an account"),
    habit("user", &["passwd", "reset"], "`portpass user password NAME` sets another password"),
    habit("user", &["lock", "block"], "`portpass user disable NAME` disables an account"),
    habit("user", &["unlock", "unblock"], "`portpass user enable NAME` enables an account again"),
    habit("robot", &["create", "new"], "`portpass robot add NAME` adds a robot"),
    habit("robot", &["ls"], "`portpass robot list` lists all robots"),
    habit("robot", &["get", "inspect"], "`portpass robot show NAME` shows a robot"),
    habit("robot", &["rm", "delete", "del"], "`portpass robot remove NAME` removes a robot"),
    habit(
        "robot",
        &["refresh", "regenerate", "password", "secret"],
        "`portpass robot rotate NAME` gives a robot new credentials",
    ),
    habit("robot", &["-d", "--duration", "--ttl"], "the end is given as `--expires 90d`"),
    habit(
        "robot",
        &["--permission", "--permissions", "--scope"],
        "rights are given as `--allow pull,push --repository PATTERN`",
    ),
    habit("key", &["create", "new", "generate"], "`portpass key add ACCOUNT` makes an API key"),
    habit("key", &["ls"], "`portpass key list` lists API keys"),
    habit("key", &["rm", "delete", "del", "remove"], "`portpass key revoke ID` ends an API key"),
    habit(
        "key",
        &["rotate", "export"],
        "`portpass signing-key` manages the keys that sign tokens; `portpass key add` makes another API key",
    ),
    habit("key", &["--ttl", "--duration"], "the end is given as `--expires 90d`"),
    habit("session", &["ls"], "`portpass session list` lists the sessions"),
    habit("session", &["rm", "delete", "remove"], "`portpass session revoke ID` ends a session"),
    habit("signing-key", &["ls"], "`portpass signing-key list` lists the keys"),
    habit(
        "signing-key",
        &["new", "add", "create"],
        "`portpass signing-key rotate` makes a new key",
    ),
    habit("config", &["test", "validate", "verify"], "`portpass config check FILE` checks a file"),
    habit("config", &["show", "dump"], "`portpass config check` says what a file means"),
    habit("config", &["env"], "`portpass config environment` lists the variables"),
    habit("serve", &["-c", "-f"], "the configuration file is given as `--config FILE`"),
    habit(
        "serve",
        &["-p", "--port", "-l", "--listen"],
        "the address is given as `--addr 127.0.0.1:5000`",
    ),
    habit("serve", &["-d", "--data-dir"], "the data directory is given as `--data DIR`"),
    habit("token", &["-s", "--service"], SCOPE),
    habit(
        "pull",
        &["-o", "--output", "-f"],
        "the target is the second word: `oci:FOLDER` or `docker-archive:FILE`",
    ),
    habit("copy", &["-a"], "`--all` copies a whole index; that is the default"),
    habit("copy", &["--digest-tags"], "`--referrers` copies signatures too"),
    habit("copy", &["--src-tls-verify"], "FROM has its own: `--from-tls-verify=false`"),
    habit(
        "copy",
        &["--dest-tls-verify", "--dst-tls-verify"],
        "TO has its own: `--to-tls-verify=false`",
    ),
    habit(
        "copy",
        &["--src-cert-dir"],
        "FROM has its own: `--from-ca FILE`; portpass also reads docker's `certs.d`",
    ),
    habit(
        "copy",
        &["--dest-cert-dir"],
        "TO has its own: `--to-ca FILE`; portpass also reads docker's `certs.d`",
    ),
    habit(
        "copy",
        &["--plain-http"],
        "each end has its own: `--from-plain-http`, `--to-plain-http`",
    ),
    habit(
        "copy",
        &["--tls-verify"],
        "each end has its own: `--from-tls-verify=false`, `--to-tls-verify=false`",
    ),
    habit(
        "copy",
        &["--ca", "--cacert", "--ca-file"],
        "each end has its own: `--from-ca FILE`, `--to-ca FILE`",
    ),
    habit("", &["version"], "`portpass version` prints the version"),
    habit(
        "",
        &["-v", "-V"],
        "`portpass version` prints the version; `portpass diagnose --trace` shows requests",
    ),
    habit(
        "",
        &["--verbose", "--debug", "-d", "-D"],
        "`portpass diagnose --trace` shows every request and response",
    ),
    habit(
        "",
        &[
            "-k",
            "--insecure",
            "--insecure-skip-tls-verify",
            "--skip-tls-verify",
            "--allow-insecure",
            "--insecure-registry",
        ],
        "`--tls-verify=false` checks no certificate, `--plain-http` speaks plain HTTP; `--ca FILE` trusts a certificate and is safe",
    ),
    habit(
        "",
        &["--cacert", "--ca-file", "--cert-dir", "--certs"],
        "`--ca FILE` trusts the certificates of a file; portpass also reads docker's `certs.d`",
    ),
    habit("", &["--http"], "`--plain-http` speaks plain HTTP"),
    habit(
        "",
        &[
            "--creds",
            "--src-creds",
            "--dest-creds",
            "-u",
            "--username",
            "-p",
            "--password",
            "--password-stdin",
        ],
        LOGIN,
    ),
    habit(
        "",
        &["--authfile", "--registry-config"],
        "the variables DOCKER_CONFIG and REGISTRY_AUTH_FILE name the files of credentials",
    ),
    habit("", &["-f", "--format", "-o", "--output"], "`--json` prints the same data as JSON"),
    habit("", &["cp"], "`portpass copy FROM TO` copies an image"),
    habit(
        "",
        &["sync", "mirror"],
        "`portpass copy HOST/PREFIX/ HOST/PREFIX/` copies all repositories below a name",
    ),
    habit("", &["retag"], "`portpass tag IMAGE NEW` gives an image another tag"),
    habit("", &["discover", "tree"], "`portpass referrers IMAGE` lists what is about an image"),
    habit("", &["rm", "rmi", "del"], "`portpass delete IMAGE` deletes a tag or a manifest"),
    habit(
        "",
        &["ls", "list-tags", "list"],
        "`portpass tags REPOSITORY` lists tags, `portpass catalog HOST` repositories",
    ),
    habit(
        "",
        &["inspect"],
        "`portpass manifest get IMAGE` prints a manifest; `portpass token inspect` shows the contents of a token",
    ),
    habit("", &["server", "start", "run", "daemon"], "`portpass serve` runs the server"),
    habit(
        "",
        &["users", "account", "accounts", "useradd", "adduser"],
        "`portpass user` manages accounts",
    ),
    habit("", &["sessions"], "`portpass session` lists and revokes refresh tokens"),
    habit(
        "",
        &["keys", "api-key", "api-keys", "apikey", "pat", "signing-keys"],
        "`portpass key` manages API keys, `portpass signing-key` the keys that sign tokens",
    ),
    habit(
        "",
        &["robots", "bot", "service-account", "deploy-token"],
        "`portpass robot` manages robots: accounts of programs",
    ),
    habit(
        "",
        &["doctor", "check", "debug", "ping", "test"],
        "`portpass diagnose HOST` finds out what is wrong",
    ),
    habit("", &["why"], "`portpass explain REQUEST-ID` says why a request was refused"),
    habit("", &["auth"], "`portpass login HOST` logs in, `portpass token HOST` gets a token"),
    habit("", &["dump", "export"], "`portpass backup FOLDER` copies an installation"),
];
