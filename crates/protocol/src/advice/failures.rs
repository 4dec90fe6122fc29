//! The failures of registry token authentication that people run into, by number.

use serde::Serialize;

use crate::{Access, AccessSet, Action, Resource};

/// A failure that is known from elsewhere: many have met it, with other servers too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Its number, which never changes: `F75`.
    pub row: &'static str,
    /// What is wrong.
    pub what: &'static str,
}

impl Failure {
    /// The failure of that number.
    pub fn of(row: &str) -> Option<&'static Self> {
        FAILURES.iter().find(|failure| failure.row == row)
    }
}

/// Which known failures a refusal may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failures {
    /// None that has a number.
    Unlisted,
    /// This one; the access log names it.
    Is(&'static str),
    /// One of these; which, the refusal does not tell.
    Among(&'static [&'static str]),
}

impl Failures {
    /// What an insufficient scope may be.
    pub const OF_SCOPES: &[&str] = &["F47", "F100", "F102", "F103", "F104", "F105", "F107", "F108"];

    /// The numbers, none, one or several.
    pub fn rows(&self) -> &[&'static str] {
        match self {
            Self::Unlisted => &[],
            Self::Is(row) => std::slice::from_ref(row),
            Self::Among(rows) => rows,
        }
    }

    /// The one number, where there is no doubt.
    pub fn certain(self) -> Option<&'static str> {
        match self {
            Self::Is(row) => Some(row),
            Self::Unlisted | Self::Among(_) => None,
        }
    }

    /// Tells what kind of grant is too small for `needed`.
    ///
    /// A token that names a resource without actions was asked for them and denied; one that does not
    /// name it was perhaps never asked.
    pub fn of_scope(needed: &AccessSet, granted: &AccessSet) -> Self {
        let lacks = |access: &&Access| !granted.covers(access);
        let lacking: Vec<&Access> = needed.iter().filter(lacks).collect();
        let Some(first) = lacking.first() else { return Self::Unlisted };
        let is_source = |access: &&Access| needed.iter().position(|n| n == *access) != Some(0);
        if first.resource == Resource::catalog() {
            Self::Is("F107")
        } else if granted.is_empty() {
            Self::Is("F100")
        } else if lacking.iter().all(is_source) {
            // A mount: the target is granted, and the repository it takes from is not.
            Self::Is("F105")
        } else {
            Self::of_access(first, granted)
        }
    }

    fn of_access(needed: &Access, granted: &AccessSet) -> Self {
        let Some(actions) = granted.actions_on(&needed.resource) else {
            let alike = granted.iter().any(|other| is_misnamed(&other.resource, &needed.resource));
            return if alike { Self::Is("F102") } else { Self::Among(&["F47", "F104"]) };
        };
        let mut lacking = needed.actions.iter().filter(|action| !actions.grants(action));
        match (lacking.next(), lacking.next()) {
            (Some(Action::Delete), None) => Self::Is("F108"),
            (Some(Action::Pull), None) if actions.grants(&Action::Push) => Self::Is("F103"),
            _ if actions.is_empty() => Self::Is("F104"),
            // The token does not tell whether the rest was asked for.
            _ => Self::Among(&["F104"]),
        }
    }
}

/// Whether somebody meant `right` by it: with the registry's host in front, in capitals, or as a
/// pattern.
fn is_misnamed(named: &Resource, right: &Resource) -> bool {
    let (name, right_name) = (&*named.name, &*right.name);
    named.resource_type == right.resource_type
        && (name == "*"
            || name.eq_ignore_ascii_case(right_name)
            || name.strip_suffix(right_name).is_some_and(|host| host.ends_with('/')))
}

const fn failure(row: &'static str, what: &'static str) -> Failure {
    Failure { row, what }
}

/// All that our refusals may be, in order.
#[rustfmt::skip]
pub const FAILURES: &[Failure] = &[
    failure("F20", "a proxy redirects `/v2/`"),
    failure("F21", "the registry is behind a path prefix; clients ask for `/v2/` at the root"),
    failure("F25", "a proxy in front asks for Basic itself, so the client sends a password in place of a token"),
    failure("F31", "`service` or the realm has changed, or differs between nodes"),
    failure("F40", "the password is wrong, or a shell or a client has changed it"),
    failure("F41", "the password has characters that the shell or the client changes: `$ % ! : &`, or characters beyond ASCII"),
    failure("F46", "the realm's path is no token endpoint, or a client logs in at the token service's own port"),
    failure("F47", "the token service reads only one of several scopes"),
    failure("F53", "`account` is not the user of the credentials"),
    failure("F55", "too many attempts at the token endpoint"),
    failure("F60", "the response of the token service has neither `token` nor `access_token`: the client continues without a token"),
    failure("F63", "the token is valid for less time than its `expires_in` says, or for less than a minute"),
    failure("F70", "the token is not a JWT, or it was cut off or quoted on its way"),
    failure("F71", "the token's base64url has padding"),
    failure("F73", "times in the token are strings or fractions"),
    failure("F74", "the token has no `exp`"),
    failure("F75", "`iss` is not the registry's `issuer`, letter for letter"),
    failure("F76", "`aud` is not the registry's `service`, letter for letter"),
    failure("F77", "the token service's clock is ahead, or `nbf` is the moment of issue"),
    failure("F78", "the registry's clock is ahead"),
    failure("F79", "the token is too long for a header"),
    failure("F80", "the token has neither `kid` nor `x5c` nor `jwk`"),
    failure("F81", "`kid` is not a hash of the public key, or is written in another form"),
    failure("F83", "the JWK set has another `kid` for the key than the token"),
    failure("F84", "the token names one key, and another key signed it"),
    failure("F85", "`rootcertbundle` has a certificate for TLS, or another one that did not sign the tokens"),
    failure("F87", "the certificates in `x5c` do not lead to the bundle, or are not written correctly"),
    failure("F88", "the certificate of the key has expired or is not valid yet"),
    failure("F89", "the algorithm is not allowed, or does not fit the key"),
    failure("F91", "all EC keys have the same `kid`: docker_auth 1.14 (`disable_legacy_key_id`) computes it wrongly"),
    failure("F92", "the token service has a new key: it was installed again, or each replica has its own"),
    failure("F100", "the token grants nothing at all"),
    failure("F102", "the token names the repository differently: with the host, in capitals, or as `*`"),
    failure("F103", "`push` is granted without `pull`"),
    failure("F104", "no rule of the token service grants it, or a rule denies it"),
    failure("F105", "the blob is in a repository that the token does not cover, so it cannot be mounted"),
    failure("F107", "the list of repositories needs `registry:catalog:*`"),
    failure("F108", "`delete` was not granted, or deletes are disabled"),
    failure("F109", "the client has no credentials, but needs some"),
    failure("F120", "a proxy drops or replaces the `Authorization` header"),
    failure("F122", "a proxy does not accept a body of this size"),
    failure("F123", "a long upload takes longer than its token is valid"),
    failure("F124", "replicas do not share their uploads"),
    failure("F128", "an entry of `access` has the wrong type"),
    failure("F142", "the client keeps old credentials"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_insufficient_scope_is_told_apart_by_what_was_needed_and_granted() {
        for (needed, granted, rows) in [
            ("repository:a/b:pull", "", &["F100"][..]),
            ("registry:catalog:*", "repository:a/b:pull", &["F107"]),
            ("registry:catalog:*", "", &["F107"]),
            ("repository:a/b:pull", "repository:a/c:pull", &["F47", "F104"]),
            ("repository:a/b:pull", "repository:r.example:5000/a/b:pull", &["F102"]),
            ("repository:a/b:pull", "repository:A/b:pull", &["F102"]),
            ("repository:a/b:pull", "repository:*:pull", &["F102"]),
            ("repository:a/b:pull", "repository:xa/b:pull", &["F47", "F104"]),
            ("repository:a/b:pull,push", "repository:a/b:push", &["F103"]),
            ("repository:a/b:pull,push", "repository:a/b:pull", &["F104"]),
            ("repository:a/b:delete", "repository:a/b:pull,push", &["F108"]),
            ("repository:a/b:pull,push repository:c:pull", "repository:a/b:pull,push", &["F105"]),
            ("repository:a/b:pull,push repository:c:pull", "repository:c:pull", &["F47", "F104"]),
            ("repository:a/b:pull", "repository:a/b:pull", &[]),
        ] {
            let failures = Failures::of_scope(&set(needed), &set(granted));
            assert_eq!(failures.rows(), rows, "{needed} of {granted}");
        }
        let denied: AccessSet = [Access::repository("a/b", [])].into_iter().collect();
        let failures = Failures::of_scope(&set("repository:a/b:pull"), &denied);
        assert_eq!(failures.certain(), Some("F104"));
        let failures = Failures::of_scope(&set("repository:a/b:push"), &set("repository:a/b:pull"));
        assert_eq!((failures.rows(), failures.certain()), (&["F104"][..], None));
    }

    /// Also what no scope may say, as tokens do.
    fn set(text: &str) -> AccessSet {
        let entry = |scope: &str| {
            let (resource, actions) = scope.rsplit_once(':').unwrap();
            let (kind, name) = resource.split_once(':').unwrap();
            let resource = Resource { resource_type: kind.into(), name: name.into() };
            Access { resource, actions: actions.split(',').map(Action::from).collect() }
        };
        text.split_whitespace().map(entry).collect()
    }
}
