//! Asking a person for a password, or reading it from stdin.

use std::io::{IsTerminal, Read, Write as _, stderr, stdin};

use secrecy::{ExposeSecret as _, SecretString};

use crate::failure::Failure;

/// Where a password comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PasswordFrom {
    /// Asked for on the terminal, not echoed.
    Terminal,
    /// All of stdin, without the line end that `echo` adds.
    Stdin,
}

/// Asks for a name on the terminal.
///
/// # Errors
/// There is no terminal to ask on, or what came is empty.
pub(crate) fn name(query: &str) -> Result<String, Failure> {
    if !stdin().is_terminal() {
        return Err(Failure::usage("there is no terminal to ask for the name on")
            .hint("give it with --username"));
    }
    let mut terminal = stderr();
    terminal.write_all(query.as_bytes())?;
    terminal.flush()?;
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    match line.trim() {
        "" => Err(Failure::usage("the name is empty")),
        name => Ok(name.to_owned()),
    }
}

/// Takes a name that was typed with `--username`, if an account can be called so.
///
/// Basic authentication ends the name at the first colon (RFC 7617). What is behind it may be a password: it is not
/// repeated.
///
/// # Errors
/// It is empty or has a colon.
pub(crate) fn account(name: &str) -> Result<(), Failure> {
    if name.is_empty() {
        return Err(Failure::usage("the name is empty"));
    }
    if name.contains(':') {
        return Err(Failure::usage("the name has a colon, which no account's has")
            .hint("type the password at the prompt, or give it on stdin with --password-stdin"));
    }
    Ok(())
}

/// Asks for a password, or reads it.
///
/// # Errors
/// There is no terminal to ask on, stdin cannot be read, or what came is empty.
pub(crate) fn password(query: &str, from: PasswordFrom) -> Result<SecretString, Failure> {
    let password = match from {
        PasswordFrom::Stdin => {
            let mut text = String::new();
            stdin().take(MAX_LENGTH).read_to_string(&mut text)?;
            let trimmed = text.strip_suffix('\n').unwrap_or(&text);
            trimmed.strip_suffix('\r').unwrap_or(trimmed).to_owned()
        }
        PasswordFrom::Terminal if stdin().is_terminal() => rpassword::prompt_password(query)?,
        PasswordFrom::Terminal => {
            return Err(Failure::usage("there is no terminal to ask for the password on")
                .hint("give it on stdin and add --password-stdin"));
        }
    };
    if password.is_empty() {
        return Err(Failure::usage("the password is empty"));
    }
    Ok(password.into())
}

/// Asks twice for a password that is to be set: it is not seen while it is typed.
///
/// # Errors
/// As [`password`], and if the two differ.
pub(crate) fn new_password(query: &str) -> Result<SecretString, Failure> {
    let first = password(query, PasswordFrom::Terminal)?;
    let second = password("Once more: ", PasswordFrom::Terminal)?;
    if first.expose_secret() == second.expose_secret() {
        Ok(first)
    } else {
        Err(Failure::new("the two passwords differ; nothing was changed"))
    }
}

/// More than any password: what is longer is a file piped in by mistake.
const MAX_LENGTH: u64 = 64 * 1024;
