//! `diagnose`: what is wrong with a login, a pull or a push, by what it was seen, and how to mend it.

use std::{
    fs,
    io::{Read as _, stdin},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use owo_colors::OwoColorize as _;
use portpass_diagnose::{
    Detail, InputFile, Inputs, LocalInputs, Report, SystemClock, Target, Tone, inspect::token_in,
};
use secrecy::SecretString;

use super::{Context, InstallationArguments, connection::Connection, directory, workload};
use crate::{
    failure::Failure,
    outcome::Outcome,
    prompt::{self, PasswordFrom},
};

/// The arguments.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The registry, and the image to pull or push there
    #[arg(value_name = "HOST[:PORT][/REPOSITORY[:TAG]]", required_unless_present_any = ["workload", "ldap"])]
    target: Option<Target>,
    /// Check the token of a job or a pod against the accounts of a configuration: the file that has it, or `-` for stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["target", "token"])]
    workload: Option<PathBuf>,
    /// Check the directories of a configuration, step by step; with `-u NAME` also that account, and with
    /// `--password-stdin` its password
    #[arg(long, conflicts_with_all = ["target", "token", "workload"])]
    ldap: bool,
    #[command(flatten)]
    installation: InstallationArguments,
    /// The account to use, in place of the one that docker or podman store
    #[arg(short, long, value_name = "NAME")]
    username: Option<String>,
    /// Read the password from stdin
    #[arg(long, requires = "username")]
    password_stdin: bool,
    /// Check the token in this file, or from stdin (`-`), in place of a new one
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
    /// The registry's configuration file
    #[arg(long, value_name = "FILE")]
    registry_config: Option<PathBuf>,
    /// The registry's `issuer`
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// The registry's `service`
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// The registry's `rootcertbundle`
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// The registry's `jwks`
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// The private key of the token service; it is not sent anywhere
    #[arg(long, value_name = "FILE")]
    token_key: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    optional: OptionalChecks,
    #[command(flatten)]
    output: OutputArguments,
}

/// What is done only for those who ask for it.
#[derive(Args, Debug)]
struct OptionalChecks {
    /// Also push small blobs to the repository, and delete them again
    #[arg(long)]
    write: bool,
    /// Also send one wrong password; it may count towards a lock
    #[arg(long)]
    wrong_password: bool,
    /// Also wait until a token has expired
    #[arg(long)]
    wait_expiry: bool,
}

/// In which form it is told.
#[derive(Args, Debug)]
struct OutputArguments {
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Also list the checks that pass, and those that were not made, with the reason
    #[arg(short, long)]
    verbose: bool,
    /// Also print every request and response, without secrets
    #[arg(long)]
    trace: bool,
    /// Also write the result to an HTML file that you can pass on
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Runs it.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<Outcome, Failure> {
    if arguments.ldap {
        return directories(&arguments, context).await;
    }
    let target = match (&arguments.workload, &arguments.target) {
        (Some(file), _) => {
            let token = workload::token_from(file)?;
            let sources = arguments.installation.sources();
            let examination = workload::examine(&token, &sources, context).await?;
            if arguments.output.json {
                context.printer.json(&serde_json::to_value(&examination)?);
            } else {
                workload::show(&context.printer, &examination);
            }
            return Ok(workload::outcome(&examination));
        }
        (None, Some(target)) => target.clone(),
        (None, None) => return Err(Failure::usage("name a registry")),
    };
    let inputs = inputs(&arguments, &target, context)?;
    let Arguments { output: OutputArguments { json, verbose, trace, report: file }, .. } =
        arguments;
    let report = portpass_diagnose::diagnose(target, inputs, Arc::new(SystemClock)).await;
    if json {
        context.printer.json(&report.json(trace));
    } else {
        if trace {
            context.printer.text(&report.trace());
        }
        let detail = if verbose { Detail::Full } else { Detail::Short };
        context.printer.text(&report.text(detail, colored));
    }
    // After it was told: what was found must not go with a file that cannot be written.
    if let Some(file) = file {
        fs::write(&file, report.html())
            .map_err(|error| cannot("written", &file, &error.to_string()))?;
        context.printer.note(format_args!("{} has the report", file.display()));
    }
    Ok(outcome(&report))
}

async fn directories(arguments: &Arguments, context: &Context) -> Result<Outcome, Failure> {
    let account = match (&arguments.username, arguments.password_stdin) {
        (Some(_), true) => password(arguments)?.map(|(name, password)| (name, Some(password))),
        (Some(name), false) => Some((name.clone(), None)),
        (None, _) => None,
    };
    let account = account.as_ref().map(|(name, password)| (name.as_str(), password.clone()));
    let sources = arguments.installation.sources();
    let examinations = directory::examine(account, &sources, context).await?;
    if arguments.output.json {
        context.printer.json(&serde_json::to_value(&examinations)?);
    } else {
        directory::show(&context.printer, &examinations);
    }
    Ok(directory::outcome(&examinations))
}

fn outcome(report: &Report) -> Outcome {
    match report.verdict() {
        "fail" => Outcome::Problem,
        "warn" => Outcome::Warning,
        _ => Outcome::Success,
    }
}

/// Colours go away by themselves where they are not wanted.
fn colored(tone: Tone, text: &str) -> String {
    match tone {
        Tone::Good => text.green().to_string(),
        Tone::Warning => text.yellow().to_string(),
        Tone::Bad => text.red().bold().to_string(),
        Tone::Heading => text.bold().to_string(),
        Tone::Faint => text.dimmed().to_string(),
    }
}

fn inputs(arguments: &Arguments, target: &Target, context: &Context) -> Result<Inputs, Failure> {
    let stdin_has_token = arguments.token.as_deref() == Some(Path::new("-"));
    if arguments.password_stdin && stdin_has_token {
        return Err(Failure::usage("stdin cannot be both the password and the token")
            .hint("give the token in a file: --token FILE"));
    }
    let connection = &arguments.connection;
    connection.warn(&target.host, context)?;
    let get = |name: &str| context.environment.get(name).map(str::to_owned);
    let given = |path: &Option<PathBuf>| path.clone().map(InputFile::read);
    let mut inputs = Inputs {
        password: password(arguments)?,
        token: arguments.token.as_deref().map(token).transpose()?,
        registry_config: given(&arguments.registry_config),
        issuer: arguments.issuer.clone(),
        service: arguments.service.clone(),
        bundle: given(&arguments.bundle),
        jwks: given(&arguments.jwks),
        token_key: given(&arguments.token_key),
        write: arguments.optional.write,
        wrong_password: arguments.optional.wrong_password,
        wait_expiry: arguments.optional.wait_expiry,
        plain_http: connection.plain_http,
        verification: connection.verification(),
        command: std::iter::once("portpass".to_owned())
            .chain(std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()))
            .collect(),
        ..Inputs::none(LocalInputs::from_environment(get))
    };
    if let Some(file) = &connection.ca {
        inputs.trust_file(file)?;
        for fault in &inputs.passed_over {
            context.printer.warning(format_args!("{fault}"));
        }
    }
    Ok(inputs)
}

/// Without a name, what docker and podman keep is used.
fn password(arguments: &Arguments) -> Result<Option<(String, SecretString)>, Failure> {
    let Some(name) = &arguments.username else { return Ok(None) };
    prompt::account(name)?;
    let from = if arguments.password_stdin { PasswordFrom::Stdin } else { PasswordFrom::Terminal };
    Ok(Some((name.clone(), prompt::password("Password: ", from)?)))
}

fn token(file: &Path) -> Result<SecretString, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        stdin().take(MAX_TOKEN).read_to_string(&mut text)
    } else {
        let opened = fs::File::open(file);
        opened.and_then(|opened| opened.take(MAX_TOKEN).read_to_string(&mut text))
    };
    // Whoever types the token itself must not find it in an error, and then in a log: no name here.
    read.map_err(|error| {
        Failure::new(format!("the file of --token cannot be read: {error}"))
            .hint("--token takes a file or `-`, never the token itself")
    })?;
    let token = token_in(&text)?;
    if token.is_empty() {
        return Err(Failure::usage("the file of --token is empty"));
    }
    Ok(token.into())
}

fn cannot(what: &str, file: &Path, why: &str) -> Failure {
    Failure::new(format!("{} cannot be {what}: {why}", file.display()))
}

/// More than any token that a registry would look at.
const MAX_TOKEN: u64 = 1024 * 1024;
