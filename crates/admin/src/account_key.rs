//! How accounts are called in rows, and by whoever types a command.

use portpass_authority::subject::Account;
use portpass_state::AccountKey;

/// What rows call an account.
pub(crate) fn account_key(account: &Account) -> AccountKey {
    AccountKey { source: account.source.to_string(), id: account.id.as_str().to_owned() }
}

/// `htpasswd/bob`, or `bob` of whichever source knows the name first. No name has a slash.
pub(crate) fn source_and_name(text: &str) -> (Option<&str>, &str) {
    match text.split_once('/') {
        Some((source, name)) => (Some(source), name),
        None => (None, text),
    }
}
