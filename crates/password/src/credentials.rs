//! A name and a password, and in which queue they wait.

use secrecy::SecretString;

use crate::pool::QueueClass;

/// Who somebody says to be, and the password that is to prove it.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    /// Which source is asked: two sources may know the same name.
    pub source: &'a str,
    /// The account.
    pub name: &'a str,
    /// What was presented.
    pub password: &'a SecretString,
    /// Which queue it waits in, if it has to be hashed.
    pub queue_class: QueueClass,
}

#[cfg(test)]
impl<'a> Credentials<'a> {
    /// Of a local account.
    pub(crate) fn unproved(name: &'a str, password: &'a SecretString) -> Self {
        Self { source: "local", name, password, queue_class: QueueClass::Unproved }
    }
}
