//! The entries of an ACL as rules of ours, where both decide alike.
//!
//! Entries have an order and the first that matches decides; rules have none and add up. Both agree if of any two
//! entries that can match the same request the earlier gives at least what the later gives, and if no entry that
//! denies stands behind one that gives something to the same callers on the same names.
//!
//! A `*` that a client asks for is the exception: rules give what they allow, written out.

use std::{fmt, net::IpAddr};

use ipnet::IpNet;
use portpass_authority::{docker_auth::EntryText, policy::Principal, subject::AccountName};
use portpass_protocol::access::Resource;

use super::{is_plain, matches_text};
use crate::translation::quoted;

/// Rules of ours, each as it is written.
pub(super) type Rules = Vec<String>;

/// The first entry that cannot be a rule.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inexact {
    /// Counted from one.
    pub(super) entry: usize,
    pub(super) why: String,
}

/// All entries as rules, or which one stands in the way. `anonymous` is whether callers without credentials get
/// tokens at all.
pub(super) fn translate(entries: &[EntryText], anonymous: bool) -> Result<Rules, Inexact> {
    let mut understood: Vec<Option<Translated>> = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let translated = Translated::new(entry, anonymous);
        understood.push(translated.map_err(|why| Inexact { entry: at + 1, why })?);
    }
    let understood: Vec<(usize, Translated)> = understood
        .into_iter()
        .enumerate()
        .filter_map(|(at, entry)| entry.map(|entry| (at + 1, entry)))
        .collect();
    let mut rules = Rules::new();
    for (place, (entry, translated)) in understood.iter().enumerate() {
        let later = understood[place + 1..].iter().filter(|(_, later)| translated.overlaps(later));
        let mut earlier =
            understood[..place].iter().filter(|(_, earlier)| earlier.overlaps(translated));
        let mut narrows = false;
        for (other, later) in later {
            if later.actions.is_empty() || translated.actions.contain(&later.actions) {
                continue;
            }
            if !translated.actions.is_empty() {
                let why = format!(
                    "it gives less than entry {other}, which is about the same callers and names in part and is not read then"
                );
                return Err(Inexact { entry: *entry, why });
            }
            narrows = true;
        }
        if narrows
            && let Some((other, _)) = earlier.find(|(_, earlier)| !earlier.actions.is_empty())
        {
            let why = format!(
                "it denies, and entry {other} before it gives something to the same callers on the same names"
            );
            return Err(Inexact { entry: *entry, why });
        }
        if narrows && let Some(why) = translated.denies_more() {
            return Err(Inexact { entry: *entry, why });
        }
        if narrows || !translated.actions.is_empty() {
            rules.extend(translated.rules());
        }
    }
    Ok(rules)
}

/// An entry in our words.
#[derive(Debug)]
struct Translated {
    who: Vec<Principal>,
    repositories: Option<String>,
    catalog: bool,
    actions: Given,
    from: Option<String>,
    service: Option<String>,
}

/// What an entry gives: all, some or nothing.
#[derive(Debug)]
enum Given {
    All,
    These(Vec<String>),
}

impl Given {
    fn is_empty(&self) -> bool {
        matches!(self, Self::These(words) if words.is_empty())
    }

    fn contain(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::These(_), Self::All) => false,
            (Self::These(ours), Self::These(theirs)) => {
                theirs.iter().all(|word| ours.contains(word))
            }
        }
    }
}

impl Translated {
    /// `None` for an entry that can match nothing.
    fn new(entry: &EntryText, anonymous: bool) -> Result<Option<Self>, String> {
        if let Some((name, _)) = entry.labels.first_key_value() {
            return Err(format!("it looks at the label `{name}`"));
        }
        let service = match entry.service.as_deref() {
            None | Some("*" | "/.*/") => None,
            Some(name) if !name.is_empty() && is_plain(name) => Some(name.to_owned()),
            Some(pattern) => return Err(format!("the service {pattern:?} is no name")),
        };
        let (about_repositories, about_registry) = match entry.resource_type.as_deref() {
            None | Some("*") => (true, true),
            Some(Resource::REPOSITORY) => (true, false),
            Some(Resource::REGISTRY) => (false, true),
            Some(other) => return Err(format!("it looks at the type {other:?}")),
        };
        let who = who(entry.account.as_deref())?;
        let repositories = match entry.name.as_deref() {
            _ if !about_repositories => None,
            None => Some("**".to_owned()),
            Some(pattern) => repositories(pattern)?,
        };
        let nameless = who == [Principal::Anonymous];
        if nameless && !anonymous {
            return Ok(None);
        }
        // Who has no name has no names of their own either.
        let repositories =
            repositories.filter(|pattern| !(nameless && pattern.contains("${account}")));
        let catalog = about_registry
            && match entry.name.as_deref() {
                None => true,
                Some(pattern) if pattern.contains("${") && !pattern.contains('/') => {
                    return Err(format!("the name {pattern:?} can be that of the catalog"));
                }
                Some(pattern) => matches_text(pattern, Resource::CATALOG),
            };
        let actions = match &*entry.actions {
            [all] if all == "*" => Given::All,
            words if words.iter().any(|word| word == "*") => {
                return Err("`*` among other actions is only itself".to_owned());
            }
            words => Given::These(words.iter().filter(|word| is_ours(word)).cloned().collect()),
        };
        let is_about_something = repositories.is_some() || catalog;
        Ok(is_about_something.then_some(Self {
            who,
            repositories,
            catalog,
            actions,
            from: entry.ip.as_deref().map(network).transpose()?,
            service,
        }))
    }

    fn overlaps(&self, other: &Self) -> bool {
        let who =
            self.who.iter().any(|ours| other.who.iter().any(|theirs| may_be_same(ours, theirs)));
        let names = match (&self.repositories, &other.repositories) {
            (Some(ours), Some(theirs)) => may_be_equal(ours, theirs),
            _ => false,
        };
        who && (names || (self.catalog && other.catalog))
    }

    /// A rule that denies is wider than it says, lest a caller without a name or an address get around it.
    fn denies_more(&self) -> Option<String> {
        let named = self.repositories.as_ref().is_some_and(|pattern| pattern.contains("${"));
        let wide = self.who.contains(&Principal::SignedIn) || named;
        (wide || self.from.is_some() || self.service.is_some()).then(|| {
            "it denies, and a rule that does so for accounts, addresses or services binds callers without one too".to_owned()
        })
    }

    fn rules(&self) -> impl Iterator<Item = String> {
        let to: Vec<String> = self.who.iter().map(|word| quoted(&word.to_string())).collect();
        let to = if let [one] = &*to { one.clone() } else { format!("[{}]", to.join(", ")) };
        let (effect, actions) = match &self.actions {
            Given::All => ("allow", r#""*""#.to_owned()),
            Given::These(words) if words.is_empty() => ("deny", r#""*""#.to_owned()),
            Given::These(words) => ("allow", words.join(", ")),
        };
        let mut end = format!("to: {to}");
        for (key, value) in [("from", &self.from), ("service", &self.service)] {
            if let Some(value) = value {
                end = format!("{end}, {key}: {}", quoted(value));
            }
        }
        let on_repositories = self.repositories.as_ref().map(|pattern| {
            format!("- {{ {effect}: [{actions}], repository: {}, {end} }}", quoted(pattern))
        });
        // On the catalog registries ask for `*` alone.
        let all = matches!(&self.actions, Given::All) || self.actions.is_empty();
        let on_catalog = (self.catalog && all)
            .then(|| format!("- {{ {effect}: [{actions}], registry: catalog, {end} }}"));
        on_repositories.into_iter().chain(on_catalog)
    }
}

/// As rules write it: without bits behind the prefix.
fn network(ip: &str) -> Result<String, String> {
    if let Ok(address) = ip.parse::<IpAddr>() {
        return Ok(address.to_canonical().to_string());
    }
    let network = ip.parse::<IpNet>().map_err(|_| format!("{ip} is no network"))?.trunc();
    match network.network().to_canonical() {
        address if address == network.network() => Ok(network.to_string()),
        _ => Err(format!("{ip} is a network of IPv4 addresses written as IPv6")),
    }
}

fn is_ours(word: &str) -> bool {
    matches!(word, "pull" | "push" | "delete")
}

/// Whom the pattern for the account means.
fn who(account: Option<&str>) -> Result<Vec<Principal>, String> {
    let pattern = match account {
        None | Some("*" | "/.*/" | "/^.*$/") => return Ok(vec![Principal::Anyone]),
        Some("") => return Ok(vec![Principal::Anonymous]),
        Some("/.+/" | "/^.+$/" | "/./") => return Ok(vec![Principal::SignedIn]),
        Some(pattern) => pattern,
    };
    let unknown = || format!("the account {pattern:?} is no name, list of names or simple pattern");
    let user = |name: &str| format!("user:{name}").parse::<Principal>().map_err(|_| unknown());
    let Some(inner) = pattern.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) else {
        // A glob of stars alone would mean callers without a name too.
        let is_plain = !pattern.contains(['[', '\\', '$', '/']) && pattern.contains(|c| c != '*');
        return if is_plain {
            Ok(vec![user(&pattern.replace("**", "*"))?])
        } else {
            Err(unknown())
        };
    };
    let inner =
        inner.strip_prefix('^').and_then(|rest| rest.strip_suffix('$')).ok_or_else(unknown)?;
    let list = inner.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(inner);
    let literal = |name: &str| {
        let name = name.replace("\\.", ".").replace("\\-", "-");
        let is_dotted = list.matches('.').count() != list.matches("\\.").count();
        let known: Option<AccountName> =
            name.parse().ok().filter(|_| !is_dotted && !name.contains('+'));
        known.ok_or_else(unknown).and_then(|name| user(name.as_str()))
    };
    if inner.contains('|') && list == inner {
        return Err(unknown());
    }
    list.split('|').map(literal).collect()
}

/// The pattern of ours that means the same names; `None` where no repository can be meant.
fn repositories(pattern: &str) -> Result<Option<String>, String> {
    let unknown = || format!("the name {pattern:?} has no pattern of ours that means the same");
    let expression = pattern.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
    let text = match expression {
        Some(".*" | ".+" | "^.*$" | "^.+$" | ".") => return Ok(Some("**".to_owned())),
        Some(expression) if !expression.is_empty() => {
            let anchored = expression.strip_prefix('^').ok_or_else(unknown)?;
            let below =
                ["\\/.*$", "\\/.+$", "\\/.*", "\\/.+", "\\/", "/.*$", "/.+$", "/.*", "/.+", "/"];
            let one = ["\\/[^\\/]+$", "\\/[^\\/]*$", "/[^/]+$", "/[^/]*$"];
            let ended = |ends: &[&str], ours: &str| {
                let found = ends.iter().find_map(|end| anchored.strip_suffix(end))?;
                Some((found.to_owned(), ours.to_owned()))
            };
            let (literal, end) = ended(&one, "/*")
                .or_else(|| ended(&below, "/**"))
                .or_else(|| anchored.strip_suffix('$').map(|rest| (rest.to_owned(), String::new())))
                .ok_or_else(unknown)?;
            let account = literal.replace("${account}", "\u{1}");
            let plain = account.replace("\\/", "/").replace("\\-", "-").replace("\\.", "\u{2}");
            if plain.contains(|c: char| !is_literal(c) && c != '\u{1}' && c != '\u{2}')
                || plain.contains('.')
            {
                return Err(unknown());
            }
            plain.replace('\u{1}', "${account}").replace('\u{2}', ".") + &end
        }
        Some(_) => return Ok(None),
        None => {
            let without = pattern.replace("${account}", "");
            if without.contains(|c: char| !is_literal(c) && !"*?".contains(c)) {
                return Err(unknown());
            }
            let mut text = pattern.to_owned();
            while text.contains("**") {
                text = text.replace("**", "*");
            }
            text
        }
    };
    if text.split('/').any(str::is_empty) {
        return Ok(None);
    }
    match portpass_authority::policy::PathPattern::parse(&text) {
        Ok(_) => Ok(Some(text)),
        Err(_) => Err(unknown()),
    }
}

fn is_literal(character: char) -> bool {
    character.is_ascii_alphanumeric() || "._-/".contains(character)
}

/// Whether one caller can be both.
fn may_be_same(one: &Principal, other: &Principal) -> bool {
    let is_named =
        |principal: &Principal| matches!(principal, Principal::User { .. } | Principal::SignedIn);
    match (one, other) {
        (Principal::Anonymous, other) if is_named(other) => false,
        (one, Principal::Anonymous) if is_named(one) => false,
        (Principal::User { name: one, .. }, Principal::User { name: other, .. }) => {
            match (one.literal(), other.literal()) {
                (Some(one), Some(other)) => one == other,
                (Some(literal), None) => other.matches(literal),
                (None, Some(literal)) => one.matches(literal),
                (None, None) => true,
            }
        }
        _ => true,
    }
}

/// Whether one name can be both, as far as the plain words that they begin with tell.
fn may_be_equal(one: &str, other: &str) -> bool {
    let plain = |segment: &&str| !segment.contains(['*', '?', '$']);
    let (ours, theirs) = (one.split('/'), other.split('/'));
    let differ = ours.zip(theirs).take_while(|(a, b)| plain(a) && plain(b)).any(|(a, b)| a != b);
    let all_plain = |text: &str| text.split('/').all(|segment| plain(&segment));
    let length = |text: &str| text.split('/').count();
    let exact = |text: &str| !text.split('/').any(|segment| segment == "**");
    let other_length = exact(one) && exact(other) && length(one) != length(other);
    let two_names = all_plain(one) && all_plain(other) && one != other;
    !(differ || other_length || two_names)
}

impl fmt::Display for Inexact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {}: {}", self.entry, self.why)
    }
}
