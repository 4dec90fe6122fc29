//! How accounts are called in rows, and by whoever types a command.

use portpass_authority::subject::Account;
use portpass_state::{AccountKey, AccountNamed};

/// What rows call an account.
pub(crate) fn account_key(account: &Account) -> AccountKey {
    AccountKey { source: account.source.to_string(), id: account.id.as_str().to_owned() }
}

/// `htpasswd/bob`, or `bob` of any source. No name has a slash.
pub(crate) fn named(text: &str) -> AccountNamed<'_> {
    match text.split_once('/') {
        Some((source, name)) => AccountNamed { source: Some(source), name },
        None => text.into(),
    }
}
